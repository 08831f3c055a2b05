"""The page at the root: the entities, the levers and faults, and the latest requests."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from amazon_ml_local.entities import KINDS
from amazon_ml_local.serving.control import state_of
from amazon_ml_local.serving.pages.markup import age, document, element, facts, link, section, status, table, time_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from amazon_ml_local.entities import Entity
    from amazon_ml_local.request_log import Received
    from amazon_ml_local.service import AmazonMLLocal
    from amazon_ml_local.serving.pages.markup import Child

MOST_ENTITIES = 200
MOST_REQUESTS = 50
HEADINGS = {
    "DataSource": "Data sources",
    "MLModel": "Models",
    "Evaluation": "Evaluations",
    "BatchPrediction": "Batch predictions",
}


def index_page(service: AmazonMLLocal, url: str) -> bytes:
    """Return the page at the root.

    :param url: the URL by which the client reaches realtime endpoints
    """
    now = service.clock.now()
    entities = {kind: list(_entities(service, kind)) for kind in KINDS}
    return document(
        "Entities and endpoints",
        element("p", f"The service's time is {time_text(now)}.", class_="quiet"),
        section("Realtime endpoints", _endpoints(entities["MLModel"], now, service.endpoint_url or url)),
        *(section(HEADINGS[kind], *_newest(kind, entities[kind], now)) for kind in KINDS),
        section("Levers", *_levers(state_of(service))),
        section("Latest requests", _requests(service, now)),
    )


def _entities(service: AmazonMLLocal, kind: str) -> Iterator[tuple[str, Entity]]:
    """Yield the entities of a kind, each with the name of its region."""
    for name, region in service.state.regions():
        for entity in region.all(kind):
            entity.advance_to_now(service.clock, wait=False)
            yield name, entity


def _endpoints(models: list[tuple[str, Entity]], now: float, url: str) -> Element:
    rows: list[list[Child]] = [
        [
            link("MLModel", model.id, region),
            status(endpoint.status(now)),
            age(now - endpoint.lifecycle.created_at),
            f"{endpoint.peak_requests_per_second}",
            url,
            region,
        ]
        for region, model in models
        if (endpoint := model.endpoint(now))
    ]
    return table("Realtime endpoints", ["Model", "Status", "Age", "Requests a second", "EndpointUrl", "Region"], rows)


def _newest(kind: str, entities: list[tuple[str, Entity]], now: float) -> list[Element]:
    newest = sorted(entities, key=lambda each: each[1].sequence, reverse=True)[:MOST_ENTITIES]
    rows: list[list[Child]] = [
        [
            link(kind, entity.id, region),
            entity.name or "",
            status(entity.status(now)),
            age(now - entity.lifecycle.created_at),
            region,
        ]
        for region, entity in newest
    ]
    listed = table(HEADINGS[kind], ["Id", "Name", "Status", "Age", "Region"], rows)
    if len(entities) == len(newest):
        return [listed]
    return [listed, element("p", f"These are the newest {len(newest):,} of {len(entities):,}.", class_="quiet")]


def _levers(state: dict[str, Any]) -> list[Element]:
    clock, polls = state["clock"], state["ready_after_polls"]
    plain: dict[str, Child] = {
        "Clock": "stands still" if clock["frozen"] else f"runs, {clock['speed']:g} seconds in a real one",
        "Things are done": "by time" if polls is None else f"at Get number {polls}",
        "Predictions a second": str(state["peak_requests_per_second"]),
        **{f"Seconds: {name}": f"{seconds:g}" for name, seconds in state["durations"].items()},
    }
    faults = [
        [fault["kind"], fault["operation"] or "any", "for ever" if fault["left"] is None else str(fault["left"]),
         fault["when"], f"{fault['probability']:g}"]
        for fault in state["faults"]
    ]  # fmt: skip
    failures = [[order["kind"], order["id"], order["message"]] for order in state["failures"]]
    return [
        facts(plain),
        element("h3", "Faults"),
        table("Faults", ["Fault", "Operation", "Requests left", "When", "Probability"], faults),
        element("h3", "Told to fail"),
        table("Told to fail", ["Kind", "Id", "Message"], failures),
    ]


def _requests(service: AmazonMLLocal, now: float) -> Element:
    latest = islice(reversed(list(service.requests)), MOST_REQUESTS)
    headings = ["Operation", "Ids", "Answer", "Ago", "Region"]
    return table("Latest requests", headings, [_request(received, now) for received in latest])


def _request(received: Received, now: float) -> list[Child]:
    """Return the cells for a request, without records of Predict, which are people's data."""
    ids = [str(value) for member, value in received.parameters.items() if member.endswith("Id")]
    answer = f"{received.status} {received.error_code or ''}" if received.status else "connection reset"
    return [received.operation, ", ".join(ids), answer, age(now - received.at), received.region or ""]
