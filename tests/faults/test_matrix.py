"""Each fault in each way of waiting: the outcome, the exception, calls and time within bounds, nothing left running."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest

from airflow_ml_provider.compat import AirflowException, AirflowFailException, AirflowSensorTimeout
from tests.faults.ways import SENSOR_WAYS, Scene
from tests.helpers.endpoints import status

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.faults import FaultKind
    from amazon_ml_local.fixture import AmazonMLLocalFixture

GET, LIST = "GetMLModel", "DescribeMLModels"
BEGIN = 15.0  # seconds from the start, in the midst of the wait
READY_AT, DEADLINE = 100.0, 1000.0
STEADY = DEADLINE / 10 + 2  # looks at an interval that never grows
CLEAN_UP = 6  # Gets by which a task asks for 25 s whose the endpoint is, while none is answered


class Fault(NamedTuple):
    """One row: what happens, how the wait ends, and what it costs.

    ``seconds`` is the latest end, ``calls`` the most looks: Gets, and as many lists where lists are asked for. A sensor
    ends as ``sensor_ends`` says where only a task that made the endpoint itself can know that it is over; it goes on
    looking at a steady interval.
    """

    happens: Callable[[Scene], None]
    ends: Literal["success", "timeout", "failure", "error"]
    says: str = ""
    seconds: float = READY_AT + 20
    calls: int = 16
    sensor_ends: Literal["timeout"] | None = None

    def most_looks(self, way: str, is_sensor: bool) -> float:
        if way == "reschedule" and self.ends == "timeout":
            return STEADY  # each poke is a process of its own, and knows of no failure but its own
        if is_sensor:
            return STEADY if self.sensor_ends else self.calls
        return self.calls + (CLEAN_UP if self.ends == "timeout" else 0)


def fault(kind: FaultKind, operations: tuple[str, ...] = (GET, LIST), **arguments: Any) -> Callable[[Scene], None]:
    """Return what adds a fault to the looks alone, so that the clean-up goes through."""

    def happens(scene: Scene) -> None:
        for operation in operations:
            scene.service.faults.add(kind, operation=operation, **arguments)

    return happens


def outage(scene: Scene) -> None:
    """Refuse connections for 60 s, and break off those that are open."""
    scene.service.faults.add("reset", count=1)
    scene.front.close()
    scene.timeline(60, scene.front.open)
    scene.timeline(60, scene.service.faults.clear)


def delete_model(scene: Scene) -> None:
    delete_endpoint(scene)
    scene.service.client().delete_ml_model(MLModelId="ml-1")


def delete_endpoint(scene: Scene) -> None:
    scene.service.client().delete_realtime_endpoint(MLModelId="ml-1")


def fail_endpoint(scene: Scene) -> None:
    scene.service.service.fail("RealtimeEndpoint", "ml-1")


for_ever = partial(Fault, ends="timeout", seconds=DEADLINE + 20)

FAULTS = {
    "throttling for ever": for_ever(fault("throttling"), says="ThrottlingException"),
    "LimitExceeded for ever": for_ever(fault("limit_exceeded"), says="LimitExceededException"),
    "500 for ever": for_ever(fault("server_error"), says="InternalServerException"),
    "500 five times": Fault(fault("server_error", (GET,), count=5), "success", seconds=READY_AT + 620),
    "reset for ever": for_ever(fault("reset"), says="Connection was closed|Connection reset"),
    "garbage for ever": for_ever(fault("garbage"), says="without a status|ResponseParserError"),
    "refused for a minute": Fault(outage, "success", seconds=READY_AT + 150),
    "expired token, then fresh": Fault(fault("expired_token", count=1), "success", seconds=READY_AT + 40),
    "never enrolled": Fault(fault("never_enrolled"), "error", "was never enrolled", seconds=30),
    "Describe denied": Fault(
        fault("error", (LIST,), code="AccessDeniedException", message="no", status=400), "success"
    ),
    "model deleted": Fault(delete_model, "failure", "its MLModel is DELETED", seconds=30),
    "endpoint deleted": Fault(delete_endpoint, "failure", "somebody deleted it", seconds=30, sensor_ends="timeout"),
    "FAILED": Fault(fail_endpoint, "failure", "status FAILED", seconds=READY_AT + 20),
    "a list a minute behind": Fault(fault("lag", (LIST,), seconds=60), "success", seconds=READY_AT + 80, calls=20),
}


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("name", FAULTS)
def test_a_wait_ends_as_in_every_other_way(
    scene: Scene, service_clock: Clock, wait: Callable[..., Any], way: str, name: str
) -> None:
    """However the service fails: in time, and with nothing left."""
    service, row, is_sensor = scene.service, FAULTS[name], way in SENSOR_WAYS
    ends = (is_sensor and row.sensor_ends) or row.ends
    began = service_clock.now()
    scene.timeline(BEGIN, lambda: row.happens(scene))
    if ends == "success":
        assert wait()["EndpointStatus"] == "READY"
    else:
        with pytest.raises(expected(ends, is_sensor)) as caught:
            wait()
        assert caught.match(row.says if ends == row.ends else "")
    seconds = DEADLINE + 20 if ends == "timeout" else row.seconds
    assert service_clock.now() - began <= seconds
    service.faults.clear()
    most = row.most_looks(way, is_sensor)
    assert service.requests.count(GET) <= most
    assert service.requests.count(LIST) <= (most if way == "deferred_by_lists" else 0)
    check_what_is_left(service, is_sensor, ends)


def expected(ends: str, is_sensor: bool) -> Any:
    if not is_sensor:
        return AirflowException
    return AirflowSensorTimeout if ends == "timeout" else AirflowFailException


def check_what_is_left(service: AmazonMLLocalFixture, is_sensor: bool, ends: str) -> None:
    left = status(service)
    if is_sensor:
        deletes = [request for request in service.requests if request.operation == "DeleteRealtimeEndpoint"]
        assert {request.access_key for request in deletes} <= {"local"}  # the test's own client
    elif ends == "success":
        assert left == "READY"
    else:
        assert left == "NONE"


def test_an_answer_after_the_read_timeout_is_a_missed_look(
    service: AmazonMLLocalFixture, service_clock: Clock, wait: Callable[..., Any], way: str
) -> None:
    """It holds up nobody's deadline.

    A socket's timeout is real time, so here the clock runs: 20 s of it in a second, and 20 s for an answer.
    """
    service.service.durations.set(realtime_endpoint=1000)
    is_sensor = way in SENSOR_WAYS
    quick = {"poke_interval": 1, "timeout": 20} if is_sensor else {"waiter_delay": 1, "waiter_max_attempts": 20}
    service_clock.set_speed(20)
    service_clock.resume()
    for operation in (GET, LIST):
        service.faults.add("slow", operation=operation, seconds=20)
    with pytest.raises(expected("timeout", is_sensor)):
        wait(botocore_config={"read_timeout": 0.1}, **quick)
    service.faults.clear()
    check_what_is_left(service, is_sensor, "timeout")
