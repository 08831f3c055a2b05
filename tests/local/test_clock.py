"""The service's time."""

from __future__ import annotations

import threading
import time

import pytest

from amazon_ml_local.clock import Clock


def test_a_frozen_clock_stands_still_until_it_is_advanced_or_resumed():
    clock = Clock()
    clock.freeze()
    start = clock.now()
    assert clock.now() == start
    clock.advance(60)
    assert clock.now() == start + 60
    clock.resume()
    assert clock.now() >= start + 60
    assert not clock.frozen


def test_a_clock_begins_at_real_time():
    assert Clock().now() == pytest.approx(time.time(), abs=5)


def test_speed_multiplies_time():
    clock = Clock()
    clock.set_speed(1e6)
    start, real = clock.now(), time.monotonic()
    while clock.now() < start + 1000:
        pass
    assert time.monotonic() - real < 1000 / 1e6 + 5
    assert clock.speed == 1e6


def test_sleep_advances_a_frozen_clock_and_returns_at_once():
    clock = Clock()
    clock.freeze()
    start = clock.now()
    clock.sleep(3600)
    assert clock.now() == start + 3600


def test_sleep_on_a_running_clock_ends_when_somebody_advances_it():
    clock = Clock()
    sleeper = threading.Thread(target=clock.sleep, args=(3600,))
    sleeper.start()
    clock.advance(3601)
    sleeper.join(30)
    assert not sleeper.is_alive()


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_never_goes_back(seconds: float):
    with pytest.raises(ValueError, match="seconds must be 0 or more"):
        Clock().advance(seconds)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_is_above_zero(speed: float):
    with pytest.raises(ValueError, match="speed must be above 0"):
        Clock().set_speed(speed)
