"""Whatever the other side answers, each path ends in time and in little memory: a server on a socket, in real time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import AirflowException, TaskDeferred
from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from airflow_ml_provider.operators.ml_model import MachineLearningGetMLModelOperator
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator
from airflow_ml_provider.scoring.objects import ObjectVersion, open_at
from airflow_ml_provider.scoring.writing import Key, put_part
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor
from airflow_ml_provider.triggers import bulk
from airflow_ml_provider.triggers.machine_learning import MachineLearningTrigger
from airflow_ml_provider.waiting import Wait
from tests.faults.ways import AirflowRescheduleException, rescheduled
from tests.helpers import training
from tests.helpers.deferred import first_event
from tests.helpers.hostile import ANSWERS, TLS_STALL, hostile
from tests.helpers.memory import most_memory
from tests.helpers.task_instances import context_of

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture

SECONDS = 2  # that each path is given
LATEST = SECONDS + 15  # a machine may be busy
MOST_MB = 250
CONFIG: dict[str, Any] = {"read_timeout": 1, "retries": {"total_max_attempts": 1}}
SENSOR: dict[str, Any] = {"ml_model_id": "ml-1", "poke_interval": 0.5, "timeout": SECONDS, "botocore_config": CONFIG}
KINDS = [*ANSWERS, TLS_STALL]

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]  # real time: make test-hostile


def sensor(**arguments: Any) -> MachineLearningRealtimeEndpointSensor:
    return MachineLearningRealtimeEndpointSensor(task_id="wait", **SENSOR | arguments)


def trigger(
    model_id: str = "ml-1", seconds: float = SECONDS, delay: float = 0.5, **settings: Any
) -> MachineLearningTrigger:
    now = CLOCK.now()
    wait = Wait("realtime_endpoint_ready", model_id, "us-east-1", now + seconds, delay, now, status="UPDATING")
    return MachineLearningTrigger(wait=wait.to_json(), carried={}, botocore_config=CONFIG, **settings)


def single_call() -> None:
    operator = MachineLearningGetMLModelOperator(task_id="get", ml_model_id="ml-1", botocore_config=CONFIG)
    operator.execute({})


def worker() -> None:
    MachineLearningCreateRealtimeEndpointOperator(
        task_id="create", ml_model_id="ml-1", waiter_delay=0.5, waiter_max_attempts=4, botocore_config=CONFIG
    ).execute({})


def poke() -> None:
    sensor(deferrable=False).execute({})


def reschedule() -> Any:
    context = context_of(rescheduled(datetime.now(UTC)))
    while True:
        try:
            return sensor(deferrable=False, mode="reschedule").execute(context)
        except AirflowRescheduleException as again:
            time.sleep(max(again.reschedule_date.timestamp() - time.time(), 0))


def deferred() -> Any:
    task = sensor(deferrable=True)
    try:
        return task.execute({})
    except TaskDeferred as deferral:
        event = asyncio.run(first_event(deferral.trigger))
        return task.resume_execution(deferral.method_name, {"event": event.payload}, {})


def list_of_the_poller() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "MIN_WAITS_FOR_LIST", 1)
        outcome = asyncio.run(first_event(trigger())).payload["outcome"]
    raise AirflowException(outcome["message"])


def predict() -> None:
    MachineLearningHook(config=CONFIG).predict("ml-1", {"x": 1}, os.environ["AWS_ENDPOINT_URL"], mount_timeout=SECONDS)


def predict_below_the_client() -> None:
    from airflow_ml_provider.predicting.wire import Wire

    wire = Wire(MachineLearningHook(config=CONFIG), "ml-1", os.environ["AWS_ENDPOINT_URL"])
    body = wire.body({"x": 1})
    assert isinstance(body, bytes)
    wire.predict(body)


def s3_read() -> None:
    open_at(MachineLearningHook(config=CONFIG).s3, ObjectVersion("s3://bucket/key", '"etag"', 1000)).read()


def s3_write() -> None:
    put_part(MachineLearningHook(config=CONFIG).s3, Key("bucket", "key"), bytes(1024 * 1024))


WAITS = (worker, poke, reschedule, deferred, list_of_the_poller)
PATHS = (*WAITS, single_call, predict, predict_below_the_client, s3_read, s3_write)


def failure_of(path: Callable[[], object]) -> Exception | None:
    """Return what a path raised."""
    try:
        path()
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", PATHS)
def test_a_path_ends(path: Callable[..., Any], kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within its time and a few seconds, without growing, and without a request to another host."""
    with ExitStack() as stack:
        elsewhere = stack.enter_context(hostile("html"))
        server = stack.enter_context(hostile(kind))
        server.elsewhere = elsewhere.url
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        began, memory = time.monotonic(), most_memory()
        failure = failure_of(path)
        assert time.monotonic() - began < LATEST
        assert most_memory() - memory < MOST_MB
        assert server.asked
        assert path != list_of_the_poller or kind == TLS_STALL or b"DescribeMLModels" in b"".join(server.asked)
        assert not elsewhere.asked
    assert path not in WAITS or "deadline" in str(failure)
    assert failure or path in (s3_read, s3_write)  # S3's answers have no shape that a page could fail to have


@pytest.fixture
def ml_models(amazon_ml_local: AmazonMLLocalFixture) -> list[str]:
    """Twenty models whose endpoints are UPDATING for two seconds."""
    service, client = amazon_ml_local.service, amazon_ml_local.client()
    service.clock.freeze()
    training.create_data_source(amazon_ml_local)
    ids = [f"model-{number:02}" for number in range(20)]
    for model_id in ids:
        client.create_ml_model(MLModelId=model_id, MLModelType="BINARY", TrainingDataSourceId="ds-1")
    service.clock.advance(3600)
    assert {client.get_ml_model(MLModelId=model_id)["Status"] for model_id in ids} == {"COMPLETED"}
    service.durations.set(realtime_endpoint=2)
    for model_id in ids:
        client.create_realtime_endpoint(MLModelId=model_id)
    service.clock.resume()
    return ids


@pytest.mark.parametrize("chosen", [b'"model-07"', b"DescribeMLModels"])
def test_one_that_hangs_holds_up_no_other(
    ml_models: list[str], amazon_ml_local: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch, chosen: bytes
) -> None:
    """Of twenty waits of which one drips nineteen end as without it; a list that drips costs calls only."""
    with hostile("drip_body", amazon_ml_local.url, lambda request: chosen in request) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        ended: dict[str, tuple[str, float]] = {}

        async def wait_for(model_id: str) -> None:
            event = await first_event(trigger(model_id, seconds=20, delay=1))
            ended[model_id] = (event.payload["outcome"]["kind"], time.monotonic() - began)

        async def together() -> None:
            await asyncio.gather(*map(wait_for, ml_models))

        began = time.monotonic()
        asyncio.run(together())
        drips = {"model-07"} if chosen == b'"model-07"' else set()
        assert {model_id for model_id, (kind, _) in ended.items() if kind != "success"} == drips
        assert max(seconds for kind, seconds in ended.values() if kind == "success") < 15
        assert max(seconds for _, seconds in ended.values()) < 30
