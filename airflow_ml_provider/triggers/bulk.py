"""Find by one Describe which of many resources are unchanged, so that they need no Get each."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from airflow_ml_provider import errors, retrying, waiting
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.triggers.threads import in_thread

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.triggers.connection import SharedHook
    from airflow_ml_provider.waiting import Wait

Items = dict[str, Mapping[str, object]]

log = logging.getLogger(__name__)

MIN_WAITS_FOR_LIST = 10  # with one status: for fewer, a Get each is cheaper

# A Get's member with the status → the FilterVariable with which a Describe selects by it.
FILTERS = {"Status": "Status", "EndpointStatus": "RealtimeEndpointStatus"}


class Query(NamedTuple):
    """A Describe of all resources with one status, since no Describe can select by id."""

    operation: str
    variable: str
    status: str


class BulkPoller:
    """Poll many waits by one Describe; an operation that the service has refused is not called again."""

    def __init__(self, hook: SharedHook) -> None:
        self._hook = hook
        self._refused_operations: set[str] = set()

    async def poll(self, waits: list[Wait], patience: float) -> tuple[set[int], str]:
        """Return the ids of the ``Wait`` objects that need no Get, and the error of a Describe without an answer.

        No Get is needed where the list shows the resource unchanged, or the service answers that it is overloaded.

        :param patience: seconds for one Describe with all its pages.
        """
        done: set[int] = set()
        not_answered = ""
        for query, group in queries(waits).items():
            if query.operation in self._refused_operations:
                continue
            try:
                need_no_get = await self._find_unchanged(query, group, patience)
            except Exception as error:
                need_no_get = self._judge_error(query, group, error)
                if not errors.is_answer(error):
                    not_answered = str(error)
            done.update(map(id, need_no_get))
        return done, not_answered

    async def _find_unchanged(self, query: Query, group: list[Wait], patience: float) -> list[Wait]:
        """Return the waits whose resource the query shows unchanged, after counting it as a successful poll of each."""
        call = partial(unchanged_waits, await self._hook.get(), query, group, CLOCK.now() + patience)
        # Twice, since the calls themselves end at their deadline: this gives up a thread that hangs elsewhere.
        found = await asyncio.wait_for(in_thread(call), 2 * patience)
        for wait in found:
            wait.calls += 1
            wait.failures, wait.error = 0, ""
        return found

    def _judge_error(self, query: Query, group: list[Wait], error: Exception) -> list[Wait]:
        """Return the waits for which a Get would fail too, after recording this error as their failed poll.

        An operation that is refused is not called again. Without an HTTP answer it may be the list alone that is slow.
        """
        if not errors.is_transient(error):
            log.info("Polling each resource by its Get, since %s is refused: %s", query.operation, error)
            self._refused_operations.add(query.operation)
            return []
        self._hook.forget_expired(errors.code(error))
        if not errors.is_answer(error):
            return []
        for wait in group:
            wait.calls += 1
            retrying.record_failure(wait, error)
        return group


def queries(waits: Iterable[Wait]) -> dict[Query, list[Wait]]:
    """Return the queries that are cheaper than a Get for each of their waits; each asks for the waits' last status.

    A wait at its deadline is in none, since its last poll is a Get; nor is one whose status is not known yet.
    """
    now = CLOCK.now()
    groups: dict[Query, list[Wait]] = defaultdict(list)
    for wait in waits:
        if wait.deadline > now and wait.status != waiting.NOT_SEEN:
            groups[Query(wait.resource.describe, FILTERS[wait.resource.status_member], wait.status)].append(wait)
    return {query: group for query, group in groups.items() if len(group) >= MIN_WAITS_FOR_LIST}


def unchanged_waits(hook: MachineLearningClientHook, query: Query, waits: list[Wait], deadline: float) -> list[Wait]:
    """Return those of the waits whose resource the query lists with the same status as before.

    :param deadline: for all pages together.
    :raises ResponseParserError: when an answer holds no list: botocore reads a proxy's page as an empty answer.
    """
    items = _items(hook, query, waits, deadline)
    listed = (wait for wait in waits if wait.resource_id in items)
    return [wait for wait in listed if waiting.is_unchanged(wait, items[wait.resource_id])]


def _items(hook: MachineLearningClientHook, query: Query, waits: list[Wait], deadline: float) -> Items:
    """Return the items of the query by id, from no more pages than are cheaper than a Get for each wait."""
    from botocore.parsers import ResponseParserError

    id_member = waits[0].resource.id_member
    request = {"FilterVariable": query.variable, "EQ": query.status}
    items: Items = {}
    for _ in range(len(waits) // MIN_WAITS_FOR_LIST):
        answer = hook.call_once(query.operation, deadline, **request)
        if "Results" not in answer:
            raise ResponseParserError(f"{query.operation}: an answer without results")
        results = cast("list[Mapping[str, object]]", answer["Results"])
        items.update((str(item.get(id_member)), item) for item in results)
        if not answer.get("NextToken"):
            break
        request["NextToken"] = str(answer["NextToken"])
    return items
