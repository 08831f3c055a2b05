"""A wait in the poller: when it is looked at next, and who is told how it ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_ml_provider import retrying, waiting
from airflow_ml_provider.clock import CLOCK

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Outcome
    from airflow_ml_provider.waiting import Wait


class PendingWait:
    """A wait in the poller: when to look again, the look under way, and the future that is told the outcome."""

    __slots__ = ("due", "ended", "look", "wait")

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        self.due = CLOCK.now() + retrying.next_pause(wait)
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.look: asyncio.Task[None] | None = None

    @property
    def is_hung(self) -> bool:
        """Whether a look is under way; in between rounds that is one that takes long."""
        return self.look is not None and not self.look.done()

    def end(self, outcome: Outcome | None) -> None:
        """Announce how the wait ended, when it has."""
        if outcome and not self.ended.done():
            self.ended.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Announce an error of ours."""
        if not self.ended.done():
            self.ended.set_exception(error)

    def give_up(self) -> None:
        """End the wait although its last look is still under way."""
        self.end(waiting.expired(self.wait))
