"""Requests made from botocore's service model: which argument is which member, what it may hold.

An argument is named as ``botocore.xform_name`` names the member; the members of ``DataSpec`` and ``RDSData``
count as members of the operation itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value]"
Request: TypeAlias = dict[str, Value]

FLATTENED = frozenset({"DataSpec", "RDSData"})
JSON_TEXT = frozenset({"DataSchema", "DataRearrangement", "Recipe"})


@cache
def service_model() -> ServiceModel:
    """Load the service model of ``machinelearning`` from botocore's data."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("machinelearning", "service-2"), "machinelearning")


@cache
def operation_model(operation: str) -> OperationModel:
    """Give botocore's model of an operation, by AWS's name."""
    return service_model().operation_model(operation)


def argument_name(member: str) -> str:
    """Give the argument that stands for a member: ``MLModelId`` → ``ml_model_id``."""
    from botocore import xform_name

    return str(xform_name(member))


def _members(shape: StructureShape, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape, bool]]:
    for member, member_shape in shape.members.items():
        if member in FLATTENED:
            yield from _members(cast("StructureShape", member_shape), (*path, member))
        else:
            yield (*path, member), member_shape, member in shape.required_members


@cache
def arguments(operation: str) -> dict[str, tuple[tuple[str, ...], Shape, bool]]:
    """Give an operation's arguments: name → (path of the member in the request, its shape, whether it is required)."""
    shape = operation_model(operation).input_shape
    return {argument_name(found[0][-1]): found for found in _members(cast("StructureShape", shape))}


def build_request(operation: str, values: Mapping[str, object]) -> Request:
    """Make the request of an operation out of its arguments; those that are None are left out.

    Text becomes what the member is (``"0.5"`` a float, ``"true"`` a boolean), a dict for a schema, a recipe or a
    rearrangement becomes JSON text.

    :raises ValueError: when an argument is missing, of the wrong type, too long, out of its pattern or enum.
    """
    request: Request = {}
    for name, (path, shape, required) in arguments(operation).items():
        value = values.get(name)
        if value is None:
            if required:
                raise ValueError(f"{name}: {operation} requires it, and it is None")
            continue
        place = request
        for step in path[:-1]:
            place = place.setdefault(step, {})  # type: ignore[assignment]
        place[path[-1]] = convert(name, path[-1], shape, value)
    return request


def convert(name: str, member: str, shape: Shape, value: object) -> Value:
    """Turn an argument into what its member holds.

    :raises ValueError: naming the argument and what is allowed.
    """
    if member in JSON_TEXT and isinstance(value, Mapping):
        value = json.dumps(value)
    converted = _CONVERSIONS[shape.type_name](name, shape, value)
    _check(name, shape, converted)
    return converted


def _text(name: str, shape: Shape, value: object) -> Value:
    if not isinstance(value, str):
        raise ValueError(f"{name}: it is {_kind(value)}; it must be text")
    return value


def _number(kind: type[int] | type[float]) -> Callable[[str, Shape, object], Value]:
    def converted(name: str, shape: Shape, value: object) -> Value:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise ValueError(f"{name}: it is {_kind(value)}; it must be {kind.__name__}")
        try:
            return kind(value)
        except ValueError:
            raise ValueError(f"{name}: {_shown(value)} is not {kind.__name__}") from None

    return converted


_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def _boolean(name: str, shape: Shape, value: object) -> Value:
    found = _BOOLEANS.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f"{name}: {_shown(value)} is not a boolean; it must be true or false")
    return found


def _list(name: str, shape: Shape, value: object) -> Value:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name}: it is {_kind(value)}; it must be a list")
    return [convert(f"{name}[{place}]", "", shape.member, item) for place, item in enumerate(value)]  # type: ignore[attr-defined]


def _map(name: str, shape: Shape, value: object) -> Value:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name}: it is {_kind(value)}; it must be a mapping")
    return {str(key): convert(f"{name}[{key!r}]", "", shape.value, item) for key, item in value.items()}  # type: ignore[attr-defined]


def _structure(name: str, shape: Shape, value: object) -> Value:
    members: Mapping[str, Shape] = shape.members  # type: ignore[attr-defined]
    if not isinstance(value, Mapping) or set(value) - set(members):
        raise ValueError(f"{name}: {_shown(value)} must be a mapping with the keys {', '.join(members)}")
    for member in shape.required_members:
        if value.get(member) is None:
            raise ValueError(f"{name}: {member} is missing")
    return {key: convert(f"{name}[{key!r}]", key, members[key], item) for key, item in value.items()}


_CONVERSIONS: dict[str, Callable[[str, Shape, object], Value]] = {
    "string": _text,
    "float": _number(float),
    "integer": _number(int),
    "boolean": _boolean,
    "list": _list,
    "map": _map,
    "structure": _structure,
}


def _check(name: str, shape: Shape, value: Value) -> None:
    allowed = shape.metadata
    if isinstance(value, str | list):
        least, most = allowed.get("min", 0), allowed.get("max")
        if len(value) < least or (most is not None and len(value) > most):
            unit = "characters" if isinstance(value, str) else "items"
            raise ValueError(f"{name}: {len(value)} {unit}; allowed are {least} to {most}")
    if isinstance(value, str):
        _check_text(name, value, allowed.get("enum"), allowed.get("pattern"))


def _check_text(name: str, value: str, enum: list[str] | None, pattern: str | None) -> None:
    if enum and value not in enum:
        raise ValueError(f"{name}: {_shown(value)} is not one of {', '.join(enum)}")
    if pattern and not re.fullmatch(pattern, value, re.DOTALL):
        raise ValueError(f"{name}: {_shown(value)} does not match {pattern}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _kind(value: object) -> str:
    return type(value).__name__
