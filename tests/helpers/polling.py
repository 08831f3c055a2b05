"""Wait, in real time, for what other processes and threads do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    condition: Callable[[], T],
    seconds: float = 90,
    describe: Callable[[], object] = lambda: "",
    *,
    ignored: tuple[type[Exception], ...] = (),
    pause: float = 0.5,
) -> T:
    """Return what a condition returns, as soon as that is true.

    :param describe: what the error says of the state at the end.
    :param ignored: exceptions of the condition that mean "not yet".
    :param pause: seconds between two looks.
    :raises AssertionError: when it does not become true in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(*ignored):
            if found := condition():
                return found
        time.sleep(pause)
    raise AssertionError(f"not so within {seconds} s: {describe()}")
