"""A wait in the poller: when its next poll is due, and the future that gets its outcome."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_ml_provider import retrying, waiting
from airflow_ml_provider.clock import CLOCK

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Outcome
    from airflow_ml_provider.waiting import Wait


class PendingWait:
    """A wait in the poller: when its next poll is due, the poll that is running, and the future of its outcome."""

    __slots__ = ("due", "ended", "poll", "wait")

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        self.due = CLOCK.now() + retrying.next_pause(wait)
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.poll: asyncio.Task[None] | None = None

    @property
    def is_polling(self) -> bool:
        """Whether a poll is still running; a round goes on without one that takes long."""
        return self.poll is not None and not self.poll.done()

    def end(self, outcome: Outcome | None) -> None:
        """Set the outcome, if there is one, unless the wait has ended already."""
        if outcome and not self.ended.done():
            self.ended.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Raise an error of our own code in the trigger that awaits the outcome."""
        if not self.ended.done():
            self.ended.set_exception(error)

    def give_up(self) -> None:
        """End the wait at its deadline although its last poll is still running."""
        self.end(waiting.timeout_if_due(self.wait))
