"""The ways of waiting, and what may happen meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from airflow_ml_provider.compat import BaseSensorOperator
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor
from airflow_ml_provider.triggers import bulk
from amazon_ml_local.serving.server import Server
from tests.helpers import endpoints
from tests.helpers.deferred import finish
from tests.helpers.task_instances import context_of

if TYPE_CHECKING:
    import pytest

    from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator
    from amazon_ml_local import AmazonMLLocal
    from amazon_ml_local.fixture import AmazonMLLocalFixture

SENSOR_MODULE = __import__(BaseSensorOperator.__module__, fromlist=["time"])
AirflowRescheduleException = SENSOR_MODULE.AirflowRescheduleException
OPERATOR_WAYS = ("synchronous", "deferred", "deferred_by_lists")
SENSOR_WAYS = ("poke", "reschedule", "deferred_sensor")
Timeline = Callable[[float, Callable[[], object]], None]


class Front:
    """The service's address for Airflow, at which nobody may be listening; tests have the fixture's own."""

    def __init__(self, service: AmazonMLLocal) -> None:
        self.service = service
        self.server = Server(service.handle)
        port = urlsplit(self.server.url).port
        assert port
        self.port = port

    def close(self) -> None:
        self.server.close()

    def open(self) -> None:
        self.server = Server(self.service.handle, port=self.port)


class Scene(NamedTuple):
    """What a fault may change: the service, its address, and what happens later."""

    service: AmazonMLLocalFixture
    front: Front
    timeline: Timeline


def rescheduled(began: datetime) -> SimpleNamespace:
    """Return what a sensor in reschedule mode uses of a task instance whose first poke began then."""
    return SimpleNamespace(
        get_first_reschedule_date=lambda _: began,
        start_date=began,  # on Airflow 2
        xcom_push=lambda **_: None,
        max_tries=0,
        **dict.fromkeys(("dag_id", "task_id", "run_id", "map_index"), ""),
    )


class Ways:
    """The ways of waiting for the endpoint of ml-1: a look every 10 s, 1,000 s at most."""

    def __init__(self, service: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch) -> None:
        self.service, self.clock, self.monkeypatch = service, service.clock, monkeypatch

    def create(self, **arguments: Any) -> MachineLearningCreateRealtimeEndpointOperator:
        return endpoints.create(**{"waiter_delay": 10, "waiter_max_attempts": 100} | arguments)

    def sensor(self, **arguments: Any) -> MachineLearningRealtimeEndpointSensor:
        self.service.client().create_realtime_endpoint(MLModelId="ml-1")
        defaults: Any = {"task_id": "wait", "ml_model_id": "ml-1", "poke_interval": 10, "timeout": 1000}
        return MachineLearningRealtimeEndpointSensor(**defaults | arguments)

    def synchronous(self, **arguments: Any) -> Any:
        return self.create(deferrable=False, **arguments).execute({})

    def deferred(self, **arguments: Any) -> Any:
        return finish(self.create(deferrable=True, **arguments), self.clock)

    def deferred_by_lists(self, **arguments: Any) -> Any:
        self.monkeypatch.setattr(bulk, "MIN_WAITS_FOR_LIST", 1)
        return self.deferred(**arguments)

    def deferred_sensor(self, **arguments: Any) -> Any:
        return finish(self.sensor(deferrable=True, **arguments), self.clock)

    def poke(self, **arguments: Any) -> Any:
        return self.sensor(deferrable=False, **arguments).execute({})

    def reschedule(self, **arguments: Any) -> Any:
        """Execute as often as Airflow would, by what its database holds of the first time."""

        def now() -> datetime:
            return datetime.fromtimestamp(self.clock.now(), UTC)

        began, sensor = now(), self.sensor(deferrable=False, mode="reschedule", **arguments)
        context = context_of(rescheduled(began))
        time_zone = SimpleNamespace(utcnow=now)
        self.monkeypatch.setattr(SENSOR_MODULE, "timezone", time_zone)
        self.monkeypatch.setattr(SENSOR_MODULE, "_orig_start_date", lambda **_: began, raising=False)
        while True:
            try:
                return sensor.execute(context)
            except AirflowRescheduleException as again:
                self.clock.sleep(max(again.reschedule_date - now(), timedelta()).total_seconds())
