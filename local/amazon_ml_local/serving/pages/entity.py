"""The page of an entity: its members, the entities that use it, and its log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from amazon_ml_local.entities import KINDS
from amazon_ml_local.protocol import operation_model, output_of, serialise
from amazon_ml_local.serving.pages.evaluation import evaluation_sections
from amazon_ml_local.serving.pages.markup import (
    age,
    document,
    element,
    facts,
    link,
    section,
    status,
    table,
    time_text,
)  # fmt: skip
from amazon_ml_local.views import result, view

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from amazon_ml_local.entities import Entity
    from amazon_ml_local.protocol import Parameters
    from amazon_ml_local.service import AmazonMLLocal
    from amazon_ml_local.serving.pages.markup import Child

MOST_LINES = 500
TIMES = ("CreatedAt", "LastUpdatedAt", "StartedAt", "FinishedAt", "ScoreThresholdLastUpdatedAt")
# Members that have a section of their own, and its heading.
SECTIONS = {
    "EndpointInfo": "Realtime endpoint",
    "PerformanceMetrics": "Metric",
    "TrainingParameters": "Training parameters",
    "Recipe": "Recipe",
    "Schema": "Schema",
    "DataSourceSchema": "Schema",
    "DataRearrangement": "Rearrangement",
    "RedshiftMetadata": "Redshift",
    "RDSMetadata": "RDS",
}


def entity_page(service: AmazonMLLocal, region: str, entity: Entity, url: str, threshold: float | None) -> bytes:
    """Return the page of an entity.

    :param threshold: the score threshold to show an evaluation with; None for the model's
    """
    entity.advance_to_now(service.clock, wait=False)
    now, kind = service.clock.now(), entity.kind.name
    operation = operation_model(f"Get{kind}")
    assert operation
    shown = view(entity, now, service.endpoint_url or url, verbose=True)
    members: Parameters = serialise(output_of(operation), shown)
    plain = {name: _fact(name, value, region) for name, value in members.items() if name not in SECTIONS}
    sections = [section(SECTIONS[name], _value(members[name])) for name in SECTIONS if name in members]
    if kind == "Evaluation" and (evaluated := result(entity, now)):
        sections += evaluation_sections(entity, region, evaluated, threshold)
    return document(
        f"{kind} {entity.id}",
        element("p", status(entity.status(now)), f" {age(now - entity.lifecycle.created_at)} old, {region}"),
        facts(plain),
        *sections,
        section("Made of it", _users(service, region, entity, now)),
        section("Tags", table("Tags", ["Key", "Value"], [[key, value or ""] for key, value in entity.tags.items()])),
        section("Log", *_log(entity)),
    )


def _fact(name: str, value: Any, region: str) -> Child:
    """Return a member's value as the page shows it: links for ids of entities and the log, times as dates."""
    kind = name.removesuffix("Id")
    kind = "DataSource" if kind.endswith("DataSource") else kind  # as in TrainingDataSourceId
    if name.endswith("Id") and kind in KINDS:
        return link(kind, value, region)
    if name in TIMES:
        return time_text(value)
    return element("a", value, href=value) if name == "LogUri" else str(value)


def _value(value: Any) -> Element:
    """Return a member that has a section of its own: an object as names with values, JSON text indented."""
    if isinstance(value, dict):
        nested = value.get("Properties", value)  # which PerformanceMetrics have around their names
        return facts({name: time_text(each) if name in TIMES else _text(each) for name, each in nested.items()})
    return element("pre", _indented(value), tabindex="0")


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _users(service: AmazonMLLocal, region: str, entity: Entity, now: float) -> Element:
    """Return a table of the entities that have this one as an input."""
    entities = service.state.region(region)
    users = [user for kind in KINDS for user in entities.all(kind) if entity in user.inputs]
    rows: list[list[Child]] = [
        [link(user.kind.name, user.id, region), user.kind.name, status(user.status(now))] for user in users
    ]
    return table("Made of it", ["Id", "Kind", "Status"], rows)


def _log(entity: Entity) -> list[Element]:
    lines = list(entity.log.lines)
    shown = element("pre", "\n".join(lines[-MOST_LINES:]) or "Nothing yet.", tabindex="0")
    left = len(lines) - MOST_LINES
    return [element("p", f"{left:,} earlier lines are at its LogUri.", class_="quiet"), shown] if left > 0 else [shown]
