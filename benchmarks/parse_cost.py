"""What a Dag file pays to import our operators, beside the amazon provider's SageMaker operators.

Each import runs in an interpreter of its own, where Airflow's own bases are loaded already; the figures
are medians of several runs.
"""

from __future__ import annotations

import compileall
import json
import statistics
import subprocess
import sys
from pathlib import Path

RUNS = 7

CHILD = """
import gc, importlib, json, resource, sys, time
from airflow_ml_provider import compat
for name in ("BaseOperator", "BaseSensorOperator", "conf", "DAG", "AirflowException", "AirflowFailException",
             "AirflowSensorTimeout", "AirflowSkipException", "PokeReturnValue", "TaskDeferred"):
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


def measure(modules: list[str]) -> tuple[float, float, bool]:
    """Import modules in a fresh interpreter: milliseconds, MB of resident memory, whether boto came along."""
    result = subprocess.run([sys.executable, "-c", CHILD, *modules], capture_output=True, text=True, check=True)
    milliseconds, megabytes, boto3, botocore = json.loads(result.stdout.splitlines()[-1])
    return milliseconds, megabytes, boto3 or botocore


def main() -> None:
    """Print the table."""
    compileall.compile_dir(PACKAGE_FOLDER, quiet=2)  # as pip does when it installs
    print("| what is imported | ms | MB | boto | times cheaper |\n|---|---|---|---|---|")
    peer = 0.0
    for subject, modules in SUBJECTS.items():
        runs = [measure(modules) for _ in range(RUNS)]
        milliseconds = statistics.median(run[0] for run in runs)
        megabytes = statistics.median(run[1] for run in runs)
        peer = peer or milliseconds
        boto = "yes" if runs[0][2] else "no"
        print(f"| {subject} | {milliseconds:.1f} | {megabytes:.2f} | {boto} | {peer / milliseconds:.0f} |")


if __name__ == "__main__":
    main()
