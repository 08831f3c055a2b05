"""What happens when, by the service's clock; and the ways of waiting."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider import transport
from airflow_ml_provider.clock import CLOCK
from tests.faults.ways import OPERATOR_WAYS, SENSOR_MODULE, SENSOR_WAYS, Front, Scene, Timeline, Ways

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture
def timeline(service_clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Timeline:
    """Arrange events so many seconds from now, which happen while somebody sleeps."""
    events: list[tuple[float, int, Callable[[], object]]] = []
    numbers, sleep = itertools.count(), service_clock.sleep

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


@pytest.fixture
def front(service: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """Where Airflow finds the service."""
    front = Front(service.service)
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.server.url)
    yield front
    front.close()


@pytest.fixture
def scene(service: AmazonMLLocalFixture, front: Front, timeline: Timeline) -> Scene:
    """What a fault may change."""
    return Scene(service, front, timeline)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengthen the last attempt before a deadline to what a busy machine may take.

    It has one second, of real time, though the clock by which the wait lives stands still.
    """
    monkeypatch.setattr(transport, "LEAST_SECONDS", transport.SECONDS)


@pytest.fixture(params=[*OPERATOR_WAYS, *SENSOR_WAYS])
def way(request: pytest.FixtureRequest) -> str:
    """One way of waiting after another."""
    return str(request.param)


@pytest.fixture
def wait(scene: Scene, monkeypatch: pytest.MonkeyPatch, way: str) -> Callable[..., Any]:
    """Wait in one of the ways."""
    wait: Callable[..., Any] = getattr(Ways(scene.service, monkeypatch), way)
    return wait
