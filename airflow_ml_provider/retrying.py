"""Repeat what fails with transient errors: the pauses, the deadline, and what is said when it passes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from airflow_ml_provider import errors
from airflow_ml_provider.clock import CLOCK

Answer = TypeVar("Answer")

LONGEST_PAUSE = 300.0


class Attempts(Protocol):
    """What is repeated until a deadline: a wait's looks, or a call."""

    deadline: float
    started: float
    delay: float
    calls: int
    failures: int
    error: str


@dataclass
class Retries:
    """Attempts at one call; ``what`` names it in errors, the rest is as in ``Wait``."""

    what: str
    deadline: float
    delay: float
    started: float
    calls: int = 0
    failures: int = 0
    error: str = ""

    def __str__(self) -> str:
        return self.what


def record_failed_poll(attempts: Attempts, error: Exception | str) -> None:
    """Record a failed poll; consecutive failures lengthen the back-off."""
    attempts.failures += 1
    attempts.error = error if isinstance(error, str) else f"{errors.code(error)}: {error}"


def spent(attempts: Attempts) -> str:
    """Return how long the wait has lasted and how many calls it has made, in words."""
    return f"{CLOCK.now() - attempts.started:.0f} s and {attempts.calls} call{'s' * (attempts.calls != 1)}"


def too_late(attempts: Attempts) -> str:
    """Return in words that the deadline has passed, and what the last error was."""
    last = f"; the last error was {attempts.error}" if attempts.error else ""
    return f"the deadline of {attempts.deadline - attempts.started:.0f} s has passed{last}"


def next_pause(attempts: Attempts) -> float:
    """Return the seconds to the next look, which is at the deadline at the latest."""
    return max(0.0, min(backoff(attempts), attempts.deadline - CLOCK.now()))


def backoff(attempts: Attempts) -> float:
    """Return the delay; after failed polls more, with jitter."""
    seconds = attempts.delay
    if attempts.failures:
        longest = min(max(attempts.delay, 1.0) * 2 ** min(attempts.failures, 20), max(LONGEST_PAUSE, attempts.delay))
        seconds = random.uniform(longest / 2, longest)
    return seconds


def retry_until_deadline(
    attempts: Attempts, call: Callable[[], Answer], passing: Callable[[BaseException], bool] = errors.is_transient
) -> Answer:
    """Make a call, again after transient errors until the deadline; any other error is raised at once.

    :param attempts: a ``Wait``, or ``Retries`` where nothing is waited for.
    :param passing: which errors are transient.
    :raises DeadlinePassed: when the deadline comes first; the message says what the last error was.
    """
    while True:
        attempts.calls += 1
        try:
            answer = call()
        except Exception as error:
            if not passing(error):
                raise
            record_failed_poll(attempts, error)
        else:
            attempts.failures, attempts.error = 0, ""
            return answer
        if CLOCK.now() >= attempts.deadline:
            raise errors.DeadlinePassed(f"{attempts}: no answer after {spent(attempts)}: {too_late(attempts)}")
        CLOCK.sleep(next_pause(attempts))
