"""Runs that a time-out or a kill interrupts while they wait for the last answer."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.clock import CLOCK
from tests.helpers.files import SOURCE, Bucket, predict, recorded

if TYPE_CHECKING:
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from amazon_ml_local.fixture import AmazonMLLocalFixture

LONGEST_WAIT = 20.0  # real seconds for which an answer is held back
SOON = 10.0  # real seconds; a machine may be busy


class Interrupted(BaseException):
    """As Airflow's time-out and its SIGTERM, it may be raised anywhere in the main thread."""


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Interrupt the main thread, from any other."""

    def raise_interrupted(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, raise_interrupted)
    yield lambda: os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def join_threads() -> None:
    """Wait until the engine's threads have ended."""
    for thread in threading.enumerate():
        if thread.name.startswith("predict-"):
            thread.join(LONGEST_WAIT)


@pytest.fixture
def bucket(endpoint: AmazonMLLocalFixture) -> Bucket:
    """The bucket, with a source of two rows in it."""
    bucket = Bucket(endpoint.client("s3"))
    bucket.put(SOURCE, "id,x\na,3\nb,30\n")
    return bucket


def test_an_interrupted_run_does_not_wait_for_the_call_in_flight(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at once, and the rows that were answered are written as a part."""
    answer, released = endpoint.service.handle, threading.Event()

    def handle(request: Any) -> Any:
        if request.header("x-amz-target").endswith(".Predict") and endpoint.requests.count("Predict") == 1:
            threading.Timer(0.5, interrupt).start()  # by then the main thread waits for this answer
            released.wait(LONGEST_WAIT)
        return answer(request)

    monkeypatch.setattr(endpoint.service, "handle", handle)
    began = time.monotonic()
    with pytest.raises(Interrupted):
        predict()
    took = time.monotonic() - began
    released.set()
    join_threads()
    assert took < SOON
    assert [part["pieces"]["lines"]["rows"] for part in recorded(bucket)["parts"]] == [1]


def test_an_interrupted_run_makes_no_further_attempt(
    hook: MachineLearningHook,
    endpoint: AmazonMLLocalFixture,
    interrupt: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A thread that is in its back-off meanwhile ends there."""
    in_back_off, ended = threading.Event(), threading.Event()

    def sleep(seconds: float) -> None:
        if not in_back_off.is_set():
            in_back_off.set()
            interrupt()
        ended.wait(LONGEST_WAIT)

    endpoint.faults.add("server_error", operation="Predict")
    found = hook.predict_records("ml-1", [{"x": 1}])
    monkeypatch.setattr(CLOCK, "sleep", sleep)
    with pytest.raises(Interrupted):
        list(found)
    ended.set()
    join_threads()
    assert endpoint.requests.count("Predict") == 1
