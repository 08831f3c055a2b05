"""Check a request against the constraints of botocore's service model, and report every violation at once.

The provider checks arguments by the same model. This module shares no code with it on purpose: a service that tests the
provider must not repeat its bugs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from amazon_ml_local.errors import invalid_input

if TYPE_CHECKING:
    from botocore.model import ListShape, MapShape, Shape, StructureShape

    from amazon_ml_local.protocol import Parameters

# The Unicode classes of the model's patterns → Python's; \w contains every letter and number.
UNICODE_CLASSES = {r"\p{L}": r"\w", r"\p{N}": "", r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "boolean": (bool,),
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
}
MEASURED = {"string": "length", "list": "length", "integer": "value"}
# Not checked, since other public clients send a bare host name or the local service's own URL.
UNCHECKED = {"VipURL"}
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")  # json.loads has joined the pairs already
SHOWN_CHARACTERS = 128


def validate(shape: Shape, parameters: Parameters) -> None:
    """Raise ServiceError unless ``parameters`` meet every constraint of ``shape``; unknown members are ignored.

    The wording is that of other AWS services with this protocol; Amazon ML's own is unknown.

    :raises ServiceError: InvalidInputException, with all violations in one message
    """
    if violations := list(_structure(cast("StructureShape", shape), parameters, "")):
        count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected"
        raise invalid_input(f"{count}: {'; '.join(violations)}")


def _check(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if not _has_type(shape, value):
        yield _violation(shape, value, path, f"Member must be of type {shape.type_name}")
        return
    yield from (_violation(shape, value, path, rule) for rule in _broken_rules(shape, value))
    yield from NESTED.get(shape.type_name, _nothing)(shape, value, path)


def _has_type(shape: Shape, value: Any) -> bool:
    if isinstance(value, bool):
        return shape.type_name == "boolean"
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, TYPES[shape.type_name])


def _broken_rules(shape: Shape, value: Any) -> Iterator[str]:
    measure = MEASURED.get(shape.type_name, "")
    size = len(value) if measure == "length" else value
    if measure and size < shape.metadata.get("min", size):
        yield f"Member must have {measure} greater than or equal to {shape.metadata['min']}"
    if measure and size > shape.metadata.get("max", size):
        yield f"Member must have {measure} less than or equal to {shape.metadata['max']}"
    if value not in shape.metadata.get("enum", [value]):
        yield f"Member must satisfy enum value set: [{', '.join(shape.metadata['enum'])}]"
    if isinstance(value, str) and LONE_SURROGATE.search(value):
        yield "Member must not have a lone surrogate, which is half a character"
    pattern = shape.metadata.get("pattern")
    if pattern and shape.name not in UNCHECKED and not _compiled(pattern).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {pattern}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for unicode_class, characters in UNICODE_CLASSES.items():
        pattern = pattern.replace(unicode_class, characters)
    return re.compile(pattern)


def _violation(shape: Shape, value: Any, path: str, rule: str) -> str:
    shown = "" if shape.type_name in NESTED else f"{_shown(shape, value)} "
    return f"Value {shown}at '{path}' failed to satisfy constraint: {rule}"


def _shown(shape: Shape, value: Any) -> str:
    if shape.metadata.get("sensitive"):
        return "****"
    text = value if isinstance(value, str) else json.dumps(value)
    return f"'{text}'" if len(text) <= SHOWN_CHARACTERS else f"'{text[:SHOWN_CHARACTERS]}...'"


def _structure(shape: StructureShape, value: Parameters, path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        member_path = f"{path}.{_lower_first(name)}" if path else _lower_first(name)
        if value.get(name) is not None:
            yield from _check(member, value[name], member_path)
        elif name in shape.required_members:
            yield f"Value null at '{member_path}' failed to satisfy constraint: Member must not be null"


def _list(shape: ListShape, value: list[Any], path: str) -> Iterator[str]:
    for position, item in enumerate(value, start=1):
        yield from _check(shape.member, item, f"{path}.{position}.member")


def _map(shape: MapShape, value: Parameters, path: str) -> Iterator[str]:
    for key, item in value.items():
        yield from _check(shape.key, key, f"{path}.key")
        yield from _check(shape.value, item, f"{path}.{key}.member")


def _nothing(shape: Any, value: Any, path: str) -> Iterator[str]:
    return iter(())


def _lower_first(name: str) -> str:
    return name[0].lower() + name[1:]


NESTED: dict[str, Callable[[Any, Any, str], Iterator[str]]] = {"structure": _structure, "list": _list, "map": _map}
