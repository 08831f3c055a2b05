"""The schema of a data source: the columns of its data files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from amazon_ml_local.learning.errors import LearningError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind: TypeAlias = Literal["BINARY", "CATEGORICAL", "NUMERIC", "TEXT"]

# AWS's literals of BINARY values. The provider's reports have a table of their own, which this one tests.
BINARY_LITERALS = dict.fromkeys(("0", "n", "no", "f", "false"), "0") | dict.fromkeys(
    ("1", "y", "yes", "t", "true"), "1"
)

LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")  # JSON joins those that make a pair
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_ATTRIBUTES = 1_000

# AWS's member, then the older synonyms that its API documents still show.
SYNONYMS = {
    "rowId": ("rowId", "recordAnnotationFieldName"),
    "rowWeight": ("rowWeight", "recordWeightFieldName"),
    "targetAttributeName": ("targetAttributeName", "targetFieldName"),
    "attributes": ("attributes", "variables"),
    "excludedAttributeNames": ("excludedAttributeNames", "excludedVariableNames"),
    "attributeName": ("attributeName", "fieldName"),
    "attributeType": ("attributeType", "fieldType"),
}


@dataclass(frozen=True)
class Schema:
    """The attributes of a data source in the order of its columns, and which of them have a special role."""

    kinds: Mapping[str, Kind]
    target: str | None = None
    row_id: str | None = None
    row_weight: str | None = None
    excluded: frozenset[str] = frozenset()
    has_header: bool = False

    @cached_property
    def inputs(self) -> dict[str, Kind]:
        """Return the attributes that a model may learn from."""
        apart = {self.target, self.row_id, self.row_weight} | self.excluded
        return {name: kind for name, kind in self.kinds.items() if name not in apart}


def parse_schema(text: str) -> Schema:
    """Return the schema in a JSON text, with AWS's present or older names of members.

    Raises LearningError for what AWS's developer guide forbids ("Creating a Data Schema for Amazon ML").
    """
    document = json_object(text, "The data schema")
    attributes = _list(document, "attributes")
    if not 0 < len(attributes) <= MOST_ATTRIBUTES:
        raise LearningError(
            f"The data schema has {len(attributes)} attributes: list every column under 'attributes', at most "
            f"{MOST_ATTRIBUTES}."
        )
    if str(document.get("dataFormat", "CSV")).upper() != "CSV":
        raise LearningError(f"The data schema says dataFormat {document['dataFormat']!r}; only CSV is known.")
    kinds: dict[str, Kind] = {}
    for position, attribute in enumerate(attributes, start=1):
        name, kind = _attribute(position, attribute)
        if name in kinds:
            raise LearningError(f"The data schema names attribute {name!r} twice.")
        kinds[name] = kind
    schema = Schema(
        kinds,
        target=_name(document, "targetAttributeName"),
        row_id=_name(document, "rowId"),
        row_weight=_name(document, "rowWeight"),
        excluded=frozenset(map(str, _list(document, "excludedAttributeNames"))),
        has_header=str(document.get("dataFileContainsHeader", False)).lower() == "true",
    )
    _check_names(schema)
    return schema


def validate_schema(text: str) -> None:
    """Raise LearningError, a ValueError, for a schema that AWS would refuse at once."""
    parse_schema(text)


def json_object(text: str, what: str) -> dict[str, object]:
    """Return the object in a JSON text. Raises LearningError, whose message begins with `what`."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise LearningError(f"{what} is not valid JSON: {error}.") from None
    except RecursionError:
        raise LearningError(f"{what} is nested too deeply.") from None
    if place := _lone_surrogate(document):
        raise LearningError(f"{what} has a lone surrogate, which is half a character, at {place!a}.")
    if not isinstance(document, dict):
        raise LearningError(f"{what} must be a JSON object, not {type(document).__name__}.")
    return document


def _lone_surrogate(document: object) -> str | None:
    """Return the path of a text with a lone surrogate, which cannot be encoded as UTF-8; None if there is none."""
    left: list[tuple[str, object]] = [("", document)]
    while left:
        path, value = left.pop()
        if isinstance(value, str) and LONE_SURROGATE.search(value):
            return path.removeprefix(".")
        if isinstance(value, dict):
            left += [(f"{path}.{name}", part) for name, item in value.items() for part in (name, item)]
        elif isinstance(value, list):
            left += [(f"{path}.{position}", item) for position, item in enumerate(value, start=1)]
    return None


def _attribute(position: int, attribute: object) -> tuple[str, Kind]:
    if not isinstance(attribute, dict):
        raise LearningError(f"Attribute {position} of the data schema is not a JSON object.")
    name, kind = _name(attribute, "attributeName"), _name(attribute, "attributeType")
    if not name:
        raise LearningError(f"Attribute {position} of the data schema has no attributeName.")
    if kind not in KINDS:
        raise LearningError(
            f"Attribute {name!r} of the data schema has attributeType {kind!r}; use one of {', '.join(KINDS)}."
        )
    return name, kind


def _member(document: Mapping[str, object], name: str) -> object:
    """Return a member by any of its names, None if it is missing or null."""
    values = (document.get(spelling) for spelling in SYNONYMS[name])
    return next((value for value in values if value is not None), None)


def _name(document: Mapping[str, object], member: str) -> str | None:
    """Return a member that is a name, None if it is missing or empty."""
    name = _member(document, member)
    if name is not None and not isinstance(name, str):
        raise LearningError(f"{member} in the data schema must be a string, not {name!r}.")
    return name or None


def _list(document: Mapping[str, object], member: str) -> list[object]:
    items = _member(document, member)
    if items is not None and not isinstance(items, list):
        raise LearningError(f"{member} in the data schema must be a list, not {items!r}.")
    return items or []


def _check_names(schema: Schema) -> None:
    used = {
        "targetAttributeName": {schema.target},
        "rowId": {schema.row_id},
        "rowWeight": {schema.row_weight},
        "excludedAttributeNames": schema.excluded,
    }
    for member, names in used.items():
        for name in sorted(filter(None, names)):
            if name not in schema.kinds:
                raise LearningError(f"{member} in the data schema names {name!r}, which is no attribute of it.")
