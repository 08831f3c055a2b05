"""When calls may go, by a clock of the test's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.predicting.pace import Pace
from tests.helpers.rates import busiest_second


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> Any:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def sent(pace: Any, calls: Any, latency: Callable[..., Any] = lambda: 0.0) -> Any:
    """Make calls, each answered before the next but in flight for some time; return their slots."""
    slots = []
    for _ in range(calls):
        slot = pace.wait()
        now, pace.clock.time = pace.clock.time, pace.clock.time + latency()
        pace.record_answer(slot)
        pace.clock.time = now
        slots.append(slot)
    return slots


limits = pytest.mark.parametrize("limit", [1, 3, 66, 200])


@limits
def test_no_second_has_more_than_the_limit(limit: int) -> None:
    """Slots are even, so that it holds from when on ever the second is counted."""
    assert busiest_second([slot.at for slot in sent(Pace(limit, Clock()), 10 * limit + 1)]) <= limit


@limits
def test_over_time_the_limit_is_used(limit: int) -> None:
    """To at least 99 %."""
    slots = sent(Pace(limit, Clock()), 10 * limit + 1)
    assert slots[-1].at - slots[0].at < 10 / 0.99


def test_there_is_no_burst_after_a_pause() -> None:
    """Slots that nobody took are lost, but for the last 50 ms of them."""
    pace = Pace(100, Clock())
    sent(pace, 50)
    pace.clock.sleep(30)
    slots = [slot.at for slot in sent(pace, 50)]
    assert slots[-1] - slots[0] >= 49 / 100 - 0.05 - 1e-6


def test_calls_that_arrive_late_do_not_make_a_second_too_full() -> None:
    """With a latency that jumps about both ways, what reaches the service within a second is within the limit."""
    jumps = random.Random(1)
    pace = Pace(200, Clock())

    def latency() -> Any:
        return 0.02 if jumps.random() < 0.9 else jumps.uniform(0.02, 0.08)

    sent(pace, 10)
    slots = sent(pace, 4000, latency)
    assert busiest_second(sorted(slot.sent + slot.took for slot in slots[200:])) <= 200


def test_the_first_call_may_have_arrived_late() -> None:
    """How long the way is shows later: then the time that the first call took to connect counts as late."""
    pace = Pace(50, Clock())
    (first,) = sent(pace, 1, lambda: 0.1)
    *_, one_too_many = sent(pace, 50)
    assert one_too_many.at > first.at + 0.1 + 1


def test_throttling_lowers_the_rate_once_a_second() -> None:
    """Ten refusals at once lower it by a twentieth, not to nothing."""
    pace = Pace(100, Clock())
    for _ in range(10):
        pace.lower_rate()
    assert pace.rate == pytest.approx(95)
    pace.clock.sleep(2)
    pace.lower_rate()
    assert pace.rate < 95


def test_without_refusals_the_rate_comes_back() -> None:
    """Up to the limit."""
    pace = Pace(100, Clock())
    pace.lower_rate()
    sent(pace, 2000)
    assert pace.rate == 100


def test_the_rate_never_falls_to_nothing() -> None:
    """However often the service refuses, some calls go on."""
    pace = Pace(100, Clock())
    for _ in range(200):
        pace.lower_rate()
        pace.clock.sleep(1)
    assert pace.rate >= 5


@pytest.mark.parametrize("limit", [0, -1, 50.0])
def test_a_limit_that_is_no_whole_number_from_one_on_is_refused(limit: Any) -> None:
    """The message names the operator's argument, and what is allowed."""
    with pytest.raises(InvalidArgument, match=f"max_requests_per_second: {limit}; it must be a whole number"):
        Pace(limit)
