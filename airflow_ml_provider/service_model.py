"""Build requests from operators' arguments, by botocore's service model.

An argument has the name that ``botocore.xform_name`` makes of its member. The members of ``DataSpec`` and ``RDSData``
are arguments of the operation itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.values import Value, convert

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

Request: TypeAlias = dict[str, Value]

FLATTENED = frozenset({"DataSpec", "RDSData"})
RENAMED = {"DatabaseCredentials": "database_conn_id"}  # AWS takes credentials, the operator an Airflow connection

# Two arguments that exclude each other → whether one of them is required.
ALTERNATIVES = {
    ("data_schema", "data_schema_location_s3"): True,
    ("data_schema", "data_schema_uri"): True,
    ("recipe", "recipe_uri"): False,
}
REGULARIZATIONS = ("sgd.l1RegularizationAmount", "sgd.l2RegularizationAmount")


class Argument(NamedTuple):
    """One argument of an operation: the path of its member in the request, its shape, and whether it is required."""

    path: tuple[str, ...]
    shape: Shape
    is_required: bool


@cache
def service_model() -> ServiceModel:
    """Load the service model of ``machinelearning`` from botocore's data."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model("machinelearning", "service-2"), "machinelearning")


@cache
def operation_model(operation: str) -> OperationModel:
    """Return botocore's model of an operation, such as ``GetMLModel``."""
    return service_model().operation_model(operation)


def argument_name(member: str) -> str:
    """Return the name of the argument for a member: ``MLModelId`` → ``ml_model_id``."""
    from botocore import xform_name

    return str(xform_name(member))


def _arguments(shape: StructureShape, path: tuple[str, ...] = ()) -> Iterator[Argument]:
    """Yield an argument for each member of a structure; a flattened member yields those of its own members."""
    for member, member_shape in shape.members.items():
        if member in FLATTENED:
            yield from _arguments(cast("StructureShape", member_shape), (*path, member))
        else:
            yield Argument((*path, member), member_shape, member in shape.required_members)


@cache
def arguments(operation: str) -> dict[str, Argument]:
    """Return an operation's arguments by their names."""
    found = {}
    for argument in _arguments(cast("StructureShape", operation_model(operation).input_shape)):
        member = argument.path[-1]
        found[RENAMED.get(member) or argument_name(member)] = argument
    return found


def build_request(operation: str, values: Mapping[str, object]) -> Request:
    """Return the request of an operation for these arguments; those that are None are left out.

    Text is converted to the member's type (``"0.5"`` to a float, ``"true"`` to a boolean), and a dict for a schema, a
    recipe or a rearrangement to JSON text.

    :raises InvalidArgument: when an argument is missing, of the wrong type, too long, outside its pattern or enum, or
        contradicts another.
    """
    request: Request = {}
    _check_alternatives(operation, values)
    for name, (path, shape, is_required) in arguments(operation).items():
        value = values.get(name)
        if value is None:
            if is_required:
                raise InvalidArgument(f"{name}: {operation} requires it, and it is None")
            continue
        *parents, member = path
        structure = request
        for parent in parents:
            structure = cast("Request", structure.setdefault(parent, {}))
        structure[member] = convert(name, member, shape, value)
    _check_regularization(request.get("Parameters") or {})
    return request


def _check_alternatives(operation: str, values: Mapping[str, object]) -> None:
    for pair, is_one_required in ALTERNATIVES.items():
        if not arguments(operation).keys() >= set(pair):
            continue
        given = [name for name in pair if values.get(name) is not None]
        if len(given) == 2 or (is_one_required and not given):
            how_many = "exactly" if is_one_required else "at most"
            raise InvalidArgument(f"{', '.join(pair)}: {how_many} one of them must be given")


def _check_regularization(parameters: Value) -> None:
    """Raise InvalidArgument when a model's training parameters ask for both regularizations, which AWS refuses."""
    amounts = [str(cast("Mapping[str, Value]", parameters).get(name, 0)) for name in REGULARIZATIONS]
    try:
        contradictory = all(float(amount) > 0 for amount in amounts)
    except ValueError:
        raise InvalidArgument(f"parameters: {' and '.join(REGULARIZATIONS)} must be numbers: {amounts}") from None
    if contradictory:
        raise InvalidArgument(f"parameters: of {' and '.join(REGULARIZATIONS)} only one may be above 0")
