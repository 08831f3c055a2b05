"""Find out by one Describe which of many waits show no change, so that no Get has to ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from airflow_ml_provider import waiting
from airflow_ml_provider.clock import CLOCK

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.waiting import Wait

Items = dict[str, Mapping[str, object]]

MIN_WAITS_FOR_LIST = 10  # in one state: for fewer, a Get each is cheaper

# The FilterVariable of a Describe that selects by what a Get calls so.
FILTERS = {"Status": "Status", "EndpointStatus": "RealtimeEndpointStatus"}


class Query(NamedTuple):
    """A list of everything in one state. No Describe can select by id."""

    operation: str
    variable: str
    status: str


def worth_asking(waits: Iterable[Wait]) -> dict[Query, list[Wait]]:
    """Return the lists that are cheaper than a Get for each wait, by the state that it was last seen in.

    A wait whose time is up is in none: its last look is a Get.
    """
    now = CLOCK.now()
    groups: dict[Query, list[Wait]] = defaultdict(list)
    for wait in waits:
        if wait.deadline > now:
            groups[Query(wait.resource.describe, FILTERS[wait.resource.status], wait.status)].append(wait)
    return {query: group for query, group in groups.items() if len(group) >= MIN_WAITS_FOR_LIST}


def unchanged(hook: MachineLearningClientHook, query: Query, waits: list[Wait], deadline: float) -> list[Wait]:
    """Return those waits that the list shows unchanged.

    :param deadline: of all pages together.
    :raises ResponseParserError: when the answer holds no list, as garbage does that botocore reads as an empty answer.
    """
    items = _items(hook, query, waits, deadline)
    return [
        wait for wait in waits if (item := items.get(wait.resource_id)) is not None and waiting.unchanged(wait, item)
    ]


def _items(hook: MachineLearningClientHook, query: Query, waits: list[Wait], deadline: float) -> Items:
    """Ask page after page, but not for so many that a Get for each wait would be cheaper."""
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
