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
def test_an_event_names_what_its_task_read_and_made(events: dict[str, Any], task_id: str) -> None:
    """So that the chain from S3 to predictions joins."""
    event = events[task_id]
    assert event["eventType"] == ("FAIL" if task_id.startswith("fails") else "COMPLETE")
    assert (datasets(event, "inputs"), datasets(event, "outputs")) == CHAIN[task_id]


def test_every_task_has_an_event(events: dict[str, Any]) -> None:
    """Each that this file says something of, and no other."""
    assert events.keys() == CHAIN.keys()


FACETS: dict[str, dict[str, Any]] = {
    "train": {"resource": "MLModel", "id": "ml", "mlModelId": "ml", "status": "COMPLETED", "metrics": {}},
    "evaluate": {"resource": "Evaluation", "id": "ev", "mlModelId": "ml", "status": "COMPLETED"},
    "create": {"status": "UPDATING"},
    "ready": {"status": "READY"},
    "delete": {"status": "NONE"},
    "score": {"mlModelId": "ml"},
    "fails": {"id": "bad"},
}


@pytest.mark.parametrize("task_id", FACETS)
def test_a_runs_facet_has_resource_id_model_and_status(events: dict[str, Any], task_id: str) -> None:
    """Of a task that failed too, as far as they are known."""
    assert facet(events[task_id]).items() >= FACETS[task_id].items()


@pytest.mark.parametrize("task_id", ["train", "evaluate"])
def test_a_runs_facet_has_no_other_members(events: dict[str, Any], task_id: str) -> None:
    """Who reads it finds the same five everywhere."""
    assert facet(events[task_id]).keys() == {"resource", "id", "mlModelId", "status", "metrics"}


def test_an_evaluations_metrics_are_numbers(events: dict[str, Any]) -> None:
    """In the facet of the evaluation, and of the gate that reads it."""
    evaluated, gated = facet(events["evaluate"])["metrics"], facet(events["gate"])["metrics"]
    assert evaluated.keys() == {"BinaryAUC"}
    assert evaluated["BinaryAUC"] > 0.9
    assert gated == pytest.approx(evaluated)


def output(event: Any, name: str) -> Any:
    """Return an event's output of this name."""
    return next(one for one in event["outputs"] if one["name"] == name)


@pytest.mark.parametrize(
    ("task_id", "name", "expected"),
    [
        ("score", "out/scored.csv", {"rowCount": 40}),
        ("batch", "out/batch-prediction", {"rowCount": 40}),
        ("data", "datasource/ds", {"size": len(ROWS), "fileCount": 1}),
    ],
)
def test_an_outputs_facet_counts_what_is_in_it(
    events: dict[str, Any], task_id: str, name: str, expected: dict[str, int]
) -> None:
    """Rows of predictions, bytes and files of data."""
    found = output(events[task_id], name)["outputFacets"]["outputStatistics"]
    assert {member: value for member, value in found.items() if member[0] != "_"} == expected


@pytest.mark.parametrize(
    ("task_id", "name", "change"),
    [
        ("train", "mlmodel/ml", "CREATE"),
        ("create", "realtimeendpoint/ml", "CREATE"),
        ("delete", "realtimeendpoint/ml", "DROP"),
    ],
)
def test_an_outputs_facet_says_whether_it_was_created_or_deleted(
    events: dict[str, Any], task_id: str, name: str, change: str
) -> None:
    """As OpenLineage names it."""
    found = output(events[task_id], name)["facets"]["lifecycleStateChange"]
    assert found["lifecycleStateChange"] == change


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
