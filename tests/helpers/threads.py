"""Threads that wait for each other on purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
SECONDS = 30


class Held:
    """A function that waits, when it is called, until the test releases it.

    :ivar begun: set once it has been called.
    :ivar released: the test sets it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.begun, self.released, self._function = threading.Event(), threading.Event(), function

    def __call__(self, *arguments: Any) -> Any:
        self.begun.set()
        assert self.released.wait(SECONDS)
        return self._function(*arguments)


class ToldLock:
    """A re-entrant lock that tells when a thread has to wait for it.

    :ivar wanted: set once a thread has had to wait.
    """

    def __init__(self) -> None:
        self.wanted, self._lock = threading.Event(), threading.RLock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self.wanted.set()
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def in_thread(call: Callable[[], T]) -> Future[T]:
    """Call a function in a thread that holds up no end of the tests, and return what becomes of it."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
