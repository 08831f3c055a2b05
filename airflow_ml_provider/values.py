"""Convert an argument's value to the type that its member has in the service model, and check it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.payloads import JSON

if TYPE_CHECKING:
    from botocore.model import ListShape, MapShape, Shape, StructureShape

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value]"
JSONText: TypeAlias = str | Mapping[str, JSON]

JSON_TEXT = frozenset({"DataSchema", "DataRearrangement", "Recipe"})


def convert(name: str, member: str, shape: Shape, value: object) -> Value:
    """Return an argument's value as its member takes it.

    :param name: of the argument, for errors.
    :param member: the member's name; empty for an item of a list or a map, which has none.
    :raises InvalidArgument: naming the argument and what is allowed.
    """
    if member in JSON_TEXT:
        value = _json_text(name, value)
    converted = _CONVERSIONS[shape.type_name](name, shape, value)
    _check(name, shape, converted)
    return converted


def _json_text(name: str, value: object) -> object:
    if isinstance(value, Mapping):
        return json.dumps(value)
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError as error:
            raise InvalidArgument(f"{name}: it is neither a mapping nor JSON text: {error}") from None
    return value  # any other type is refused by ``_text``


def _text(name: str, shape: Shape, value: object) -> Value:
    if _is_number(value):  # Airflow's native rendering turns an id of digits into a number
        return str(value)
    if not isinstance(value, str):
        raise InvalidArgument(f"{name}: it is {_kind(value)}; it must be text")
    return value


def _number(kind: type[int] | type[float]) -> Callable[[str, Shape, object], Value]:
    """Return the conversion to an integer or to a float."""

    def converted(name: str, shape: Shape, value: object) -> Value:
        if not isinstance(value, str) and not _is_number(value):
            raise InvalidArgument(f"{name}: it is {_kind(value)}; it must be {kind.__name__}")
        try:
            number = kind(value)
            has_lost_fraction = isinstance(value, float) and number != value  # int(1.5) is 1
            is_allowed = math.isfinite(number) and not has_lost_fraction
        except (ValueError, OverflowError):  # of isfinite too, for an integer beyond every float
            is_allowed = False
        if not is_allowed:
            raise InvalidArgument(f"{name}: {_shown(value)} is not a finite {kind.__name__}")
        return number

    return converted


_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def _boolean(name: str, shape: Shape, value: object) -> Value:
    found = _BOOLEANS.get(str(value).strip().lower())
    if found is None:
        raise InvalidArgument(f"{name}: {_shown(value)} is not a boolean; it must be true or false")
    return found


def _list(name: str, shape: ListShape, value: object) -> Value:
    if not isinstance(value, list | tuple):
        raise InvalidArgument(f"{name}: it is {_kind(value)}; it must be a list")
    return [convert(f"{name}[{place}]", "", shape.member, item) for place, item in enumerate(value)]


def _map(name: str, shape: MapShape, value: object) -> Value:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{name}: it is {_kind(value)}; it must be a mapping")
    return {str(key): convert(f"{name}[{key!r}]", "", shape.value, item) for key, item in value.items()}


def _structure(name: str, shape: StructureShape, value: object) -> Value:
    members = shape.members
    if not isinstance(value, Mapping) or set(value) - set(members):
        raise InvalidArgument(f"{name}: {_shown(value)} must be a mapping with the keys {', '.join(members)}")
    for member in shape.required_members:
        if value.get(member) is None:
            raise InvalidArgument(f"{name}: {member} is missing")
    return {key: convert(f"{name}[{key!r}]", key, members[key], item) for key, item in value.items()}


_CONVERSIONS: dict[str, Callable[[str, Any, object], Value]] = {
    "string": _text,
    "float": _number(float),
    "integer": _number(int),
    "boolean": _boolean,
    "list": _list,
    "map": _map,
    "structure": _structure,
}


def _check(name: str, shape: Shape, value: Value) -> None:
    """Raise InvalidArgument when a converted value breaks the member's constraints: length, enum, pattern."""
    allowed = shape.metadata
    if isinstance(value, str | list):
        least, most = allowed.get("min", 0), allowed.get("max")
        if len(value) < least or (most is not None and len(value) > most):
            unit = "characters" if isinstance(value, str) else "items"
            raise InvalidArgument(f"{name}: {len(value)} {unit}; allowed are {least} to {most}")
    if isinstance(value, str):
        _check_text(name, value, allowed.get("enum"), allowed.get("pattern"))
    if value == "None" and shape.name == "EntityId":
        raise InvalidArgument(f"{name}: it is the text 'None', as a template renders None; it must be an id")


def _check_text(name: str, value: str, enum: list[str] | None, pattern: str | None) -> None:
    if enum and value not in enum:
        raise InvalidArgument(f"{name}: {_shown(value)} is not one of {', '.join(enum)}")
    if pattern and not _regex(pattern).fullmatch(value):
        raise InvalidArgument(f"{name}: {_shown(value)} does not match {pattern}")


# The service's patterns are Java's. A class of characters that Python lacks → a set that contains its characters.
_UNICODE_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
}


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    for java_class, python_class in _UNICODE_CLASSES.items():
        pattern = pattern.replace(java_class, python_class)
    return re.compile(pattern, re.DOTALL)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: object) -> str:
    return type(value).__name__


def check_whole(argument: str, value: object, least: int) -> None:
    """Raise InvalidArgument unless an argument is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidArgument(f"{argument}: {value!r}; it must be a whole number of at least {least}")


def check_at_least(argument: str, value: object, least: int) -> None:
    """Raise InvalidArgument unless an argument is a number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
        raise InvalidArgument(f"{argument}: {value!r}; it must be a number of at least {least}")
