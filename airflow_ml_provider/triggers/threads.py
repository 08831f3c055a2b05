"""Run blocking calls in threads, outside the triggerer's event loop."""

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
    """Run each call in a daemon thread of its own, so that a call that hangs does not hold up the process's exit.

    The threads of a ThreadPoolExecutor, and so an event loop's own, are joined at exit.
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
    """Make a call in another thread, and return its result.

    It goes through asgiref, since Airflow 3.0 to 3.2 learns from it which event loop the channel to the supervisor
    belongs to. Without asgiref, a request to Airflow in that thread (for a connection, or to mask a secret) breaks the
    channel, and with it the triggerer.
    """
    from asgiref.sync import sync_to_async

    executor = cast("ThreadPoolExecutor", THREADS)  # asgiref's types say so; any Executor will do
    return await sync_to_async(call, thread_sensitive=False, executor=executor)()
