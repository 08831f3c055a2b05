"""Run dags/realtime_endpoint.py through Airflow against Amazon ML Local, and explain what happens."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from rich.console import Console

from airflow_ml_provider.prices import PRICE_PER_10_MB, PRICE_PER_PREDICTION
from scripts.processes import BIN, ROOT, Processes, airflow_environment, free_port, only_one, start_local_service

HOME = ROOT / ".demo"
DAG_ID = "realtime_endpoint"
BUCKET = "amazon-ml-demo"
AIRFLOW_LOG = "airflow"
INTERRUPTED = 130
READING = "Airflow reads the Dag"

INTRODUCTION = """\
A Dag trains a model, deploys it behind a realtime endpoint, waits until that is READY, predicts, and deletes it.
Airflow and Amazon ML Local run on this machine; nothing is sent to AWS.
The data: 569 tumours with 30 measurements each (scikit-learn's breast cancer set); 1 is benign, 0 is malignant.
"""
STEPS = {
    "upload": "put the rows and their schema into S3",
    "sample": "take ten rows that the model will not see while it is trained",
    "training_data": "make a data source of the first 70 % of the rows",
    "evaluation_data": "make a data source of the other 30 %",
    "train": "train a model that tells 1 from 0",
    "evaluate": "evaluate the model on the rows it has not seen",
    "create_endpoint": "create the realtime endpoint, and wait until it is READY",
    "predict": "predict the ten rows at the endpoint",
    "compare": "predict all unseen rows, and compare with the evaluation",
    "delete_endpoint": "delete the endpoint",
}
METRIC = """
AUC over {rows} unseen rows: {endpoint_auc:.4f} at the endpoint, {evaluation_auc:.4f} by the evaluation.
It is the share of pairs, one benign and one malignant, in which the benign one scores higher: 0.5 is chance, 1 perfect.
"""
COST = """
The endpoint is gone: its status is {status}. On AWS the {predictions} predictions would have cost ${predicting:.4f},
and the endpoint ${hour:.3f} for each hour until it is deleted (a third party's figures; AWS bills training too).

The Dag is dags/{dag_id}.py, Airflow's log .demo/logs/{log}.log.
`make up` runs Airflow with its UI and all example Dags beside Amazon ML Local.
"""


class Compared(TypedDict):
    """What the task ``compare`` returns."""

    rows: int
    endpoint_auc: float
    evaluation_auc: float


class XComs(TypedDict):
    """What the Dag's tasks gave to XCom, by task."""

    predict: list[dict[str, Any]]
    sample: dict[str, list[str]]
    compare: Compared
    delete_endpoint: dict[str, str]


class Progress:
    """Show each step: a spinner while it lasts, on a terminal, and a line once it has ended."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self.status = self.console.status("")
        self.began = 0.0

    def begin(self, text: str) -> None:
        """Show a step that begins."""
        self.began = time.monotonic()
        self.status.update(text)
        self.status.start()

    def end(self, text: str, sign: str = "[green]✓[/]") -> None:
        """Show a step that has ended, and how long it took."""
        self.status.stop()
        self.console.print(f"{sign} {time.monotonic() - self.began:5.1f} s  {text}")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show a step from begin to end."""
        self.begin(text)
        try:
            yield
            self.end(text)
        finally:
            self.status.stop()

    def error(self, text: str) -> None:
        """Show an error's text as it is."""
        self.console.print(f"           {text}", style="red", markup=False)


def run_dag(processes: Processes, env: dict[str, str], progress: Progress) -> XComs:
    """Run the Dag in a process of its own, and return what its tasks gave to XCom.

    :raises SystemExit: when the run does not end in success.
    """
    command = [sys.executable, str(ROOT / "scripts" / "run_dag.py"), DAG_ID, json.dumps({"bucket": BUCKET})]
    tasks = XComs.__annotations__  # whose XComs the process reports
    process = processes.start(AIRFLOW_LOG, *command, *tasks, env=env, stdout=subprocess.PIPE)
    progress.begin(READING)
    ended: dict[str, Any] = {}
    for line in process.stdout or ():
        event = json.loads(line)
        if "run" in event:
            ended = event
        elif "read" in event:
            progress.end(READING)
        else:
            show(event, progress)
    progress.status.stop()
    if ended.get("run") == "success":
        xcoms: XComs = ended["xcoms"]
        return xcoms
    if not ended:
        progress.error(processes.tail(AIRFLOW_LOG))
    raise SystemExit(f"The Dag run has failed; Airflow's log is {processes.logs / AIRFLOW_LOG}.log")


def show(event: dict[str, str], progress: Progress) -> None:
    """Show what has happened to a task."""
    text = f"{event['task']:16} {STEPS.get(event['task'], '')}"
    if event["state"] == "running":
        progress.begin(text)
    elif event["state"] == "success":
        progress.end(text)
    else:
        progress.end(text, "[red]✗[/]")
        progress.error(event["error"])


def explain(xcoms: XComs, progress: Progress) -> None:
    """Print the predictions beside the truth, both metrics, what it would have cost, and where to go from here."""
    say = progress.console.print
    say("\n  predicted   score of 1   truth")
    for prediction, truth in zip(xcoms["predict"], xcoms["sample"]["truth"], strict=True):
        (score,) = prediction["predictedScores"].values()
        say(f"  {prediction['predictedLabel']:>9}   {score:10.4f}   {truth:>5}")
    say(METRIC.format(**xcoms["compare"]), end="")
    predictions = xcoms["compare"]["rows"] + len(xcoms["predict"])
    say(
        COST.format(
            status=xcoms["delete_endpoint"]["EndpointStatus"],
            predictions=predictions,
            predicting=predictions * PRICE_PER_PREDICTION,
            hour=PRICE_PER_10_MB,  # the model is smaller
            dag_id=DAG_ID,
            log=AIRFLOW_LOG,
        ),
        end="",
    )


def main() -> None:
    """Start the service, run the Dag, explain the result."""
    progress = Progress()
    with only_one(HOME, "make demo", INTERRUPTED), Processes(HOME / "logs") as processes:
        shutil.rmtree(HOME / "airflow", ignore_errors=True)
        progress.console.print(INTRODUCTION)
        with progress.step("Amazon ML Local starts, with S3 beside it"):
            url = start_local_service(processes, "--bucket", BUCKET)
        env = airflow_environment(HOME / "airflow", url, free_port())
        with progress.step("Airflow makes its database"):
            processes.run("database", str(BIN / "airflow"), "db", "migrate", env=env)
        explain(run_dag(processes, env, progress), progress)


if __name__ == "__main__":
    main()
