"""The Dags of the endpoint matrix: those of ``dags/`` and of ``mapped.py``, word for word but for ids, models, data,
retries and pauses.

The file ``cases.json`` beside it, which the tests write, says which.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from airflow_ml_provider.compat import task

try:
    from airflow.sdk import get_parsing_context
except ImportError:  # Airflow 2
    from airflow.utils.dag_parsing_context import get_parsing_context  # type: ignore[import-not-found,no-redef]

HERE = Path(__file__).parent
SETTINGS = json.loads((HERE / "cases.json").read_text())
ARGUMENTS = '"waiter_delay": 1, "poke_interval": 1, "retry_delay": __import__("datetime").timedelta(seconds=1), '


@task
def skip() -> None:
    """Skip what comes after."""
    from airflow_ml_provider.compat import AirflowSkipException

    raise AirflowSkipException("as intended")


def text_of(case: dict[str, Any]) -> str:
    """Return the text of a case's Dag."""
    text = next(path for folder in SETTINGS["dags"] if (path := Path(folder) / case["file"]).exists()).read_text()
    arguments = f'default_args={{{ARGUMENTS}"deferrable": {case["deferrable"]}, "retries": {case["retries"]}'
    changes = {
        'default_args={"retries": 2, "retry_delay": timedelta(seconds=10)': arguments,
        'default_args={"retries": 2': arguments,
        "poke_interval=10, ": "",
        ", deferrable=True": "",
        '"waiter_delay": 5, ': "",
        "waiter_delay=5, ": "",
        'schedule="@weekly"': "schedule=None",
        'task_id="train",': f'task_id="train", ml_model_id="{case["model"]}",',
        "tumours, retrained weekly": case["model"],
        '"ml-churn"': f'"{case["model"]}"',
        '"ml-churn-2"': f'"{case["model"]}-2"',
        '"ml-1"': f'"{case["model"]}"',
        "amazon-ml-demo": "bucket",
        "predictions.csv": f"{case['model']}.csv",
        **case["changes"],
    }
    for before, after in changes.items():
        text = text.replace(before, after)
    return re.sub(r'DAG\(\s*"[a-z0-9_]+"', f'DAG("{case["dag_id"]}"', text, count=1)


def dag_of(case: dict[str, Any]) -> Any:
    """Return the Dag of a case."""
    found: dict[str, Any] = {"__name__": case["dag_id"]}
    exec(compile(text_of(case), f"{case['dag_id']} of {case['file']}", "exec"), found)
    if case["skipped"]:
        with found["dag"]:
            skip() >> found[case["create"]]
    return found["dag"]


wanted = get_parsing_context().dag_id  # of the task that is to run: making the other Dags would cost it a second
for one in SETTINGS["cases"]:
    if wanted in (None, one["dag_id"]):
        globals()[one["dag_id"]] = dag_of(one)
