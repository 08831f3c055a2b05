"""Wait for an endpoint that somebody else makes, by the sensor's execute, against the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor
from tests.helpers.deferred import finish
from tests.helpers.task_instances import context_of

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.faults import FaultKind
    from amazon_ml_local.fixture import AmazonMLLocalFixture


def sensor(**arguments: Any) -> MachineLearningRealtimeEndpointSensor:
    defaults: Any = {"task_id": "wait", "ml_model_id": "ml-1", "poke_interval": 10, "timeout": 300}
    return MachineLearningRealtimeEndpointSensor(**defaults | arguments)


@pytest.fixture
def updating(service: AmazonMLLocalFixture) -> AmazonMLLocalFixture:
    """The same, with an endpoint that is UPDATING."""
    service.client().create_realtime_endpoint(MLModelId="ml-1")
    service.requests.clear()
    return service


def test_ready_gives_the_info(updating: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """UPDATING keeps waiting; READY gives the endpoint's info to XCom as the operator does."""
    began = service_clock.now()
    info = sensor().execute({})
    assert info["EndpointStatus"] == "READY"
    assert info["EndpointUrl"] == updating.url
    assert service_clock.now() - began == pytest.approx(100)
    assert updating.requests.count("GetMLModel") == 11


def test_none_keeps_waiting(service: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """A model without an endpoint may get one: only the timeout ends the wait."""
    began = service_clock.now()
    with pytest.raises(AirflowSensorTimeout):
        sensor().execute({})
    assert 300 <= service_clock.now() - began <= 320


def test_failed_fails_at_once(updating: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """A FAILED endpoint does not become READY by itself."""
    updating.service.fail("RealtimeEndpoint", "ml-1")
    service_clock.advance(100)
    with pytest.raises(AirflowFailException, match="RealtimeEndpoint ml-1 in us-east-1: status FAILED"):
        sensor().execute({})
    assert updating.requests.count("GetMLModel") == 1


def test_an_unknown_model_fails_at_once(service: AmazonMLLocalFixture) -> None:
    """Nobody makes the endpoint of a model that is not there."""
    with pytest.raises(AirflowFailException, match="No MLModel with id ml-0 exists"):
        sensor(ml_model_id="ml-0").execute({})


@pytest.mark.parametrize("model_status", ["FAILED", "DELETED"])
def test_a_model_that_is_no_more_fails_at_once(
    service: AmazonMLLocalFixture, service_clock: Clock, model_status: str
) -> None:
    """Nobody makes the endpoint of a model that FAILED or is DELETED."""
    service.service.fail("MLModel", "ml-2")
    client = service.client()
    client.create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    service_clock.advance(1000)
    if model_status == "DELETED":
        client.delete_ml_model(MLModelId="ml-2")
    with pytest.raises(AirflowFailException, match=f"its MLModel is {model_status}"):
        sensor(ml_model_id="ml-2").execute({})


@pytest.mark.parametrize("kind", ["throttling", "limit_exceeded", "server_error", "reset", "garbage", "expired_token"])
def test_a_passing_error_is_only_a_missed_poke(updating: AmazonMLLocalFixture, kind: FaultKind) -> None:
    """Throttling, 5xx and broken connections are no verdict."""
    updating.faults.add(kind, operation="GetMLModel", count=3)
    assert sensor().execute({})["EndpointStatus"] == "READY"


def test_a_role_that_sts_does_not_give_just_now_is_only_a_missed_poke(
    updating: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No client can be made before STS answers; a deferrable sensor leaves that to the triggerer."""
    role = {"region_name": "us-east-1", "role_arn": "arn:aws:iam::123456789012:role/ml"}
    connection = {"conn_type": "aws", "login": "local", "password": "local", "extra": role}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert not sensor().poke({}).is_done
    with pytest.raises(TaskDeferred) as deferred:
        sensor(deferrable=True).execute({})
    assert "EndpointConnectionError" in deferred.value.trigger.wait.error


def test_a_permanent_error_fails_at_once(updating: AmazonMLLocalFixture) -> None:
    """Missing permissions do not pass by waiting; the message names the IAM action."""
    updating.faults.add("error", operation="GetMLModel", code="AccessDeniedException", message="no", status=400)
    with pytest.raises(AirflowFailException, match="IAM action machinelearning:GetMLModel"):
        sensor().execute({})


def test_target_none_waits_until_the_endpoint_is_gone(
    updating: AmazonMLLocalFixture, service_clock: Clock, at_next_sleep: Callable[[Callable[[], object]], None]
) -> None:
    """READY and UPDATING keep waiting for NONE."""
    service_clock.advance(30)
    wait = sensor(target_status="NONE")
    with pytest.raises(AirflowSensorTimeout):
        wait.execute({})
    updating.client().delete_realtime_endpoint(MLModelId="ml-1")
    assert wait.execute({})["EndpointStatus"] == "NONE"


@pytest.mark.parametrize("ml_model_id", ["ml-0", "ml-1"])
def test_target_none_takes_a_model_that_is_not_there_for_gone(service: AmazonMLLocalFixture, ml_model_id: str) -> None:
    """An unknown or DELETED model has no endpoint."""
    service.client().delete_ml_model(MLModelId="ml-1")
    assert sensor(ml_model_id=ml_model_id, target_status="NONE").execute({})["EndpointStatus"] == "NONE"


@pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
@pytest.mark.parametrize("deferrable", [False, True])
def test_soft_fail_and_never_fail_skip_on_a_final_verdict(
    updating: AmazonMLLocalFixture, service_clock: Clock, flag: str, deferrable: bool
) -> None:
    """They mean the same in a poke and in a deferrable task's first look."""
    updating.service.fail("RealtimeEndpoint", "ml-1")
    service_clock.advance(100)
    with pytest.raises(AirflowSkipException):
        sensor(deferrable=deferrable, **{flag: True}).execute({})


def test_an_unknown_target_status_is_refused_at_once() -> None:
    """The closed set is checked where it is written."""
    with pytest.raises(InvalidArgument, match="target_status: 'UPDATING'; it must be 'READY' or 'NONE'"):
        sensor(target_status="UPDATING")


@pytest.mark.parametrize("ml_model_id", ["", "x" * 65, "a b", None])
def test_an_id_that_is_none_is_refused_before_any_call(
    ml_model_id: str | None, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """A rendered value that is no id is named, by poke and deferrable alike."""
    for deferrable in (False, True):
        with pytest.raises(InvalidArgument, match="^ml_model_id: "):
            sensor(ml_model_id=ml_model_id, deferrable=deferrable).execute({})
    assert not list(amazon_ml_local.requests)


def test_calls_of_late_pokes_have_the_time_that_is_left(
    service: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In poke mode all pokes have one deadline, so that no call of the last one outlasts it."""
    left, call_once = [], MachineLearningHook.call_once

    def noted(hook: MachineLearningHook, operation: str, deadline: Any, **request: Any) -> Any:
        left.append(deadline - service_clock.now())
        return call_once(hook, operation, deadline, **request)

    monkeypatch.setattr(MachineLearningHook, "call_once", noted)
    with pytest.raises(AirflowSensorTimeout):
        sensor(timeout=95, deferrable=False).execute({})
    assert min(left) <= 5


def test_a_verdict_says_how_long_the_sensor_has_waited(updating: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """All pokes of a sensor are one wait."""
    updating.service.fail("RealtimeEndpoint", "ml-1")
    with pytest.raises(AirflowFailException, match="status FAILED after 100 s and 11 calls"):
        sensor(deferrable=False).execute({})


def test_the_deadline_says_what_was_last_seen(service: AmazonMLLocalFixture) -> None:
    """Airflow's own message knows neither the status nor the last error."""
    service.faults.add("throttling")
    with pytest.raises(AirflowSensorTimeout, match="the deadline of 300 s has passed; the last error was Throttl"):
        sensor(deferrable=False).execute({})


def test_the_sensors_own_verdict_comes_before_airflows(service: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """Airflow's message names no error, so a poke in the last moment of ``timeout`` is the last one."""
    service.faults.add("throttling")
    task = sensor(timeout=100)
    task.poke({})
    service_clock.sleep(100 - 1e-6)
    with pytest.raises(AirflowSensorTimeout, match="the last error was ThrottlingException"):
        task.poke(context_of(None))


def test_the_timeout_counts_from_the_start_of_the_task(
    service: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Airflow counts it: what comes before the first poke is part of it."""
    task, started = sensor(timeout=95, deferrable=False), service_clock.now()

    def check_slowly(argument: str) -> str:
        service_clock.sleep(8)
        return "ml-1"

    monkeypatch.setattr(task, "check_id", check_slowly)
    with pytest.raises(AirflowSensorTimeout, match="the deadline of 95 s has passed"):
        task.execute({})
    assert service_clock.now() - started == pytest.approx(98), "the last poke is the first one after the deadline"


@pytest.mark.parametrize("skips", [{}, {"soft_fail": True}, {"never_fail": True}], ids=str)
def test_past_execution_timeout_a_deferred_sensor_raises_task_timeout(
    service: AmazonMLLocalFixture, service_clock: Clock, skips: dict[str, bool]
) -> None:
    """As Airflow does for a sensor in a worker, so that it is retried: its ``timeout`` is not over yet."""
    task = sensor(deferrable=True, execution_timeout=timedelta(seconds=95), **skips)
    with pytest.raises(AirflowTaskTimeout, match="RealtimeEndpoint ml-1 in us-east-1: status NONE .* deadline of"):
        finish(task, service_clock)


def test_past_execution_timeout_a_lost_trigger_raises_task_timeout() -> None:
    """A trigger that never ran can send no event, so Airflow ends the deferral."""
    task = sensor(deferrable=True, execution_timeout=timedelta(seconds=95))
    with pytest.raises(AirflowTaskTimeout, match="Airflow ended the deferred wait: Trigger timeout"):
        task.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


def test_an_execution_timeout_after_the_timeout_changes_nothing(
    service: AmazonMLLocalFixture, service_clock: Clock
) -> None:
    """The sensor's own deadline comes first."""
    with pytest.raises(AirflowSensorTimeout, match="the deadline of 300 s has passed"):
        finish(sensor(deferrable=True, execution_timeout=timedelta(seconds=600)), service_clock)


def test_failed_pokes_come_later(service: AmazonMLLocalFixture) -> None:
    """After errors a sensor backs off as an operator does, and asks as seldom."""
    service.faults.add("throttling")
    with pytest.raises(AirflowSensorTimeout):
        sensor(deferrable=False, timeout=3000).execute({})
    assert service.requests.count("GetMLModel") <= 25


def test_a_rescheduled_sensor_knows_how_long_it_has_waited(
    updating: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on with the wait of its first poke, and after an error it waits twice its interval at most."""
    began = datetime.fromtimestamp(service_clock.now() - 200, UTC)
    ti = SimpleNamespace(get_first_reschedule_date=lambda _: began, start_date=began)
    late = sensor(deferrable=False, mode="reschedule")
    updating.faults.add("throttling", count=1)
    assert not late.poke(context_of(ti, task_reschedule_count=20)).is_done
    assert 10 <= late._get_next_poke_interval(began, lambda: 200, 1) <= 20
    updating.service.fail("RealtimeEndpoint", "ml-1")
    service_clock.advance(100)
    with pytest.raises(AirflowFailException, match="status FAILED after 300 s and 22 calls"):
        late.poke(context_of(ti, task_reschedule_count=20))
