"""Retry transient errors until a deadline, with a jittered back-off."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from airflow_ml_provider import errors
from airflow_ml_provider.clock import CLOCK

Answer = TypeVar("Answer")

LONGEST_PAUSE = 300.0  # seconds


class Attempts(Protocol):
    """What is repeated until a deadline: the polls of a ``Wait``, or the attempts at one call (``Retries``).

    ``deadline`` and ``started`` are moments of ``CLOCK.now``, ``delay`` is the pause after an attempt in seconds.
    ``calls`` counts all attempts, ``failures`` those that have failed since the last answer, of which ``error`` is the
    last error.
    """

    deadline: float
    started: float
    delay: float
    calls: int
    failures: int
    error: str


@dataclass
class Retries:
    """Attempts at one call; ``what`` names the call in errors."""

    what: str
    deadline: float
    delay: float
    started: float
    calls: int = 0
    failures: int = 0
    error: str = ""

    def __str__(self) -> str:
        return self.what


def record_failure(attempts: Attempts, error: Exception | str) -> None:
    """Record a failed attempt; consecutive failures lengthen the back-off."""
    attempts.failures += 1
    attempts.error = error if isinstance(error, str) else f"{errors.code(error)}: {error}"


def time_and_calls(attempts: Attempts) -> str:
    """Return in words the seconds and calls that the attempts have taken so far."""
    return f"{CLOCK.now() - attempts.started:.0f} s and {attempts.calls} call{'s' * (attempts.calls != 1)}"


def deadline_message(attempts: Attempts) -> str:
    """Return in words that the deadline has passed, and the last error."""
    last = f"; the last error was {attempts.error}" if attempts.error else ""
    return f"the deadline of {attempts.deadline - attempts.started:.0f} s has passed{last}"


def next_pause(attempts: Attempts) -> float:
    """Return the pause before the next attempt in seconds; that attempt comes at the deadline at the latest."""
    return max(0.0, min(backoff(attempts), attempts.deadline - CLOCK.now()))


def backoff(attempts: Attempts) -> float:
    """Return the pause before the next attempt in seconds, ignoring the deadline.

    It is the delay; it doubles with each failure up to ``LONGEST_PAUSE``, less up to a half at random.
    """
    if not attempts.failures:
        return attempts.delay
    doubled = max(attempts.delay, 1.0) * 2 ** min(attempts.failures, 20)  # without a bound it would overflow
    longest = min(doubled, max(LONGEST_PAUSE, attempts.delay))
    return random.uniform(longest / 2, longest)


def retry_until_deadline(
    attempts: Attempts, call: Callable[[], Answer], is_transient: Callable[[BaseException], bool] = errors.is_transient
) -> Answer:
    """Make a call; retry transient errors until the deadline, and raise any other error at once.

    :param attempts: a ``Wait``, or ``Retries`` where the call belongs to none.
    :param is_transient: which errors to retry.
    :raises DeadlinePassed: when the deadline comes first; the message holds the last error.
    """
    while True:
        attempts.calls += 1
        try:
            answer = call()
        except Exception as error:
            if not is_transient(error):
                raise
            record_failure(attempts, error)
        else:
            attempts.failures, attempts.error = 0, ""
            return answer
        if CLOCK.now() >= attempts.deadline:
            raise errors.DeadlinePassed(
                f"{attempts}: no answer after {time_and_calls(attempts)}: {deadline_message(attempts)}"
            )
        CLOCK.sleep(next_pause(attempts))
