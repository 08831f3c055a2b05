"""One poll loop per connection, for every wait in the process: no aiobotocore, one synchronous client in threads."""

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
from airflow_ml_provider.triggers import bulk
from airflow_ml_provider.triggers.connection import connected_hook
from airflow_ml_provider.triggers.pending import PendingWait
from airflow_ml_provider.triggers.threads import in_thread

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import AwsSettings, Outcome
    from airflow_ml_provider.waiting import Wait

Answer = TypeVar("Answer")

MAX_ERRORS_PER_ROUND = 3  # in a row, after which the rest of a round is not asked for either
PATIENCE = 5.0  # seconds; what takes longer goes on in its thread, and the round without it
GRACE = 5.0  # seconds by which an outcome may come after the deadline, when the last look has begun before it

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
    """Looks at what is waited for, as seldom as it can; ends with the last wait.

    A round looks at all waits that are due, or soon will be, so that waits with one delay share their rounds. A list of
    everything in the state that many of them were last seen in tells which have not changed; of the others, and of
    those whose time is up, a Get gives the verdict. Calls follow one on the other, but nobody waits for one that hangs.
    """

    def __init__(self, settings: AwsSettings, forget: Callable[[], object]) -> None:
        self._settings, self._forget = settings, forget
        self._pending: dict[int, PendingWait] = {}
        self._users = 0
        self._rest_until = 0.0
        self._wake = asyncio.Event()
        self._hook: MachineLearningClientHook | None = None
        self._not_listed: set[str] = set()
        self._running: asyncio.Task[None] | None = None

    async def outcome(self, wait: Wait) -> Outcome:
        """Return how the wait ended, at the latest a moment after its deadline."""
        with self.keep_alive():
            pending = PendingWait(wait)
            loop = asyncio.get_running_loop()
            last = loop.call_later(max(0.0, wait.deadline - CLOCK.now()) + GRACE, pending.give_up)
            self._pending[id(pending)] = pending
            self._running = self._running or loop.create_task(self._run())
            self._wake_for(pending)
            try:
                return await pending.ended
            finally:
                last.cancel()
                if pending.look:
                    pending.look.cancel()
                del self._pending[id(pending)]

    async def ask(self, question: Callable[[MachineLearningClientHook], Answer]) -> Answer:
        """Return what a function of the hook returns, called in another thread than the looks."""
        with self.keep_alive():
            hook = await self._connected()
            try:
                return await in_thread(partial(question, hook))
            except Exception as error:
                self._forget_expired(errors.code(error))
                raise

    @contextmanager
    def keep_alive(self) -> Iterator[Poller]:
        """Keep the client while inside."""
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users:
                self._end()

    def _end(self) -> None:
        self._forget()
        if self._running:
            self._running.cancel()

    async def _connected(self) -> MachineLearningClientHook:
        if self._hook is None:
            self._hook = await connected_hook(self._settings)
        return self._hook

    def _forget_expired(self, code: str) -> None:
        if code in errors.EXPIRED:
            self._hook = None

    async def _run(self) -> None:
        try:
            while True:
                await self._round(self._due())
                await self._rest()
        except Exception as error:
            self._forget()  # who comes now gets another one
            for pending in self._pending.values():
                pending.fail(error)

    def _due(self) -> list[PendingWait]:
        """Return what to look at now; what failed last comes last, so that it holds up nobody."""
        now = CLOCK.now()
        idle = [pending for pending in self._pending.values() if not pending.is_hung]
        if all(pending.due > now for pending in idle):
            return []
        due = [pending for pending in idle if pending.due - pending.wait.delay / 2 <= now]
        return sorted(due, key=lambda pending: pending.wait.failures)

    async def _rest(self) -> None:
        self._wake.clear()
        idle = (pending.due for pending in self._pending.values() if not pending.is_hung)
        self._rest_until = min(idle, default=float("inf"))
        seconds = max(0.0, self._rest_until - CLOCK.now())
        try:
            await asyncio.wait_for(self._wake.wait(), min(seconds, retrying.LONGEST_PAUSE))
        except TimeoutError:
            pass
        finally:
            self._rest_until = 0.0

    def _wake_for(self, pending: PendingWait) -> None:
        if pending.due < self._rest_until:
            self._wake.set()

    async def _round(self, due: list[PendingWait]) -> None:
        begun = CLOCK.now()
        patience = min((PATIENCE, *(pending.wait.delay for pending in due)))
        settled, error = await self._settled([pending.wait for pending in due], patience)
        in_a_row = MAX_ERRORS_PER_ROUND - 1 if error else 0  # one Get more tells whether it is the list alone
        for pending in due:
            wait = pending.wait
            if id(wait) in settled or pending.ended.done():
                continue
            if in_a_row < MAX_ERRORS_PER_ROUND:
                await self._look_for(pending, patience)
            else:
                retrying.record_failed_poll(wait, error)
                pending.end(waiting.expired(wait))
            failed = wait.failures or pending.is_hung
            in_a_row, error = (in_a_row + 1, wait.error or error) if failed else (0, "")
        self._plan(begun, [pending for pending in due if not pending.is_hung])

    async def _look_for(self, pending: PendingWait, patience: float) -> None:
        """Look, but wait for the answer no longer than patience lasts: the look then plans the next one itself."""
        pending.look = asyncio.create_task(self._end_or_go_on(pending))
        await asyncio.wait({pending.look}, timeout=patience)
        if pending.is_hung:
            pending.look.add_done_callback(partial(self._late, pending))
        elif not pending.look.cancelled() and (error := pending.look.exception()):
            raise error  # a look that is cancelled was that of a task which waits no more

    async def _end_or_go_on(self, pending: PendingWait) -> None:
        pending.end(await self.look(pending.wait) or waiting.expired(pending.wait))

    def _late(self, pending: PendingWait, look: asyncio.Task[None]) -> None:
        if look.cancelled():
            return
        if error := look.exception():
            pending.fail(error)
        self._plan(CLOCK.now(), [pending])
        self._wake_for(pending)

    @staticmethod
    def _plan(begun: float, due: list[PendingWait]) -> None:
        """Plan the next looks: one delay after the round began, or one back-off for all that learnt nothing."""
        now = CLOCK.now()
        failing = [pending.wait for pending in due if pending.wait.failures]
        back_off = retrying.backoff(min(failing, key=lambda wait: wait.delay)) if failing else 0.0
        for pending in due:
            wait = pending.wait
            next_look = now + back_off if wait.failures else max(now, begun + wait.delay)
            pending.due = min(next_look, wait.deadline)

    async def look(self, wait: Wait) -> Outcome | None:
        """Look once by a Get; whoever looks more than once does so within ``keep_alive``."""
        try:
            hook = await self._connected()
        except Exception as error:
            return waiting.judge_error(wait, error)
        get = partial(hook.get, wait.resource, wait.resource_id, wait.deadline)
        outcome = await in_thread(partial(waiting.look, wait, get))
        self._forget_expired(wait.error.partition(":")[0])
        return outcome

    async def _settled(self, waits: list[Wait], patience: float) -> tuple[set[int], str]:
        """Return which waits need no Get, and the error of a list that was not answered.

        Lists show them unchanged, or the service itself says that it can answer nothing now.
        """
        settled: set[int] = set()
        not_answered = ""
        for query, group in bulk.worth_asking(waits).items():
            if query.operation in self._not_listed:
                continue
            try:
                same = await self._listed(query, group, patience)
            except Exception as error:
                same = self._not_listed_now(query, group, error)
                if not errors.is_answer(error):
                    not_answered = str(error)
            settled.update(map(id, same))
        return settled, not_answered

    async def _listed(self, query: bulk.Query, group: list[Wait], patience: float) -> list[Wait]:
        hook = await self._connected()
        asking = partial(bulk.unchanged, hook, query, group, CLOCK.now() + patience)
        same = await asyncio.wait_for(in_thread(asking), 2 * patience)
        for wait in same:
            wait.calls += 1
            wait.failures, wait.error = 0, ""
        return same

    def _not_listed_now(self, query: bulk.Query, group: list[Wait], error: Exception) -> list[Wait]:
        """Return the waits for which a Get is no use either; a list that is refused is not asked for again."""
        if not errors.is_transient(error):
            log.info("Asking for each by its Get, since the list is refused: %s", error)
            self._not_listed.add(query.operation)
            return []
        self._forget_expired(errors.code(error))
        if not errors.is_answer(error):
            return []
        for wait in group:
            wait.calls += 1
            retrying.record_failed_poll(wait, error)
        return group
