"""Real kills: every run ends as it should, no endpoint is made twice, and none is left over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.airflow import ON_AIRFLOW_2
from tests.helpers.endpoints import status
from tests.helpers.polling import until

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.helpers.airflow import Airflow, Run

WAITS = 5 if ON_AIRFLOW_2 else 20  # of one triggerer; Airflow 2 begins them one by one here

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def count(service: AmazonMLLocalFixture, operation: str) -> Any:
    return service.requests.count(operation)


def is_deferred(run: Run, tasks: int = 1) -> Callable[..., Any]:
    return lambda: run.states["deferred"] == tasks


def ends(run: Run, state: str) -> None:
    until(lambda: run.state == state, 150, lambda: (run.state, run.creates))


@pytest.fixture
def waiting(
    airflow: Airflow, service: AmazonMLLocalFixture, models: Callable[[int], list[str]]
) -> Callable[[str, float], tuple[Run, str]]:
    """A run of a Dag that waits for one endpoint, and the model's id."""

    def start(dag_id: str, seconds: float) -> tuple[Any, ...]:
        service.service.durations.set(realtime_endpoint=seconds)
        (model,) = models(1)
        run = airflow.run(dag_id, model)
        if dag_id == "in_worker":
            until(lambda: count(service, "CreateRealtimeEndpoint") == 1)
            seen = count(service, "GetMLModel")
            until(lambda: count(service, "GetMLModel") > seen + 1)
        else:
            until(is_deferred(run), describe=lambda: run.creates)
            seen = count(service, "GetMLModel")
            until(lambda: count(service, "GetMLModel") > seen)  # a triggerer has the wait
        return run, model

    return start


def test_a_killed_triggerer_costs_nothing(
    airflow: Airflow, service: AmazonMLLocalFixture, models: Callable[[int], list[str]]
) -> None:
    """Another one goes on with its waits: in the same tries, with no endpoint made or deleted again."""
    service.service.durations.set(realtime_endpoint=60)
    names = models(WAITS)
    run = airflow.run("many", *names)
    until(is_deferred(run, WAITS), 120, lambda: run.states)
    airflow.start("triggerer-2")
    airflow.kill("triggerer")
    ends(run, "success")
    assert {instance["try_number"] for instance in run.creates} == {1}
    assert count(service, "CreateRealtimeEndpoint") == WAITS
    assert count(service, "DeleteRealtimeEndpoint") == 0
    assert {status(service, name) for name in names} == {"READY"}


@pytest.mark.parametrize("mid", ["wait", "create"])
def test_a_killed_worker_is_taken_over(
    airflow: Airflow,
    service: AmazonMLLocalFixture,
    models: Callable[[int], list[str]],
    waiting: Callable[[str, float], tuple[Run, str]],
    mid: str,
) -> None:
    """The next try finds the endpoint that the killed one made, knows it for its own, and goes on waiting."""
    if mid == "wait":
        run, model = waiting("in_worker", 40)
    else:
        service.service.durations.set(realtime_endpoint=40)
        (model,) = models(1)
        service.faults.add("slow", operation="CreateRealtimeEndpoint", when="after", seconds=30, count=1)
        run = airflow.run("in_worker", model)
        until(lambda: status(service, model) == "UPDATING")
    made = service.client().get_ml_model(MLModelId=model)["EndpointInfo"]["CreatedAt"]
    airflow.kill_worker()
    ends(run, "success")
    assert [instance["try_number"] for instance in run.creates] == [2]
    assert count(service, "DeleteRealtimeEndpoint") == 0
    assert service.client().get_ml_model(MLModelId=model)["EndpointInfo"]["CreatedAt"] == made


def test_marked_failed_while_deferred_deletes(
    service: AmazonMLLocalFixture, waiting: Callable[[str, float], tuple[Run, str]]
) -> None:
    """Nobody will take the endpoint over."""
    run, model = waiting("deferred", 600)
    run.mark("failed")
    until(lambda: status(service, model) == "NONE", 60)
    ends(run, "failed")


def test_marked_success_while_deferred_keeps(
    service: AmazonMLLocalFixture, waiting: Callable[[str, float], tuple[Run, str]]
) -> None:
    """The user wants it, and it becomes READY without anybody waiting."""
    run, model = waiting("deferred", 40)
    run.mark("success")
    ends(run, "success")
    until(lambda: status(service, model) == "READY", 60)
    assert count(service, "DeleteRealtimeEndpoint") == 0


