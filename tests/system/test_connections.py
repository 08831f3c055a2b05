"""Deferred waits with connections of their own, by a real worker and a real triggerer: never ambient credentials."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.polling import until

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.helpers.airflow import Airflow

pytestmark = [pytest.mark.system, pytest.mark.core, pytest.mark.timeout(400)]

NAMES = ("named", "worker_only", "missing")
CONNECTION = {"conn_type": "aws", "password": "secret"}


@pytest.fixture(scope="module")
def connections(airflow: Airflow) -> None:
    """``named`` is in Airflow's database; ``worker_only`` is where the workers run, and no triggerer knows it."""
    airflow.call("POST", "/connections", {"connection_id": "named", "login": "named-key", **CONNECTION})
    airflow.kill("scheduler")
    airflow.env["AIRFLOW_CONN_WORKER_ONLY"] = json.dumps({"login": "worker-key", **CONNECTION})
    airflow.start("scheduler")
    del airflow.env["AIRFLOW_CONN_WORKER_ONLY"]


@pytest.fixture(scope="module")
def ended(airflow: Airflow, connections: None, shared_service: AmazonMLLocalFixture) -> dict[str, Any]:
    """Run the three Dags at once; by connection, the run's state, the endpoint's, and which calls had which key."""
    client = shared_service.client()
    shared_service.service.durations.set(realtime_endpoint=8)
    for name in NAMES:
        client.create_ml_model(MLModelId=name, MLModelType="BINARY", TrainingDataSourceId="ds")
    until(lambda: all(client.get_ml_model(MLModelId=name)["Status"] == "COMPLETED" for name in NAMES))
    shared_service.requests.clear()
    runs = {name: airflow.run(f"connection_{name}", name) for name in NAMES}
    until(lambda: {run.state for run in runs.values()} <= {"success", "failed"}, 200, lambda: runs["named"].creates)
    received = list(shared_service.requests)
    return {
        name: (
            run.state,
            client.get_ml_model(MLModelId=name)["EndpointInfo"]["EndpointStatus"],
            {(one.operation, one.access_key) for one in received if one.parameters.get("MLModelId") == name},
        )
        for name, run in runs.items()
    }


def test_a_named_connection_is_used_by_worker_and_triggerer(ended: dict[str, Any]) -> None:
    """Every call of the task and of its wait is signed with that connection's key."""
    state, status, requests = ended["named"]
    assert (state, status) == ("success", "READY")
    assert requests == {("CreateRealtimeEndpoint", "named-key"), ("GetMLModel", "named-key")}


def test_a_connection_that_is_missing_is_an_error(ended: dict[str, Any]) -> None:
    """The task fails, and no call is made with the credentials that the environment holds."""
    assert ended["missing"] == ("failed", "NONE", set())


def test_a_connection_that_the_triggerer_misses_is_an_error(ended: dict[str, Any]) -> None:
    """The wait fails, and the worker deletes the endpoint; nothing is signed with other credentials."""
    state, status, requests = ended["worker_only"]
    assert (state, status) == ("failed", "NONE")
    assert ("DeleteRealtimeEndpoint", "worker-key") in requests
    assert {key for _, key in requests} == {"worker-key"}
