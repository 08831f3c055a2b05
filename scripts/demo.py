"""Run dags/realtime_endpoint.py through Airflow against Amazon ML Local, and show what happens."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypedDict

from processes import BIN, ROOT, Processes, airflow_environment, free_port, start_local_service

HOME = ROOT / ".demo"
DAG_ID = "realtime_endpoint"
BUCKET = "amazon-ml-demo"

# What of Airflow's log the user sees: which task starts, and what the tasks themselves say.
TASK_STARTS = re.compile(r"\[DAG TEST\] starting task_id=(\w+)")
OUR_LOGGERS = r"airflow\.task(?:\.operators\.airflow_ml_provider[^]]*)?"
TASK_SAYS = re.compile(rf"\[(?:info|warning|error) *\] (.*?) +\[{OUR_LOGGERS}\]")

Say = Callable[[str], None]


class Found(TypedDict):
    """What the Dag's tasks gave to XCom."""

    predict: list[dict[str, dict[str, float] | str]]
    sample: dict[str, list[str]]
    compare: dict[str, float]


@contextlib.contextmanager
def output_to(path: Path) -> Iterator[Say]:
    """Send the output of this process to a file, and give a function that still speaks to the user."""
    began = time.monotonic()
    with path.open("w") as log, os.fdopen(os.dup(1), "w") as screen:
        kept = [(number, os.dup(number)) for number in (1, 2)]

        def say(text: str) -> None:
            print(f"{time.monotonic() - began:6.1f} s  {text}", file=screen, flush=True)

        for number, _ in kept:
            os.dup2(log.fileno(), number)
        try:
            yield say
        finally:
            sys.stdout.flush()
            for number, copy in kept:
                os.dup2(copy, number)
                os.close(copy)


@contextlib.contextmanager
def followed(path: Path, say: Say) -> Iterator[None]:
    """Tell the user what matters of a log file while it is written."""
    ended = threading.Event()

    def follow() -> None:
        with path.open() as log:
            last_round = False
            while not last_round:
                last_round = ended.wait(0.2)
                for line in log:
                    tell(line, say)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def tell(line: str, say: Say) -> None:
    """Tell the user what a line of Airflow's log says of the Dag's tasks."""
    if starts := TASK_STARTS.search(line):
        say(f"task {starts[1]}")
    elif says := TASK_SAYS.search(line):
        say(f"     {says[1]}")


def run_dag() -> Found:
    """Run the Dag in this process, and return what its tasks gave to XCom.

    :raises SystemExit: when the run does not end in success.
    """
    from airflow.dag_processing.dagbag import DagBag

    sys.path.append(str(ROOT / "dags"))  # as Airflow's Dag processor and its workers do
    bag = DagBag(str(ROOT / "dags" / f"{DAG_ID}.py"))
    if bag.import_errors:
        raise SystemExit("\n".join(bag.import_errors.values()))
    run = bag.get_dag(DAG_ID).test(run_conf={"bucket": BUCKET})
    if run.state != "success":
        states = {instance.task_id: str(instance.state) for instance in run.get_task_instances()}
        raise SystemExit(f"The Dag run ended {run.state}: {json.dumps(states)}. The log is in {HOME / 'logs'}")
    return {name: run.get_task_instance(name).xcom_pull(task_ids=name) for name in Found.__annotations__}


def show(found: Found) -> None:
    """Print the predictions beside the truth, both metrics, and where to go from here."""
    print("\n  predicted   score of 1   truth")
    for prediction, truth in zip(found["predict"], found["sample"]["truth"], strict=True):
        (score,) = prediction["predictedScores"].values()
        print(f"  {prediction['predictedLabel']:>9}   {score:10.4f}   {truth:>5}")
    compared = found["compare"]
    print(f"\n  AUC over {compared['rows']} unseen rows: {compared['endpoint_auc']:.4f} at the endpoint, ", end="")
    print(f"{compared['evaluation_auc']:.4f} by the evaluation")
    print(f"\nThe Dag: dags/{DAG_ID}.py. Airflow's log: .demo/logs/airflow.log.")
    print("`make up` runs Airflow with its UI and the example Dags beside Amazon ML Local.")


def main() -> None:
    """Start the service, run the Dag, print the result."""
    shutil.rmtree(HOME, ignore_errors=True)
    with Processes(HOME / "logs") as processes:
        url = start_local_service(processes, "--bucket", BUCKET)
        os.environ.clear()
        os.environ.update(airflow_environment(HOME / "airflow", url, free_port()))
        log = HOME / "logs" / "airflow.log"
        with output_to(log) as say, followed(log, say):
            say(f"Amazon ML Local answers at {url}, with S3 beside it")
            say("Airflow prepares its database")
            subprocess.run([BIN / "airflow", "db", "migrate"], check=True)
            say(f"Airflow runs dags/{DAG_ID}.py")
            found = run_dag()
    show(found)


if __name__ == "__main__":
    main()
