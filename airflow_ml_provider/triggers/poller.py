"""One poll loop per connection, for every wait in the process: no aiobotocore, one synchronous client in a thread."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

from airflow_ml_provider import errors, waiting
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.triggers import bulk
from airflow_ml_provider.triggers.threads import in_thread

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import AwsSettings, Outcome
    from airflow_ml_provider.waiting import Wait

Answer = TypeVar("Answer")

ENOUGH = 3  # errors in a row after which the rest of a round is not asked for either
GRACE = 5.0  # seconds by which an outcome may come after the deadline, when the last look has begun before it

log = logging.getLogger(__name__)
_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = WeakKeyDictionary()


def poller(settings: AwsSettings) -> Poller:
    """Give the running event loop's poller for a connection and its settings."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    key = json.dumps(settings, sort_keys=True)
    if key not in pollers:
        pollers[key] = Poller(settings, partial(pollers.pop, key, None))
    return pollers[key]


async def connected_hook(settings: AwsSettings) -> MachineLearningClientHook:
    """Make the hook with its connection looked up: Airflow 3.0 to 3.2 cannot do that in the poller's thread.

    :raises AirflowException: when a connection other than ``aws_default`` does not exist.
    """
    from airflow_ml_provider.compat import AirflowNotFoundException, get_async_connection

    client = await asyncio.to_thread(import_module, "airflow_ml_provider.client")

    conn_id, connection = settings["aws_conn_id"], None
    if conn_id:
        try:
            with client.connection_exists(conn_id):
                connection = await get_async_connection(conn_id)
        except AirflowNotFoundException:
            conn_id = None
    hook: MachineLearningClientHook = client.MachineLearningClientHook(
        conn_id, settings["region_name"], settings["verify"], settings["botocore_config"]
    )
    if connection is not None:
        hook.get_connection = lambda conn_id: connection  # type: ignore[method-assign]  # of this hook alone
    return hook


class Watched:
    """A wait in the poller: when to look again, and who is to hear how it ended."""

    __slots__ = ("due", "ended", "wait")

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        self.due = CLOCK.now() + waiting.next_pause(wait)
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def end(self, outcome: Outcome | None) -> None:
        """Let it be heard how the wait ended, when it has."""
        if outcome and not self.ended.done():
            self.ended.set_result(outcome)

    def give_up(self) -> None:
        """End the wait although its last look is still under way."""
        self.end(waiting.expired(self.wait))


class Poller:
    """Looks at what is waited for, as seldom as it can; ends with the last wait.

    A round looks at all waits that are due, or soon will be, so that waits with one delay share their rounds. A list of
    everything in the state that many of them were last seen in tells which have not changed; of the others, and of
    those whose time is up, a Get gives the verdict.
    """

    def __init__(self, settings: AwsSettings, forget: Callable[[], object]) -> None:
        self._settings, self._forget = settings, forget
        self._watched: dict[int, Watched] = {}
        self._users = 0
        self._rest_until = 0.0
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="machine-learning-poller")
        self._hook: MachineLearningClientHook | None = None
        self._not_listed: set[str] = set()
        self._running: asyncio.Task[None] | None = None

    async def outcome(self, wait: Wait) -> Outcome:
        """Return how the wait ended, at the latest a moment after its deadline."""
        with self.used():
            watched = Watched(wait)
            loop = asyncio.get_running_loop()
            last = loop.call_later(max(0.0, wait.deadline - CLOCK.now()) + GRACE, watched.give_up)
            self._watched[id(watched)] = watched
            self._running = self._running or loop.create_task(self._run())
            if watched.due < self._rest_until:
                self._wake.set()
            try:
                return await watched.ended
            finally:
                last.cancel()
                del self._watched[id(watched)]

    async def ask(self, question: Callable[[MachineLearningClientHook], Answer]) -> Answer:
        """Return what a function of the hook returns, called in another thread than the looks."""
        with self.used():
            hook = await self._connected()
            try:
                return await in_thread(partial(question, hook))
            except Exception as error:
                self._forget_expired(errors.code(error))
                raise

    @contextmanager
    def used(self) -> Iterator[Poller]:
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
        self._thread.shutdown(wait=False)

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
            for watched in self._watched.values():
                if not watched.ended.done():
                    watched.ended.set_exception(error)

    def _due(self) -> list[Watched]:
        now = CLOCK.now()
        if all(watched.due > now for watched in self._watched.values()):
            return []
        return [watched for watched in self._watched.values() if watched.due - watched.wait.delay / 2 <= now]

    async def _rest(self) -> None:
        self._wake.clear()
        self._rest_until = min((watched.due for watched in self._watched.values()), default=float("inf"))
        seconds = max(0.0, self._rest_until - CLOCK.now())
        try:
            await asyncio.wait_for(self._wake.wait(), min(seconds, waiting.LONGEST_PAUSE))
        except TimeoutError:
            pass
        finally:
            self._rest_until = 0.0

    async def _round(self, due: list[Watched]) -> None:
        begun = CLOCK.now()
        settled = await self._settled([watched.wait for watched in due])
        in_a_row, error = 0, ""
        for watched in due:
            wait = watched.wait
            if id(wait) in settled or watched.ended.done():
                continue
            if in_a_row < ENOUGH:
                watched.end(await self.look(wait) or waiting.expired(wait))
            else:
                waiting.record_failed_poll(wait, error)
                watched.end(waiting.expired(wait))
            in_a_row, error = (in_a_row + 1, wait.error) if wait.failures else (0, "")
        self._plan(begun, due)

    @staticmethod
    def _plan(begun: float, due: list[Watched]) -> None:
        """Plan the next looks: one delay after the round began, or one back-off for all that learnt nothing."""
        now = CLOCK.now()
        failing = [watched.wait for watched in due if watched.wait.failures]
        back_off = waiting.backoff(min(failing, key=lambda wait: wait.delay)) if failing else 0.0
        for watched in due:
            wait = watched.wait
            next_look = now + back_off if wait.failures else max(now, begun + wait.delay)
            watched.due = min(next_look, wait.deadline)

    async def look(self, wait: Wait) -> Outcome | None:
        """Look once by a Get; whoever looks more than once does so within ``used``."""
        try:
            hook = await self._connected()
        except Exception as error:
            return waiting.judge_error(wait, error)
        get = partial(hook.get, wait.resource, wait.resource_id, wait.deadline)
        outcome = await in_thread(partial(waiting.look, wait, get), self._thread)
        self._forget_expired(wait.error.partition(":")[0])
        return outcome

    async def _settled(self, waits: list[Wait]) -> set[int]:
        """Tell which waits need no Get: lists show them unchanged, or the list itself fails and will be tried again."""
        settled: set[int] = set()
        for query, group in bulk.worth_asking(waits).items():
            if query.operation not in self._not_listed:
                settled.update(map(id, await self._listed(query, group)))
        return settled

    async def _listed(self, query: bulk.Query, group: list[Wait]) -> list[Wait]:
        try:
            hook = await self._connected()
            return await in_thread(partial(bulk.unchanged, hook, query, group), self._thread)
        except Exception as error:
            if not errors.is_transient(error):
                log.info("Asking for each by its Get, since the list is refused: %s", error)
                self._not_listed.add(query.operation)
                return []
            self._forget_expired(errors.code(error))
            for wait in group:
                wait.calls += 1
                waiting.record_failed_poll(wait, error)
            return group
