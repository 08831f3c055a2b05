"""One poll loop per connection for all waits of the process, with one synchronous client in threads."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from airflow_ml_provider import errors, retrying, waiting
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.triggers.bulk import BulkPoller
from airflow_ml_provider.triggers.connection import SharedHook
from airflow_ml_provider.triggers.pending import PendingWait
from airflow_ml_provider.triggers.threads import in_thread

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import AwsSettings, Outcome
    from airflow_ml_provider.waiting import Wait

Answer = TypeVar("Answer")

MAX_ERRORS_PER_ROUND = 3  # in a row; then the other waits of the round count as failed without a call
PATIENCE = 5.0  # seconds; a poll that takes longer goes on in its thread, and the round goes on without it
GRACE = 5.0  # seconds after the deadline until which a poll that began before it may still decide the outcome

log = logging.getLogger(__name__)
_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = WeakKeyDictionary()


def poller(settings: AwsSettings) -> Poller:
    """Return the running event loop's poller for a connection and its settings."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    key = json.dumps(settings, sort_keys=True)
    if key not in pollers:
        pollers[key] = Poller(settings, partial(pollers.pop, key, None))
    return pollers[key]


class Poller:
    """Poll the resources of all waits in rounds, with as few calls as possible; end with the last wait.

    A round polls the waits that are due within half a delay, so that waits with the same delay share their rounds.
    Where many waits have the same last status, one Describe finds those whose resource is unchanged. All others, and
    the waits at their deadline, get a Get each, and only a Get ends a wait. The calls of a round follow one another,
    but a round does not wait for a call that hangs.

    :param settings: the AWS arguments of all waits.
    :param remove: called when the poller ends or fails, so that the next wait gets a new one.
    """

    def __init__(self, settings: AwsSettings, remove: Callable[[], object]) -> None:
        self._remove = remove
        self._hook = SharedHook(settings)
        self._bulk = BulkPoller(self._hook)
        self._pending: dict[int, PendingWait] = {}
        self._users = 0
        self._sleeps_until = 0.0  # a moment of CLOCK.now; 0 while the loop is awake
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def outcome(self, wait: Wait) -> Outcome:
        """Return how the wait ended, at most ``GRACE`` seconds after its deadline."""
        with self.keep_alive():
            pending = PendingWait(wait)
            loop = asyncio.get_running_loop()
            giving_up = loop.call_later(max(0.0, wait.deadline - CLOCK.now()) + GRACE, pending.give_up)
            self._pending[id(pending)] = pending
            self._running = self._running or loop.create_task(self._run())
            self._wake_for(pending)
            try:
                return await pending.ended
            finally:
                giving_up.cancel()
                if pending.poll:
                    pending.poll.cancel()
                del self._pending[id(pending)]

    async def call_with_hook(self, function: Callable[[MachineLearningClientHook], Answer]) -> Answer:
        """Call a function with the poller's hook in a thread, and return its result."""
        with self.keep_alive():
            hook = await self._hook.get()
            try:
                return await in_thread(partial(function, hook))
            except Exception as error:
                self._hook.forget_expired(errors.code(error))
                raise

    @contextmanager
    def keep_alive(self) -> Iterator[Poller]:
        """Keep the poller and its client for the block; the last block that ends, ends the poller."""
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._end()

    def _end(self) -> None:
        self._remove()
        if self._running:
            self._running.cancel()

    async def _run(self) -> None:
        try:
            while True:
                await self._round(self._due())
                await self._sleep()
        except Exception as error:
            self._remove()  # so that a wait that comes now gets a new poller
            for pending in self._pending.values():
                pending.fail(error)

    def _due(self) -> list[PendingWait]:
        """Return the waits to poll now, with those that are failing at the end, so that they hold up no others."""
        now = CLOCK.now()
        idle = [pending for pending in self._pending.values() if not pending.is_polling]
        if all(pending.due > now for pending in idle):
            return []
        due = [pending for pending in idle if pending.due - pending.wait.delay / 2 <= now]
        return sorted(due, key=lambda pending: pending.wait.failures)

    async def _sleep(self) -> None:
        """Sleep until the next poll is due, or until ``_wake_for`` wakes the loop for an earlier one.

        While every poll is still running, none is due: then the sleep lasts for ``LONGEST_PAUSE``, if nothing wakes it.
        """
        self._wake.clear()
        idle = (pending.due for pending in self._pending.values() if not pending.is_polling)
        self._sleeps_until = min(idle, default=float("inf"))
        seconds = max(0.0, self._sleeps_until - CLOCK.now())
        try:
            await asyncio.wait_for(self._wake.wait(), min(seconds, retrying.LONGEST_PAUSE))
        except TimeoutError:
            pass
        finally:
            self._sleeps_until = 0.0

    def _wake_for(self, pending: PendingWait) -> None:
        if pending.due < self._sleeps_until:
            self._wake.set()

    async def _round(self, due: list[PendingWait]) -> None:
        """Poll the waits that are due: first many by one Describe, then the others by a Get each.

        After ``MAX_ERRORS_PER_ROUND`` errors in a row, calls have no prospect and would only add to an overload: the
        other waits count as failed without a call of their own. A Describe that got no answer counts as all but one of
        these errors, so that one Get more decides whether the service is away or just the list.
        """
        started = CLOCK.now()
        patience = min((PATIENCE, *(pending.wait.delay for pending in due)))
        done, error = await self._bulk.poll([pending.wait for pending in due], patience)
        errors_in_a_row = MAX_ERRORS_PER_ROUND - 1 if error else 0
        for pending in due:
            wait = pending.wait
            if id(wait) in done or pending.ended.done():
                continue
            if errors_in_a_row < MAX_ERRORS_PER_ROUND:
                await self._poll_by_get(pending, patience)
            else:
                retrying.record_failure(wait, error)
                pending.end(waiting.timeout_if_due(wait))
            if wait.failures or pending.is_polling:
                errors_in_a_row += 1
                error = wait.error or error
            else:
                errors_in_a_row, error = 0, ""
        self._schedule(started, [pending for pending in due if not pending.is_polling])

    async def _poll_by_get(self, pending: PendingWait, patience: float) -> None:
        """Poll, but wait for the answer no longer than ``patience``; a late answer then schedules the next poll."""
        pending.poll = asyncio.create_task(self._poll_pending(pending))
        await asyncio.wait({pending.poll}, timeout=patience)
        if pending.is_polling:
            pending.poll.add_done_callback(partial(self._after_late_poll, pending))
        elif pending.poll.cancelled():
            pass  # nobody awaits the outcome any more
        elif error := pending.poll.exception():
            raise error

    async def _poll_pending(self, pending: PendingWait) -> None:
        pending.end(await self.poll(pending.wait))

    def _after_late_poll(self, pending: PendingWait, poll: asyncio.Task[None]) -> None:
        if poll.cancelled():
            return
        if error := poll.exception():
            pending.fail(error)
        self._schedule(CLOCK.now(), [pending])
        self._wake_for(pending)

    @staticmethod
    def _schedule(started: float, polled: list[PendingWait]) -> None:
        """Schedule the next polls: one delay after the round started.

        Those that failed are polled together, after the back-off of the one with the shortest delay.
        """
        now = CLOCK.now()
        failing = [pending.wait for pending in polled if pending.wait.failures]
        seconds = retrying.backoff(min(failing, key=lambda wait: wait.delay)) if failing else 0.0
        for pending in polled:
            wait = pending.wait
            next_poll = now + seconds if wait.failures else max(now, started + wait.delay)
            pending.due = min(next_poll, wait.deadline)

    async def poll(self, wait: Wait) -> Outcome | None:
        """Poll once by a Get, and return how the wait ends, or None if it goes on.

        A caller that polls more than once does so within ``keep_alive``, so that the client is kept.
        """
        try:
            hook = await self._hook.get()
        except Exception as error:
            return waiting.judge_error(wait, error) or waiting.timeout_if_due(wait)
        outcome = await in_thread(partial(waiting.poll, wait, hook))
        self._hook.forget_expired(wait.error.partition(":")[0])  # an error begins with its code
        return outcome
