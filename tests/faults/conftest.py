"""What happens when, by the service's clock; and the four ways of waiting."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import BaseSensorOperator
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor
from airflow_ml_provider.triggers import bulk
from amazon_ml_local.serving.server import Server
from tests.deferred import finish

SENSOR_MODULE = __import__(BaseSensorOperator.__module__, fromlist=["time"])
AirflowRescheduleException = SENSOR_MODULE.AirflowRescheduleException


@pytest.fixture
def timeline(service_clock, monkeypatch):
    """Let events happen so many seconds from now, while somebody sleeps."""
    events, numbers, sleep = [], itertools.count(), service_clock.sleep

    def sleep_through(seconds: float) -> None:
        until = service_clock.now() + seconds
        while events and events[0][0] <= until:
            moment, _, event = heapq.heappop(events)
            sleep(max(0.0, moment - service_clock.now()))
            event()
        sleep(max(0.0, until - service_clock.now()))

    monkeypatch.setattr(service_clock, "sleep", sleep_through)
    monkeypatch.setattr(CLOCK, "sleep", sleep_through)
    monkeypatch.setattr(SENSOR_MODULE.time, "sleep", sleep_through)
    return lambda seconds, event: heapq.heappush(events, (service_clock.now() + seconds, next(numbers), event))


class Front:
    """The service's address for Airflow, at which nobody may be listening; tests have the fixture's own."""

    def __init__(self, service) -> None:
        self.service = service
        self.server = Server(service.handle)
        self.port = urlsplit(self.server.url).port

    def close(self) -> None:
        self.server.close()

    def open(self) -> None:
        self.server = Server(self.service.handle, port=self.port)


@pytest.fixture
def service(amazon_ml_local, ml_model, monkeypatch):
    """The service, whose endpoints take 100 s, with a COMPLETED model ml-1 and a front for Airflow."""
    amazon_ml_local.service.durations.set(realtime_endpoint=100)
    front = Front(amazon_ml_local.service)
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.server.url)
    monkeypatch.setattr(type(amazon_ml_local), "front", front, raising=False)
    yield amazon_ml_local
    front.close()


class Ways:
    """The ways of waiting for the endpoint of ml-1: a look every 10 s, 1,000 s at most."""

    def __init__(self, service, clock, monkeypatch) -> None:
        self.service, self.clock, self.monkeypatch = service, clock, monkeypatch

    def create(self, **arguments):
        defaults = {"task_id": "create", "ml_model_id": "ml-1", "waiter_delay": 10, "waiter_max_attempts": 100}
        return MachineLearningCreateRealtimeEndpointOperator(**defaults | arguments)

    def sensor(self, **arguments):
        self.service.client().create_realtime_endpoint(MLModelId="ml-1")
        defaults = {"task_id": "wait", "ml_model_id": "ml-1", "poke_interval": 10, "timeout": 1000}
        return MachineLearningRealtimeEndpointSensor(**defaults | arguments)

    def synchronous(self, **arguments):
        return self.create(deferrable=False, **arguments).execute({})

    def deferred(self, **arguments):
        return finish(self.create(deferrable=True, **arguments), self.clock)

    def deferred_by_lists(self, **arguments):
        self.monkeypatch.setattr(bulk, "MIN_WAITS_FOR_LIST", 1)
        return self.deferred(**arguments)

    def deferred_sensor(self, **arguments):
        return finish(self.sensor(deferrable=True, **arguments), self.clock)

    def poke(self, **arguments):
        return self.sensor(deferrable=False, **arguments).execute({})

    def reschedule(self, **arguments):
        """Execute as often as Airflow would, by what its database holds of the first time."""

        def now():
            return datetime.fromtimestamp(self.clock.now(), UTC)

        began, sensor = now(), self.sensor(deferrable=False, mode="reschedule", **arguments)
        names = dict.fromkeys(("dag_id", "task_id", "run_id", "map_index"), "")
        ti = SimpleNamespace(
            get_first_reschedule_date=lambda _: began, xcom_push=lambda **_: None, max_tries=0, **names
        )
        time_zone = SimpleNamespace(utcnow=now)
        self.monkeypatch.setattr(SENSOR_MODULE, "timezone", time_zone)
        self.monkeypatch.setattr(SENSOR_MODULE, "_orig_start_date", lambda **_: began, raising=False)
        while True:
            try:
                return sensor.execute({"ti": ti})
            except AirflowRescheduleException as again:
                self.clock.sleep(max(again.reschedule_date - now(), timedelta()).total_seconds())


OPERATOR_WAYS = ("synchronous", "deferred", "deferred_by_lists")
SENSOR_WAYS = ("poke", "reschedule", "deferred_sensor")


@pytest.fixture(params=[*OPERATOR_WAYS, *SENSOR_WAYS])
def way(request) -> str:
    return request.param


@pytest.fixture
def wait(service, service_clock, monkeypatch, timeline, way) -> Callable[..., object]:
    """Wait in one of the ways."""
    return getattr(Ways(service, service_clock, monkeypatch), way)
