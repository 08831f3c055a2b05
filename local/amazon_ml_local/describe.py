"""The Describe operations: one filter, an order, and pages that stay consistent when entities change between them."""

from __future__ import annotations

import base64
import heapq
import json
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from amazon_ml_local.entities import data_location
from amazon_ml_local.errors import invalid_input
from amazon_ml_local.views import CREATED_BY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from amazon_ml_local.entities import Entity
    from amazon_ml_local.protocol import Parameters

Value = str | float
Key = Callable[["Entity", float], Value]

# FilterVariable → the value of an entity that it compares; the service model says which of them a kind has. The last
# input of every kind that has any is its data source.
FILTERS: dict[str, Key] = {
    "CreatedAt": lambda entity, now: entity.lifecycle.created_at,
    "LastUpdatedAt": lambda entity, now: entity.last_updated_at(now),
    "Status": lambda entity, now: entity.status(now),
    "Name": lambda entity, now: entity.name or "",
    "IAMUser": lambda entity, now: CREATED_BY,
    "MLModelId": lambda entity, now: entity.inputs[0].id,
    "TrainingDataSourceId": lambda entity, now: entity.inputs[-1].id,
    "DataSourceId": lambda entity, now: entity.inputs[-1].id,
    "DataLocationS3": lambda entity, now: data_location(entity),
    "TrainingDataURI": lambda entity, now: data_location(entity.inputs[-1]),
    "DataURI": lambda entity, now: data_location(entity.inputs[-1]),
    "RealtimeEndpointStatus": lambda entity, now: entity.endpoint_status(now),
    "MLModelType": lambda entity, now: str(entity.parameters["MLModelType"]),
    "Algorithm": lambda entity, now: "sgd",
}
TIMES = {"CreatedAt", "LastUpdatedAt"}
COMPARATORS: dict[str, Callable[[Value, Value], bool]] = {
    "EQ": operator.eq,
    "GT": operator.gt,
    "LT": operator.lt,
    "GE": operator.ge,
    "LE": operator.le,
    "NE": operator.ne,
    "Prefix": lambda value, wanted: str(value).startswith(str(wanted)),
}


class Page(NamedTuple):
    """One page of a list, and the token of the next page if there is one."""

    entities: list[Entity]
    next_token: str | None


class Query(NamedTuple):
    """The filter and the order of a Describe request."""

    variable: str
    conditions: tuple[tuple[str, Value], ...]
    order: Literal["asc", "dsc"]

    def matches(self, value: Value) -> bool:
        """Return whether ``value`` meets every condition."""
        return all(COMPARATORS[name](value, wanted) for name, wanted in self.conditions)


def describe(entities: Iterable[Entity], parameters: Parameters, now: float) -> Page:
    """Return the page of ``entities`` that a Describe request asks for, as of the time ``now``.

    Without a filter they are sorted by creation; AWS's default order is unknown.

    :raises ServiceError: InvalidInputException for comparators without a FilterVariable, a wrong time or token
    """
    query = _query(parameters)
    key, limit = FILTERS[query.variable], parameters.get("Limit") or 100
    places = (
        ((value, entity.sequence), entity)
        for entity in entities
        if entity.lifecycle.created_at <= now and query.matches(value := key(entity, now))
    )
    if token := parameters.get("NextToken"):
        last = _read_token(query, token)
        is_after = operator.gt if query.order == "asc" else operator.lt
        places = ((place, entity) for place, entity in places if is_after(place, last))
    first = heapq.nsmallest if query.order == "asc" else heapq.nlargest
    found = first(limit + 1, places, key=operator.itemgetter(0))
    next_token = _write_token(query, found[limit - 1][0]) if len(found) > limit else None
    return Page([entity for _, entity in found[:limit]], next_token)


def _query(parameters: Parameters) -> Query:
    given = [(name, parameters[name]) for name in COMPARATORS if parameters.get(name) is not None]
    variable = parameters.get("FilterVariable")
    if given and not variable:
        raise invalid_input(f"{given[0][0]} needs a FilterVariable to compare with")
    if variable in TIMES:
        given = [(name, _time(value) if name != "Prefix" else value) for name, value in given]
    return Query(variable or "CreatedAt", tuple(given), parameters.get("SortOrder") or "asc")


def _time(text: str) -> float:
    """Return a time given in epoch seconds or ISO 8601; which of them AWS accepts is unknown."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_input(f"'{text}' is no time: give epoch seconds or ISO 8601") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _write_token(query: Query, place: tuple[Value, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps([query, place]).encode()).decode()


def _read_token(query: Query, token: str) -> tuple[Value, int]:
    try:
        asked, (value, sequence) = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError):
        raise invalid_input("NextToken is not one that this service returned") from None
    if asked != json.loads(json.dumps(query)):  # JSON made lists of the tuples
        raise invalid_input("NextToken belongs to a request with another filter or order")
    return value, sequence
