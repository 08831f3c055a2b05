"""The service's time."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from amazon_ml_local.clock import Clock

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture


def test_a_frozen_clock_stands_still_until_it_is_advanced_or_resumed() -> None:
    clock = Clock()
    clock.freeze()
    start = clock.now()
    assert clock.now() == start
    clock.advance(60)
    assert clock.now() == start + 60
    clock.resume()
    assert clock.now() >= start + 60
    assert not clock.frozen


def test_a_clock_begins_at_real_time() -> None:
    assert Clock().now() == pytest.approx(time.time(), abs=5)


def test_speed_multiplies_time() -> None:
    clock = Clock()
    clock.set_speed(1e6)
    start, real = clock.now(), time.monotonic()
    while clock.now() < start + 1000:
        pass
    assert time.monotonic() - real < 1000 / 1e6 + 5
    assert clock.speed == 1e6


def test_sleep_advances_a_frozen_clock_and_returns_at_once() -> None:
    clock = Clock()
    clock.freeze()
    start = clock.now()
    clock.sleep(3600)
    assert clock.now() == start + 3600


def test_sleep_on_a_running_clock_ends_when_somebody_advances_it() -> None:
    clock = Clock()
    sleeper = threading.Thread(target=clock.sleep, args=(3600,))
    sleeper.start()
    clock.advance(3601)
    sleeper.join(30)
    assert not sleeper.is_alive()


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_time_never_goes_back(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds must be 0 or more"):
        Clock().advance(seconds)


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_is_above_zero(speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be above 0"):
        Clock().set_speed(speed)


def test_every_answer_has_a_date_by_the_services_clock(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """As AWS's have: what is created by a request is not younger than its answer's ``Date``, to the second."""
    amazon_ml_local.clock.freeze()
    amazon_ml_local.clock.advance(1_000_000)
    client = amazon_ml_local.client()
    date = formatdate(amazon_ml_local.clock.now(), usegmt=True)
    answer = client.describe_ml_models()
    with pytest.raises(client.exceptions.ResourceNotFoundException) as refused:
        client.get_ml_model(MLModelId="ml-0")
    for one in (answer, refused.value.response):
        assert one["ResponseMetadata"]["HTTPHeaders"]["date"] == date
