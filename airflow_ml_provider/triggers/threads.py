"""Calls that block, out of the triggerer's event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")


class DaemonThreads(Executor):
    """Run each call in a thread of its own, which nobody waits for when the process ends.

    The threads of a ThreadPoolExecutor, and so those of an event loop, are joined at exit, however long a call hangs.
    """

    def submit(
        self, fn: Callable[Arguments, Answer], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Answer]:
        future: Future[Answer] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                answer = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(answer)

        threading.Thread(target=run, name="machine-learning-call", daemon=True).start()
        return future


THREADS = DaemonThreads()


async def in_thread(call: Callable[[], Answer]) -> Answer:
    """Return what a call returns, made in another thread.

    By asgiref, from which Airflow 3 learns in that thread which event loop its channel to the supervisor belongs to.
    Without it, whatever a hook asks Airflow for (a connection, the masking of a secret) breaks the channel of
    Airflow 3.0 to 3.2, and with that the triggerer.
    """
    from asgiref.sync import sync_to_async

    executor = cast("ThreadPoolExecutor", THREADS)  # asgiref's types say so; any Executor will do
    return await sync_to_async(call, thread_sensitive=False, executor=executor)()