def test_cleared_while_deferred_is_taken_over(
    service: AmazonMLLocalFixture, waiting: Callable[[str, float], tuple[Run, str]]
) -> None:
    """The new try waits for the endpoint that the old one made."""
    run, model = waiting("deferred", 30)
    made = service.client().get_ml_model(MLModelId=model)["EndpointInfo"]["CreatedAt"]
    run.clear()
    until(lambda: run.creates[0]["try_number"] == 2)
    ends(run, "success")
    assert count(service, "DeleteRealtimeEndpoint") == 0
    assert service.client().get_ml_model(MLModelId=model)["EndpointInfo"]["CreatedAt"] == made


def test_a_task_that_is_timed_out_while_deferred_deletes(
    service: AmazonMLLocalFixture, waiting: Callable[[str, float], tuple[Run, str]]
) -> None:
    """Airflow ends the deferral itself, and the task finds out in its last moment that the endpoint is its own."""
    run, model = waiting("too_long", 600)
    ends(run, "failed")
    until(lambda: status(service, model) == "NONE", 60)


def test_a_run_that_is_timed_out_deletes(
    service: AmazonMLLocalFixture, waiting: Callable[[str, float], tuple[Run, str]]
) -> None:
    """Airflow skips the tasks that a run's dagrun_timeout finds unfinished, and the endpoint goes."""
    run, model = waiting("timed_out", 600)
    ends(run, "failed")
    until(lambda: status(service, model) == "NONE", 60)


def test_a_stopped_triggerer_deletes_nothing(
    airflow: Airflow, service: AmazonMLLocalFixture, waiting: Callable[[str, float], tuple[Run, str]]
) -> None:
    """SIGTERM is a restart: the wait goes on in the next one."""
    run, model = waiting("deferred", 30)
    name = next(name for name in airflow.processes.running if name.startswith("triggerer"))
    process = airflow.processes.running.pop(name)
    process.terminate()
    process.wait(60)
    airflow.start("triggerer")
    ends(run, "success")
    assert count(service, "CreateRealtimeEndpoint") == 1
    assert count(service, "DeleteRealtimeEndpoint") == 0
    assert status(service, model) == "READY"


def test_the_report_deletes_what_a_killed_run_left(
    airflow: Airflow, service: AmazonMLLocalFixture, models: Callable[[int], list[str]]
) -> None:
    """Kept are the endpoint of a run that is not over, and the one that the report is told to keep."""
    service.service.durations.set(realtime_endpoint=600)
    left, used, kept = models(3)
    run = airflow.run("never_deleted", left)
    until(lambda: status(service, left) == "UPDATING")
    airflow.kill_worker()
    ends(run, "failed")
    service.client().create_realtime_endpoint(MLModelId=kept)
    going_on = airflow.run("deferred", used)
    until(is_deferred(going_on), describe=lambda: going_on.creates)
    ends(airflow.run("report", kept), "success")
    assert {name: status(service, name) for name in (left, used, kept)} == {
        left: "NONE",
        used: "UPDATING",
        kept: "UPDATING",
    }
    going_on.mark("success")


@pytest.mark.skipif(ON_AIRFLOW_2, reason="Airflow 2 has no AssetWatcher")
def test_a_dag_starts_once_when_an_endpoint_becomes_ready(airflow: Airflow, service: AmazonMLLocalFixture) -> None:
    """An AssetWatcher's event is a change: a restart of the triggerer, which looks anew, starts no further run."""
    service.service.durations.set(realtime_endpoint=5)
    client, runs = service.client(), "/dags/on_ready/dagRuns"
    client.create_ml_model(MLModelId="watched", MLModelType="BINARY", TrainingDataSourceId="ds")
    until(lambda: client.get_ml_model(MLModelId="watched")["Status"] == "COMPLETED")

    def looked() -> None:
        service.requests.clear()
        until(lambda: count(service, "GetMLModel") >= 3)

    looked()
    client.create_realtime_endpoint(MLModelId="watched")
    until(lambda: [run["state"] for run in airflow.call("GET", runs)["dag_runs"]] == ["success"])
    airflow.kill(next(name for name in airflow.processes.running if name.startswith("triggerer")))
    airflow.start("triggerer")
    looked()
    (run,) = airflow.call("GET", runs)["dag_runs"]
    path = f"{runs}/{run['dag_run_id']}/taskInstances/heard/xcomEntries/return_value"
    assert airflow.call("GET", path)["value"] == ["READY"]
