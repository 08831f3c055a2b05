"""Deferred waits with connections of their own, by a real worker and a real triggerer: never ambient credentials."""

from __future__ import annotations

import json

import pytest

from tests.system.conftest import until

pytestmark = [pytest.mark.system, pytest.mark.core, pytest.mark.timeout(240)]

CONNECTION = {"conn_type": "aws", "password": "secret"}


@pytest.fixture(scope="module", autouse=True)
def connections(airflow):
    """``named`` is in Airflow's database; ``worker_only`` is where the workers run, and no triggerer knows it."""
    airflow.call("POST", "/connections", {"connection_id": "named", "login": "named-key", **CONNECTION})
    airflow.kill("scheduler")
    airflow.env["AIRFLOW_CONN_WORKER_ONLY"] = json.dumps({"login": "worker-key", **CONNECTION})
    airflow.start("scheduler")
    del airflow.env["AIRFLOW_CONN_WORKER_ONLY"]


@pytest.fixture
def run(airflow, service, models):
    """Run a Dag of a connection to its end; return its state, the endpoint's, and which calls had which key."""

    def to_its_end(name):
        service.service.durations.set(realtime_endpoint=8)
        (model,) = models(1)
        one = airflow.run(f"connection_{name}", model)
        until(lambda: one.state in ("success", "failed"), 150, lambda: (one.state, one.creates))
        ours = [received for received in service.requests if received.parameters.get("MLModelId") == model]
        status = service.client().get_ml_model(MLModelId=model)["EndpointInfo"]["EndpointStatus"]
        return one.state, status, {(received.operation, received.access_key) for received in ours}

    return to_its_end


def test_a_named_connection_is_used_by_worker_and_triggerer(run):
    """Every call of the task and of its wait is signed with that connection's key."""
    state, status, requests = run("named")
    assert (state, status) == ("success", "READY")
    assert requests == {("CreateRealtimeEndpoint", "named-key"), ("GetMLModel", "named-key")}


def test_a_connection_that_is_missing_is_an_error(run):
    """The task fails, and no call is made with the credentials that the environment holds."""
    state, status, requests = run("missing")
    assert (state, status) == ("failed", "NONE")
    assert requests == set()


def test_a_connection_that_the_triggerer_misses_is_an_error(run):
    """The wait fails, and the worker takes the endpoint down; nothing is signed with other credentials."""
    state, status, requests = run("worker_only")
    assert (state, status) == ("failed", "NONE")
    assert ("DeleteRealtimeEndpoint", "worker-key") in requests
    assert {key for _, key in requests} == {"worker-key"}
