"""Lineage: the events that the OpenLineage provider writes to a file in a Dag run, checked member by member."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from amazon_ml_local.fixture import served
from tests.dags.runs import FEATURES
from tests.helpers.training import ROWS, SCHEMA

HAS_OPENLINEAGE = importlib.util.find_spec("airflow.providers.openlineage") is not None
pytestmark = pytest.mark.skipif(not HAS_OPENLINEAGE, reason="the OpenLineage provider is not in this environment")

OURS = "arn:aws:machinelearning:us-east-1:123456789012"
RUN = """
import runpy, sys
from functools import cache
from airflow.utils.db import initdb
from botocore import session
initdb()
session.create_loader = cache(session.create_loader)  # each task would read botocore's data anew
dag = runpy.run_path(sys.argv[1])["dag"]
print(dag.test().state)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the text of the file of events that a run of ``features/lineage.py`` writes."""
    home = tmp_path_factory.mktemp("openlineage")
    log = home / "events.jsonl"
    with served() as service:
        service.storage.write("s3://training/train.csv", ROWS.encode())
        service.storage.write("s3://training/train.csv.schema", json.dumps(SCHEMA).encode())
        env = os.environ | service.env | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(FEATURES),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(log), "append": True}
            ),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps({"conn_type": "redshift", "login": "reader", "password": "hunter2"}),
        }  # fmt: skip
        command = [sys.executable, "-c", RUN, str(FEATURES / "lineage.py")]
        # Where the project's folder is on the path too, Airflow finds the plugin twice, and loads no plugin after it.
        result = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=280, check=False)
    assert "failed" in result.stdout.splitlines(), result.stderr[-3000:]
    return log.read_text()


@pytest.fixture(scope="module")
def events(written: str) -> dict[str, Any]:
    """Return the last event of each task that has ended, by the task's id."""
    found = [json.loads(line) for line in written.splitlines()]
    return {
        event["job"]["name"].removeprefix("lineage."): event
        for event in found
        if event["eventType"] in ("COMPLETE", "FAIL") and "." in event["job"]["name"]
    }


def datasets(event: Any, side: Any) -> list[Any]:
    """Return namespaces and names of an event's inputs or outputs."""
    return sorted((one["namespace"], one["name"]) for one in event[side])


def facet(event: Any) -> dict[str, Any]:
    """Return our facet of an event, without what every facet has."""
    return {name: value for name, value in event["run"]["facets"]["amazonMachineLearning"].items() if name[0] != "_"}


S3 = "s3://training"
CHAIN = {
    "data": ([(S3, "train.csv")], [(OURS, "datasource/ds")]),
    "train": ([(OURS, "datasource/ds")], [(OURS, "mlmodel/ml")]),
    "evaluate": ([(OURS, "datasource/ds"), (OURS, "mlmodel/ml")], [(OURS, "evaluation/ev")]),
    "gate": ([(OURS, "evaluation/ev")], []),
    "create": ([(OURS, "mlmodel/ml")], [(OURS, "realtimeendpoint/ml")]),
    "ready": ([(OURS, "realtimeendpoint/ml")], []),
    "predict": ([(OURS, "realtimeendpoint/ml")], []),
    "score": ([(OURS, "realtimeendpoint/ml"), (S3, "train.csv")], [(S3, "out/scored.csv")]),
    "batch": (
        [(OURS, "datasource/ds"), (OURS, "mlmodel/ml")],
        [(OURS, "batchprediction/bp"), (S3, "out/batch-prediction")],
    ),
    "delete": ([], [(OURS, "realtimeendpoint/ml")]),
    "fails": ([(OURS, "datasource/unknown")], [(OURS, "mlmodel/bad")]),
    "fails_with_secrets": ([], [(OURS, "datasource/redshift")]),
}


@pytest.mark.parametrize("task_id", CHAIN)
def test_inputs_and_outputs(events: dict[str, Any], task_id: str) -> None:
    """Each task names what it read and made, so that the chain from S3 to predictions joins."""
    event = events[task_id]
    assert event["eventType"] == ("FAIL" if task_id.startswith("fails") else "COMPLETE")
    assert (datasets(event, "inputs"), datasets(event, "outputs")) == CHAIN[task_id]


def test_every_task_has_an_event(events: dict[str, Any]) -> None:
    """None is forgotten here."""
    assert events.keys() == CHAIN.keys()


def test_facets_of_the_run(events: dict[str, Any]) -> None:
    """Kind, id, model, status, and an evaluation's metrics as numbers."""
    assert facet(events["train"]) == {
        "resource": "MLModel", "id": "ml", "mlModelId": "ml", "status": "COMPLETED", "metrics": {}
    }  # fmt: skip
    evaluated = facet(events["evaluate"])
    auc = evaluated["metrics"].pop("BinaryAUC")
    assert auc > 0.9
    assert evaluated == {
        "resource": "Evaluation", "id": "ev", "mlModelId": "ml", "status": "COMPLETED", "metrics": {}
    }  # fmt: skip
    assert facet(events["gate"])["metrics"] == {"BinaryAUC": pytest.approx(auc)}
    assert facet(events["create"])["status"] == "UPDATING"
    assert facet(events["ready"])["status"] == "READY"
    assert facet(events["delete"])["status"] == "NONE"
    assert facet(events["score"])["mlModelId"] == "ml"
    assert facet(events["fails"])["id"] == "bad"


def test_facets_of_outputs(events: dict[str, Any]) -> None:
    """Rows of predictions, bytes and files of data, and whether a thing was made or deleted."""

    def output(task_id: str, name: str) -> Any:
        return next(one for one in events[task_id]["outputs"] if one["name"] == name)

    def statistics(task_id: str, name: str) -> dict[str, Any]:
        found = output(task_id, name)["outputFacets"]["outputStatistics"]
        return {member: value for member, value in found.items() if member[0] != "_"}

    assert statistics("score", "out/scored.csv") == {"rowCount": 40}
    assert statistics("batch", "out/batch-prediction") == {"rowCount": 40}
    assert statistics("data", "datasource/ds") == {"size": len(ROWS), "fileCount": 1}
    changes = {
        task_id: output(task_id, name)["facets"]["lifecycleStateChange"]["lifecycleStateChange"]
        for task_id, name in {
            "train": "mlmodel/ml",
            "create": "realtimeendpoint/ml",
            "delete": "realtimeendpoint/ml",
        }.items()
    }
    assert changes == {"train": "CREATE", "create": "CREATE", "delete": "DROP"}


@pytest.mark.parametrize("secret", ["hunter2", "123454321", "X-Amz", "AWSSecret"])
def test_no_secret_and_no_record_is_written(written: str, secret: str) -> None:
    """Passwords, records, presigned URLs and keys are in none of the events."""
    assert secret not in written


def test_nothing_needs_openlineage_before_it_asks() -> None:
    """Importing every operator and sensor loads nothing of OpenLineage."""
    code = """
import sys
import airflow_ml_provider.operators.ml_model, airflow_ml_provider.operators.prediction
import airflow_ml_provider.operators.realtime_endpoint, airflow_ml_provider.sensors.machine_learning
print([name for name in sys.modules if name.startswith("openlineage") or name == "airflow_ml_provider.lineage"])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
