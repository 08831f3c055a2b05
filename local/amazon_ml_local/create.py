"""The six idempotent Create operations, and what they check beyond the service model."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from amazon_ml_local.entities import Entity, Kind
from amazon_ml_local.errors import ServiceError, invalid_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from amazon_ml_local.protocol import Parameters
    from amazon_ml_local.state import OperationCall

FORBIDDEN_IN_OUTPUT = (":", "//", "/./", "/../")  # by the API's documentation of OutputUri
T = TypeVar("T")


def create(kind: Kind, call: OperationCall) -> Parameters:
    """Create an entity and start its job; the same request again gets the same answer and creates nothing.

    :raises ServiceError: InvalidInputException, IdempotentParameterMismatchException
    """
    entity_id = call.parameters[kind.id_member]
    for member, name in kind.inputs:  # outside the lock, since on a frozen clock this may wait for their jobs
        if entity := call.find(name, call.parameters[member]):
            entity.advance_to_now(call.state.clock)
    with call.state.changing:
        known = call.find(kind.name, entity_id)
        if known is None or known.status(call.state.clock.now()) == "DELETED":
            _check(call)
            entity = _new(kind, call)
            call.touched.add(entity)
            call.state.start(entity, call.region)
        elif (known.operation, known.parameters) != (call.operation, call.parameters):
            raise ServiceError(
                "IdempotentParameterMismatchException",
                f"{kind.name} with id {entity_id} exists and was created with other parameters",
            )
    return {kind.id_member: entity_id}


def _new(kind: Kind, call: OperationCall) -> Entity:
    parameters, state = call.parameters, call.state
    entity_id, is_binary = parameters[kind.id_member], parameters.get("MLModelType") == "BINARY"
    lifecycle = state.new_lifecycle(kind.name, entity_id, getattr(state.durations, kind.duration))
    return Entity(
        kind=kind,
        id=entity_id,
        region=call.region.name,
        sequence=state.next_number(),
        operation=call.operation,
        parameters=parameters,
        inputs=tuple(_input(call, member, name) for member, name in kind.inputs),
        lifecycle=lifecycle,
        name=parameters.get(kind.name_member),
        updated_at=lifecycle.created_at,
        score_threshold=0.5 if is_binary else None,
        threshold_updated_at=lifecycle.created_at if is_binary else None,
    )


def _input(call: OperationCall, member: str, kind: str) -> Entity:
    """Return the entity that ``member`` identifies.

    :raises ServiceError: InvalidInputException, when it does not exist, is FAILED or DELETED, or lacks statistics
    """
    entity_id = call.parameters[member]
    entity = call.find(kind, entity_id)
    if entity is None:
        raise invalid_input(f"No {kind} with id {entity_id} exists")
    if (status := entity.status(call.state.clock.now())) in ("FAILED", "DELETED"):
        raise invalid_input(f"{kind} {entity_id} is {status}")
    if member == "TrainingDataSourceId" and not entity.parameters.get("ComputeStatistics"):
        raise invalid_input(f"DataSource {entity_id} was created without ComputeStatistics, which training needs")
    return entity


def _check(call: OperationCall) -> None:
    """Raise InvalidInputException with all that is wrong with the parameters beyond the service model."""
    if problems := list(CHECKS[call.operation](call.parameters)):
        raise invalid_input("; ".join(problems))


def _s3(parameters: Parameters) -> Iterator[str]:
    yield from _data_spec(parameters["DataSpec"], "DataSchemaLocationS3")


def _redshift(parameters: Parameters) -> Iterator[str]:
    yield from _data_spec(parameters["DataSpec"], "DataSchemaUri")


def _rds(parameters: Parameters) -> Iterator[str]:
    yield from _data_spec(parameters["RDSData"], "DataSchemaUri")


def _data_spec(spec: Parameters, schema_location: str) -> Iterator[str]:
    from amazon_ml_local.learning import validate_rearrangement, validate_schema

    if ("DataSchema" in spec) == (schema_location in spec):
        yield f"exactly one of DataSchema and {schema_location} must be given"
    yield from _complaints(validate_schema, spec.get("DataSchema"))
    yield from _complaints(validate_rearrangement, spec.get("DataRearrangement"))


def _ml_model(parameters: Parameters) -> Iterator[str]:
    from amazon_ml_local.learning import validate_recipe, validate_training_parameters

    if "Recipe" in parameters and "RecipeUri" in parameters:
        yield "only one of Recipe and RecipeUri can be given"
    yield from _complaints(validate_recipe, parameters.get("Recipe"))
    yield from _complaints(validate_training_parameters, parameters.get("Parameters"))


def _batch_prediction(parameters: Parameters) -> Iterator[str]:
    key = "/" + parameters["OutputUri"].removeprefix("s3://").partition("/")[2]  # so that ./ at its start is found
    if found := [part for part in FORBIDDEN_IN_OUTPUT if part in key]:
        yield f"the key in OutputUri must not have {', '.join(found)}"


def _nothing_more(parameters: Parameters) -> Iterator[str]:
    return iter(())


def _complaints(validate: Callable[[T], None], value: T | None) -> Iterator[str]:
    """Yield why a value, if it is given, is not valid."""
    try:
        if value is not None:
            validate(value)
    except ValueError as error:
        yield str(error)


# Operation → the function that yields what is wrong with its parameters.
CHECKS: dict[str, Callable[[Parameters], Iterator[str]]] = {
    "CreateDataSourceFromS3": _s3,
    "CreateDataSourceFromRedshift": _redshift,
    "CreateDataSourceFromRDS": _rds,
    "CreateMLModel": _ml_model,
    "CreateEvaluation": _nothing_more,
    "CreateBatchPrediction": _batch_prediction,
}
