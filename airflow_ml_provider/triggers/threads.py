"""Calls that block, out of the triggerer's event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

Answer = TypeVar("Answer")


async def in_thread(call: Callable[[], Answer], executor: ThreadPoolExecutor | None = None) -> Answer:
    """Return what a call returns, made in another thread.

    By asgiref, from which Airflow 3 learns in that thread which event loop its channel to the supervisor belongs to.
    Without it, whatever a hook asks Airflow for (a connection, the masking of a secret) breaks the channel of
    Airflow 3.0 to 3.2, and with that the triggerer.

    :param executor: whose thread; any when it is None.
    """
    from asgiref.sync import sync_to_async

    return await sync_to_async(call, thread_sensitive=False, executor=executor)()
