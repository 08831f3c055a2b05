"""What a Dag file pays to import our operators, beside the amazon provider's SageMaker operators.

Each import runs in an interpreter of its own, where Airflow's own bases are loaded already; the figures
are medians of several runs, in each environment of requirements/environments.txt that has been made.
(Airflow 3.0's BaseBranchOperator, the base of the evaluation gate, itself loads Airflow's models: 30 MB that a Dag file
with any branch pays there.)
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from scripts.environments import Environment, read_environments

RUNS = 7

CHILD = """
import gc, importlib, json, resource, sys, time
from airflow_ml_provider import compat
for name in ("BaseOperator", "BaseSensorOperator", "BaseBranchOperator", "BaseOperatorLink", "conf", "DAG",
             "AirflowException", "AirflowFailException", "AirflowSensorTimeout", "AirflowSkipException",
             "PokeReturnValue", "TaskDeferred"):
    getattr(compat, name)
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6
gc.collect()
before, began = resident(), time.perf_counter()
for module in sys.argv[1:]:
    importlib.import_module(module)
seconds = time.perf_counter() - began
print(json.dumps([seconds * 1000, resident() - before, "boto3" in sys.modules, "botocore" in sys.modules]))
"""

PACKAGE = "airflow_ml_provider"
PACKAGE_FOLDER = str(Path(__file__).parent.parent / PACKAGE)
SUBJECTS = {
    "the amazon provider's SageMaker operators": ["airflow.providers.amazon.aws.operators.sagemaker"],
    "ours: endpoint operators and sensors": [
        f"{PACKAGE}.operators.realtime_endpoint",
        f"{PACKAGE}.sensors.machine_learning",
    ],
    "ours: everything for Dags": [
        f"{PACKAGE}.operators.batch_prediction",
        f"{PACKAGE}.operators.data_source",
        f"{PACKAGE}.operators.evaluation",
        f"{PACKAGE}.operators.ml_model",
        f"{PACKAGE}.operators.prediction",
        f"{PACKAGE}.operators.realtime_endpoint",
        f"{PACKAGE}.operators.tags",
        f"{PACKAGE}.sensors.machine_learning",
    ],
}


def measure(python: Path, modules: list[str]) -> tuple[float, float, bool]:
    """Import modules in a fresh interpreter; return milliseconds, MB of resident memory, whether boto came along."""
    result = subprocess.run([python, "-c", CHILD, *modules], capture_output=True, text=True, check=True)
    milliseconds, megabytes, boto3, botocore = json.loads(result.stdout.splitlines()[-1])
    return milliseconds, megabytes, boto3 or botocore


def compare(environment: Environment) -> None:
    """Print the rows of an environment."""
    compile_package = [str(environment.interpreter), "-m", "compileall", "-qq", PACKAGE_FOLDER]  # as pip does
    subprocess.run(compile_package, check=True)
    peer = 0.0
    for subject, modules in SUBJECTS.items():
        runs = [measure(environment.interpreter, modules) for _ in range(RUNS)]
        milliseconds = statistics.median(run[0] for run in runs)
        megabytes = statistics.median(run[1] for run in runs)
        peer = peer or milliseconds  # the first subject is the one that ours are compared with
        boto = "yes" if runs[0][2] else "no"
        figures = f"{milliseconds:.1f} | {megabytes:.2f} | {boto} | {peer / milliseconds:.0f}"
        print(f"| {environment.name} | {subject} | {figures} |", flush=True)


def main() -> None:
    """Print the table, and which environments it lacks."""
    print("| Airflow | what is imported | ms | MB | boto | times cheaper |\n|---|---|---|---|---|---|")
    environments = read_environments()
    for environment in environments:
        if environment.interpreter.exists():
            compare(environment)
    missing = [environment.name for environment in environments if not environment.interpreter.exists()]
    if missing:
        print(f"\nNot made yet: {', '.join(missing)} (make install AIRFLOW=…)")


if __name__ == "__main__":
    main()
