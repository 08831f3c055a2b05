"""What Get and Describe show of an entity. The service model selects the members of each answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amazon_ml_local.entities import data_location, data_spec
from amazon_ml_local.learning.parameters import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from amazon_ml_local.entities import Entity
    from amazon_ml_local.learning import BatchCounts, Evaluated, Model
    from amazon_ml_local.protocol import Parameters
    from amazon_ml_local.work import DataSourceResult

LOGS = "/_local/logs/"
MOST_CHARACTERS = 10_240  # of a Message, by the service model
CREATED_BY = "arn:aws:iam::123456789012:root"  # moto's account


def view(entity: Entity, now: float, url: str, verbose: bool = False) -> Parameters:
    """Return the members of ``entity`` as of the time ``now``; those that are None do not appear in answers.

    :param url: the URL by which the client reaches realtime endpoints and logs
    """
    lifecycle, status = entity.lifecycle, entity.status(now)
    started, finished = lifecycle.started_at <= now, lifecycle.finished_at <= now
    return {
        entity.kind.id_member: entity.id,
        "CreatedByIamUser": CREATED_BY,
        "CreatedAt": lifecycle.created_at,
        "LastUpdatedAt": entity.last_updated_at(now),
        "Name": entity.name,
        "Status": status,
        "Message": _message(entity, now),
        "StartedAt": lifecycle.started_at if started else None,
        "FinishedAt": lifecycle.finished_at if finished else None,
        "LogUri": f"{url}{LOGS}{entity.sequence}" if started else None,
        "ComputeTime": round(1000 * (lifecycle.finished_at - lifecycle.started_at)) if status == "COMPLETED" else None,
        **VIEWS[entity.kind.name](entity, now, result(entity, now), verbose),
        "EndpointInfo": endpoint_info(entity, now, url),
    }


def _message(entity: Entity, now: float) -> str | None:
    """Return why an entity, or else its endpoint, is FAILED: AWS has no other member for an endpoint's failure."""
    if entity.status(now) == "FAILED":
        return (entity.failure or "")[:MOST_CHARACTERS]
    endpoint = entity.endpoint(now)
    if endpoint and endpoint.status(now) == "FAILED":
        return (endpoint.lifecycle.failure or "")[:MOST_CHARACTERS]
    return None


def endpoint_info(entity: Entity, now: float, url: str) -> Parameters:
    """Return a model's RealtimeEndpointInfo as of the time ``now``, with the endpoint at ``url``."""
    endpoint = entity.endpoint(now)
    if endpoint is None:
        return {"EndpointStatus": "NONE", "PeakRequestsPerSecond": 0}
    return {
        "PeakRequestsPerSecond": endpoint.peak_requests_per_second,
        "CreatedAt": endpoint.lifecycle.created_at,
        "EndpointUrl": url,
        "EndpointStatus": endpoint.status(now),
    }


def result(entity: Entity, now: float) -> Any:
    """Return the result of the entity's job; None unless the entity is COMPLETED at the time ``now``."""
    return entity.job.result() if entity.lifecycle.finished_at <= now and not entity.failure else None


def _data_source(entity: Entity, now: float, data: DataSourceResult | None, verbose: bool) -> Parameters:
    spec = data_spec(entity)
    statistics = bool(entity.parameters.get("ComputeStatistics"))
    return {
        "DataLocationS3": data_location(entity),
        "DataRearrangement": spec.get("DataRearrangement"),
        "DataSizeInBytes": data.table.size_in_bytes if data else None,
        "NumberOfFiles": data.table.number_of_files if data else None,
        "RoleARN": entity.parameters.get("RoleARN"),
        "ComputeStatistics": statistics,
        "DataSourceSchema": _schema(spec, data) if verbose else None,
        **_database_metadata(entity, spec, verbose),
        **({} if statistics else {"ComputeTime": None}),  # in place of the one of every entity
    }


def _database_metadata(entity: Entity, spec: Parameters, verbose: bool) -> Parameters:
    """Return RedshiftMetadata or RDSMetadata; nothing for files in S3."""
    if entity.operation not in METADATA:
        return {}
    metadata = {  # of both: answers have only the members that the service model knows
        "DatabaseUserName": spec["DatabaseCredentials"]["Username"],
        "SelectSqlQuery": spec["SelectSqlQuery"] if verbose else None,
        "RedshiftDatabase": spec["DatabaseInformation"],
        "Database": spec["DatabaseInformation"],
        "ResourceRole": spec.get("ResourceRole"),
        "ServiceRole": spec.get("ServiceRole"),
    }
    return {METADATA[entity.operation]: metadata}


def _schema(spec: Parameters, data: DataSourceResult | None) -> str | None:
    return data.schema if data else spec.get("DataSchema")


def _ml_model(entity: Entity, now: float, model: Model | None, verbose: bool) -> Parameters:
    source = entity.inputs[0]
    schema = _schema(data_spec(source), result(source, now))
    return {
        "TrainingDataSourceId": source.id,
        "InputDataLocationS3": data_location(source),
        "MLModelType": entity.parameters["MLModelType"],
        "Algorithm": "sgd",
        "SizeInBytes": model.size_in_bytes if model else None,
        "TrainingParameters": DEFAULTS | entity.parameters.get("Parameters", {}),
        "ScoreThreshold": entity.score_threshold,
        "ScoreThresholdLastUpdatedAt": entity.threshold_updated_at,
        "Recipe": (model.recipe if model else entity.parameters.get("Recipe")) if verbose else None,
        "Schema": schema if verbose else None,
    }


def _evaluation(entity: Entity, now: float, found: Evaluated | None, verbose: bool) -> Parameters:
    model, source = entity.inputs
    return {
        "MLModelId": model.id,
        "EvaluationDataSourceId": source.id,
        "InputDataLocationS3": data_location(source),
        "PerformanceMetrics": {"Properties": found.metrics} if found else None,
    }


def _batch_prediction(entity: Entity, now: float, counts: BatchCounts | None, verbose: bool) -> Parameters:
    model, source = entity.inputs
    return {
        "MLModelId": model.id,
        "BatchPredictionDataSourceId": source.id,
        "InputDataLocationS3": data_location(source),
        "OutputUri": entity.parameters["OutputUri"],
        "TotalRecordCount": counts.total if counts else None,
        "InvalidRecordCount": counts.invalid if counts else None,
    }


METADATA = {"CreateDataSourceFromRedshift": "RedshiftMetadata", "CreateDataSourceFromRDS": "RDSMetadata"}
VIEWS: dict[str, Callable[[Entity, float, Any, bool], Parameters]] = {
    "DataSource": _data_source,
    "MLModel": _ml_model,
    "Evaluation": _evaluation,
    "BatchPrediction": _batch_prediction,
}
