"""Run an example Dag in this process, and report its tasks on standard output, one JSON object a line.

``python run_dag.py DAG_ID CONF TASK…`` ends with a line that holds the run's state and the XComs of the tasks named.
Everything that Airflow prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from airflow.dag_processing.dagbag import DagBag
from airflow.listeners import hookimpl
from airflow.sdk.listener import get_listener_manager

DAGS = Path(__file__).parent.parent / "dags"


class Reporter:
    """Report what happens to each task, as a listener of Airflow's."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def report(self, **event: object) -> None:
        """Write one line."""
        print(json.dumps(event), file=self.stream, flush=True)

    @hookimpl
    def on_task_instance_running(self, task_instance: Any) -> None:
        self.report(task=task_instance.task_id, state="running")

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        self.report(task=task_instance.task_id, state="success")

    @hookimpl
    def on_task_instance_failed(self, task_instance: Any, error: Any) -> None:
        kind = f"{type(error).__name__}: " if isinstance(error, BaseException) else ""
        self.report(task=task_instance.task_id, state="failed", error=f"{kind}{error}")


def main() -> None:
    """Run the Dag of the command line.

    :raises SystemExit: when its file cannot be read.
    """
    dag_id, conf, *wanted = sys.argv[1:]
    reporter = Reporter(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)
    sys.path.append(str(DAGS))  # as Airflow's Dag processor and its workers do
    bag = DagBag(str(DAGS / f"{dag_id}.py"))
    if bag.import_errors:
        raise SystemExit("\n".join(bag.import_errors.values()))
    get_listener_manager().add_listener(reporter)  # type: ignore[no-untyped-call] # Airflow's
    dag = bag.get_dag(dag_id)
    for task in dag.tasks:
        if hasattr(task, "waiter_delay"):
            task.waiter_delay = 1  # the local service takes seconds where AWS takes minutes
    reporter.report(read=dag_id)
    run = dag.test(run_conf=json.loads(conf))
    xcoms = {}
    if run.state == "success":
        xcoms = {name: run.get_task_instance(name).xcom_pull(task_ids=name) for name in wanted}
    reporter.report(run=run.state, xcoms=xcoms)


if __name__ == "__main__":
    main()
