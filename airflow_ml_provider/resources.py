"""The five kinds of resource of Amazon Machine Learning, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import JSON, Description, RealtimeEndpoint

ResourceKind = Literal["DataSource", "MLModel", "Evaluation", "BatchPrediction", "RealtimeEndpoint"]
WaiterName = Literal[
    "data_source_completed",
    "ml_model_completed",
    "evaluation_completed",
    "batch_prediction_completed",
    "realtime_endpoint_ready",
    "realtime_endpoint_deleted",
]


class Resource(NamedTuple):
    """One kind of resource: AWS's names of it, of its operations, and of the members that hold its id and status.

    ``info_member`` is the part of the Get's answer that describes the resource; empty when the whole answer does.
    """

    name: ResourceKind
    id_member: str
    get: str
    describe: str
    status_member: str = "Status"
    info_member: str = ""


RESOURCES: dict[ResourceKind, Resource] = {
    resource.name: resource
    for resource in (
        Resource("DataSource", "DataSourceId", "GetDataSource", "DescribeDataSources"),
        Resource("MLModel", "MLModelId", "GetMLModel", "DescribeMLModels"),
        Resource("Evaluation", "EvaluationId", "GetEvaluation", "DescribeEvaluations"),
        Resource("BatchPrediction", "BatchPredictionId", "GetBatchPrediction", "DescribeBatchPredictions"),
        Resource(
            "RealtimeEndpoint",
            "MLModelId",
            "GetMLModel",
            "DescribeMLModels",
            status_member="EndpointStatus",
            info_member="EndpointInfo",
        ),
    )
}

WAITERS: dict[WaiterName, Resource] = {
    "data_source_completed": RESOURCES["DataSource"],
    "ml_model_completed": RESOURCES["MLModel"],
    "evaluation_completed": RESOURCES["Evaluation"],
    "batch_prediction_completed": RESOURCES["BatchPrediction"],
    "realtime_endpoint_ready": RESOURCES["RealtimeEndpoint"],
    "realtime_endpoint_deleted": RESOURCES["RealtimeEndpoint"],
}


# LogUri is a presigned URL with which anybody can read the log; a database's user is secret too. ResponseMetadata says
# nothing about the resource.
LEFT_OUT = frozenset({"ResponseMetadata", "LogUri", "DatabaseUserName"})


def to_json(value: object) -> JSON:
    """Return an answer that botocore parsed in plain JSON types, without secrets; times become ISO 8601 text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items() if key not in LEFT_OUT}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return cast("JSON", value)


def describe(resource: Resource, answer: Mapping[str, object]) -> Description:
    """Return the description of a resource in a Get's answer or an item of a Describe, without secrets."""
    whole = cast("Description", to_json(answer))
    if not resource.info_member:
        return whole
    info = whole.get(resource.info_member) or {}
    return {resource.id_member: whole.get(resource.id_member), **cast("Description", info)}


def answered_at(answer: Mapping[str, object]) -> datetime | None:
    """Return the time of an answer by the service's clock, in whole seconds; None if a proxy has removed ``Date``."""
    metadata = cast("Mapping[str, Mapping[str, str]]", answer.get("ResponseMetadata") or {})
    date = metadata.get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date) if date else None


def highlight(description: Description) -> str:
    """Return what the log shows of a resource at the end of a wait: an endpoint's URL or an evaluation's metrics."""
    if url := description.get("EndpointUrl"):
        return str(url)
    performance = cast("Mapping[str, Mapping[str, str]]", description.get("PerformanceMetrics") or {})
    return ", ".join(f"{name} {value}" for name, value in (performance.get("Properties") or {}).items())


def endpoint_info(answer: Mapping[str, object]) -> RealtimeEndpoint:
    """Return the endpoint's info in the answer to a Create, Delete or Get, in plain JSON types."""
    info = answer.get("RealtimeEndpointInfo") or answer.get("EndpointInfo")
    found = describe(RESOURCES["RealtimeEndpoint"], {"MLModelId": answer["MLModelId"], "EndpointInfo": info})
    return cast("RealtimeEndpoint", found)
