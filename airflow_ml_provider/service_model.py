"""Requests made from botocore's service model: which argument is which member, what it may hold.

An argument is named as ``botocore.xform_name`` names the member; the members of ``DataSpec`` and ``RDSData``
count as members of the operation itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, TypeAlias, cast

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.values import Value, convert

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

Request: TypeAlias = dict[str, Value]

FLATTENED = frozenset({"DataSpec", "RDSData"})
RENAMED = {"DatabaseCredentials": "database_conn_id"}  # an Airflow connection holds what AWS wants as text

# Two arguments that exclude each other → whether one of them must be given.
ALTERNATIVES = {
    ("data_schema", "data_schema_location_s3"): True,
    ("data_schema", "data_schema_uri"): True,
    ("recipe", "recipe_uri"): False,
}
REGULARIZATIONS = ("sgd.l1RegularizationAmount", "sgd.l2RegularizationAmount")


@cache
def service_model() -> ServiceModel:
    """Load the service model of ``machinelearning`` from botocore's data."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("machinelearning", "service-2"), "machinelearning")


@cache
def operation_model(operation: str) -> OperationModel:
    """Return botocore's model of an operation, by AWS's name."""
    return service_model().operation_model(operation)


def argument_name(member: str) -> str:
    """Return the argument that stands for a member: ``MLModelId`` → ``ml_model_id``."""
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
    """Return an operation's arguments: name → (path of the member in the request, its shape, required or not)."""
    shape = operation_model(operation).input_shape
    members = _members(cast("StructureShape", shape))
    return {RENAMED.get(found[0][-1]) or argument_name(found[0][-1]): found for found in members}


def build_request(operation: str, values: Mapping[str, object]) -> Request:
    """Make the request of an operation out of its arguments; those that are None are left out.

    Text becomes what the member is (``"0.5"`` a float, ``"true"`` a boolean), a dict for a schema, a recipe or a
    rearrangement becomes JSON text.

    :raises InvalidArgument: when an argument is missing, of the wrong type, too long, out of its pattern or enum, or
        contradicts another.
    """
    request: Request = {}
    _check_alternatives(operation, values)
    for name, (path, shape, required) in arguments(operation).items():
        value = values.get(name)
        if value is None:
            if required:
                raise InvalidArgument(f"{name}: {operation} requires it, and it is None")
            continue
        place = request
        for step in path[:-1]:
            place = cast("Request", place.setdefault(step, {}))
        place[path[-1]] = convert(name, path[-1], shape, value)
    _check_regularization(request.get("Parameters") or {})
    return request


def _check_alternatives(operation: str, values: Mapping[str, object]) -> None:
    for pair, needed in ALTERNATIVES.items():
        if not arguments(operation).keys() >= set(pair):
            continue
        given = [name for name in pair if values.get(name) is not None]
        if len(given) == 2 or (needed and not given):
            raise InvalidArgument(f"{', '.join(pair)}: {'exactly' if needed else 'at most'} one of them must be given")


def _check_regularization(parameters: Value) -> None:
    amounts = [str(cast("Mapping[str, Value]", parameters).get(name, 0)) for name in REGULARIZATIONS]
    try:
        contradictory = all(float(amount) > 0 for amount in amounts)
    except ValueError:
        raise InvalidArgument(f"parameters: {' and '.join(REGULARIZATIONS)} must be numbers: {amounts}") from None
    if contradictory:
        raise InvalidArgument(f"parameters: of {' and '.join(REGULARIZATIONS)} only one may be above 0")
