"""The 28 operations: how each changes the entities, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from amazon_ml_local import create, tags
from amazon_ml_local.describe import describe
from amazon_ml_local.entities import KINDS, Endpoint, Entity, Kind
from amazon_ml_local.errors import ServiceError, invalid_input
from amazon_ml_local.state import OperationCall
from amazon_ml_local.views import endpoint_info, view

if TYPE_CHECKING:
    from amazon_ml_local.protocol import Parameters

RECORD_BYTES = 100 * 1024

Operation = Callable[[OperationCall], "Parameters"]
MODEL = KINDS["MLModel"]


def _get(kind: Kind, call: OperationCall) -> Parameters:
    entity = call.entity(kind)
    with call.state.changing:
        entity.poll(call.state.clock)
    entity.advance_to_now(call.state.clock)
    return view(entity, call.state.clock.now(), call.endpoint_url, bool(call.parameters.get("Verbose")))


def _describe(kind: Kind, call: OperationCall) -> Parameters:
    entities = call.region.all(kind.name)
    for entity in entities:
        entity.advance_to_now(call.state.clock)
    now = call.state.clock.now() - call.lag
    page = describe(entities, call.parameters, now)
    call.touched.update(page.entities)
    return {"Results": [view(entity, now, call.endpoint_url) for entity in page.entities], "NextToken": page.next_token}


def _update(kind: Kind, call: OperationCall) -> Parameters:
    entity, now = call.undeleted(kind, call.parameters[kind.id_member]), call.state.clock.now()
    threshold = call.parameters.get("ScoreThreshold")
    if threshold is not None:
        _check_threshold(entity, threshold)
    with call.state.changing:
        if threshold is not None:
            entity.score_threshold, entity.threshold_updated_at = threshold, now
        entity.name = call.parameters.get(kind.name_member, entity.name)
        entity.updated_at = now
    return {kind.id_member: entity.id}


def _check_threshold(entity: Entity, threshold: float) -> None:
    if entity.parameters["MLModelType"] != "BINARY":
        raise invalid_input(f"ScoreThreshold is for BINARY models; {entity.id} is {entity.parameters['MLModelType']}")
    if not 0 <= threshold <= 1:
        raise invalid_input(f"ScoreThreshold must be in 0..1, not {threshold}")


def _delete(kind: Kind, call: OperationCall) -> Parameters:
    entity = call.entity(kind)
    with call.state.changing:
        now = call.state.clock.now()
        if kind is MODEL and entity.endpoint_status(now) in ("UPDATING", "READY"):
            raise invalid_input(f"MLModel {entity.id} has a real-time endpoint; delete that first")
        entity.lifecycle.deleted_at = min(entity.lifecycle.deleted_at, now)  # a second Delete changes nothing
        entity.updated_at = max(entity.updated_at, entity.lifecycle.deleted_at)
    call.deleted.add(entity)
    return {kind.id_member: entity.id}


def _create_endpoint(call: OperationCall) -> Parameters:
    model, state = call.entity(MODEL), call.state
    model.advance_to_now(state.clock)
    with state.changing:
        now = state.clock.now()
        if (status := model.status(now)) != "COMPLETED":
            raise invalid_input(f"MLModel {model.id} is {status}; a real-time endpoint needs a COMPLETED one")
        if model.endpoint_status(now) in ("NONE", "FAILED"):
            lifecycle = state.new_lifecycle("RealtimeEndpoint", model.id, state.durations.realtime_endpoint)
            model.endpoints.append(Endpoint(lifecycle, state.peak_requests_per_second))
    return {"MLModelId": model.id, "RealtimeEndpointInfo": endpoint_info(model, state.clock.now(), call.endpoint_url)}


def _delete_endpoint(call: OperationCall) -> Parameters:
    model, now = call.entity(MODEL), call.state.clock.now()
    if endpoint := model.endpoint(now):
        endpoint.lifecycle.deleted_at = now
    return {"MLModelId": model.id, "RealtimeEndpointInfo": endpoint_info(model, now, call.endpoint_url)}


def _predict(call: OperationCall) -> Parameters:
    record = call.parameters["Record"]
    if sum(len(key.encode()) + len(value.encode()) for key, value in record.items()) > RECORD_BYTES:
        raise invalid_input(f"The record is larger than {RECORD_BYTES} bytes")
    model, state = call.entity(MODEL), call.state
    now = state.clock.now()
    endpoint = model.endpoint(now)
    if not endpoint or not endpoint.is_mounted(now, state.durations.mount):
        raise ServiceError("PredictorNotMountedException", f"MLModel {model.id} has no mounted predictor")
    rate = state.peak_requests_per_second
    if not endpoint.admit(state.clock, rate):
        raise ServiceError("LimitExceededException", f"MLModel {model.id} takes {rate} predictions a second")
    return {"Prediction": model.job.result().predict(record, model.score_threshold)}


def _common(kind: Kind) -> dict[str, Operation]:
    """Return the operations that every kind of entity has."""
    return {
        f"Get{kind.name}": partial(_get, kind),
        f"Describe{kind.name}s": partial(_describe, kind),
        f"Update{kind.name}": partial(_update, kind),
        f"Delete{kind.name}": partial(_delete, kind),
    }


OPERATIONS: dict[str, Operation] = {
    **_common(KINDS["DataSource"]),
    **_common(KINDS["MLModel"]),
    **_common(KINDS["Evaluation"]),
    **_common(KINDS["BatchPrediction"]),
    "CreateDataSourceFromS3": partial(create.create, KINDS["DataSource"]),
    "CreateDataSourceFromRDS": partial(create.create, KINDS["DataSource"]),
    "CreateDataSourceFromRedshift": partial(create.create, KINDS["DataSource"]),
    "CreateMLModel": partial(create.create, KINDS["MLModel"]),
    "CreateEvaluation": partial(create.create, KINDS["Evaluation"]),
    "CreateBatchPrediction": partial(create.create, KINDS["BatchPrediction"]),
    "CreateRealtimeEndpoint": _create_endpoint,
    "DeleteRealtimeEndpoint": _delete_endpoint,
    "Predict": _predict,
    "AddTags": tags.add,
    "DeleteTags": tags.delete,
    "DescribeTags": tags.describe,
}
