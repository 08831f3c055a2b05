"""The Dags of the endpoint matrix: those of ``dags/``, word for word but for ids, models, retries and pauses.

The file ``cases.json`` beside it, which the tests write, says which.
"""

from __future__ import annotations

import json
from pathlib import Path

from airflow_ml_provider.compat import task

HERE = Path(__file__).parent
SETTINGS = json.loads((HERE / "cases.json").read_text())
ARGUMENTS = '"waiter_delay": 1, "poke_interval": 1, "retry_delay": __import__("datetime").timedelta(seconds=1), '


@task
def skip() -> None:
    """Skip what comes after."""
    from airflow_ml_provider.compat import AirflowSkipException

    raise AirflowSkipException("as intended")


def dag_of(case: dict):
    """Return the Dag of a case."""
    text = (Path(SETTINGS["dags"]) / case["file"]).read_text()
    default_args = f'default_args={{{ARGUMENTS}"deferrable": {case["deferrable"]}, "retries": {case["retries"]}, '
    changes = {
        'default_args={"retries": 2, ': default_args,
        "poke_interval=10, ": "",
        ", deferrable=True": "",
        'DAG("deploy_and_predict_short"': f'DAG("{case["dag_id"]}"',
        'DAG("deploy_and_predict"': f'DAG("{case["dag_id"]}"',
        '"ml-churn"': f'"{case["model"]}"',
        **case["changes"],
    }
    for before, after in changes.items():
        text = text.replace(before, after)
    found: dict = {"__name__": case["dag_id"]}
    exec(compile(text, f"{case['dag_id']} of {case['file']}", "exec"), found)
    if case["skipped"]:
        with found["dag"]:
            skip() >> found["create"]
    return found["dag"]


for one in SETTINGS["cases"]:
    globals()[one["dag_id"]] = dag_of(one)
