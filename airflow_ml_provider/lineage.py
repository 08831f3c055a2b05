"""Lineage for OpenLineage: from data in S3 to data source, model, evaluation, endpoint and predictions.

Only the methods that the OpenLineage provider calls import this module, so that nothing else needs that provider.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import attr
from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    OutputDatasetFacet,
    RunFacet,
    lifecycle_state_change_dataset,
    output_statistics_output_dataset,
)

from airflow_ml_provider import transport

if TYPE_CHECKING:
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from airflow_ml_provider.payloads import JSON, Description
    from airflow_ml_provider.resources import ResourceKind

log = logging.getLogger(__name__)

STS_SECONDS = 5.0
Change = Literal["CREATE", "ALTER", "DROP", ""]

# Kind of resource → what it is made of: the member that identifies a source → the kind of that source.
SOURCES: dict[ResourceKind, dict[str, ResourceKind | Literal["S3"]]] = {
    "DataSource": {"DataLocationS3": "S3"},
    "MLModel": {"TrainingDataSourceId": "DataSource"},
    "Evaluation": {"MLModelId": "MLModel", "EvaluationDataSourceId": "DataSource"},
    "BatchPrediction": {"MLModelId": "MLModel", "BatchPredictionDataSourceId": "DataSource"},
    "RealtimeEndpoint": {"MLModelId": "MLModel"},
}


@attr.define
class MachineLearningRunFacet(RunFacet):
    """The resource that a task worked on: AWS's name of its kind, ids, status and metrics."""

    resource: str
    id: str
    mlModelId: str | None
    status: str | None
    metrics: dict[str, float]


class Activity(NamedTuple):
    """What a task did, and with what.

    ``kind`` and ``id`` identify the resource that it worked on. ``change`` is how it changed the resource, empty if it
    only read it. ``known`` has members of the resource's description or of the request. ``inputs`` are URIs in S3, and
    ``output`` is one.
    """

    kind: ResourceKind | None
    id: str
    change: Change
    known: Description
    inputs: Iterable[str]
    output: str | None


def s3_dataset(uri: str) -> Dataset:
    """Return the dataset of an object or a folder in S3, by OpenLineage's naming: bucket and key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return Dataset(f"s3://{bucket}", key.rstrip("/") or "/")


def resource_dataset(kind: ResourceKind, resource_id: str, namespace: str) -> Dataset:
    """Return the dataset of a resource, named by its ARN in two parts; an endpoint has no ARN, but the same form."""
    return Dataset(namespace, f"{kind.lower()}/{resource_id}")


def source_datasets(activity: Activity, namespace: str) -> list[Dataset]:
    """Return the datasets that the resource is made of, as far as they are known; none if there is no resource."""
    if activity.kind is None:
        return []
    found = []
    for member, kind in SOURCES[activity.kind].items():
        if source := activity.known.get(member):
            found.append(s3_dataset(str(source)) if kind == "S3" else resource_dataset(kind, str(source), namespace))
    return found


def metrics(known: Description) -> dict[str, float]:
    """Return the metrics of an evaluation, or those that an evaluation gate has compared."""
    performance = cast("Mapping[str, Mapping[str, str]]", known.get("PerformanceMetrics") or {})
    found = {name: float(value) for name, value in (performance.get("Properties") or {}).items()}
    if "Metric" in known:
        found[str(known["Metric"])] = float(cast("float", known["Value"]))
    if "DeployedValue" in known:
        found["DeployedValue"] = float(cast("float", known["DeployedValue"]))
    return found


def changed_resource(dataset: Dataset, change: Change, known: Description) -> OutputDataset:
    """Return a resource as the output of the task that created, changed or deleted it."""
    kind = lifecycle_state_change_dataset.LifecycleStateChange(change)
    facet = lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(kind)
    size_and_files = statistics(size=known.get("DataSizeInBytes"), files=known.get("NumberOfFiles"))
    return OutputDataset(
        dataset.namespace, dataset.name, facets={"lifecycleStateChange": facet}, outputFacets=size_and_files
    )


def statistics(rows: JSON = None, size: JSON = None, files: JSON = None) -> dict[str, OutputDatasetFacet]:
    """Return the facet with the rows, bytes and files of an output, as far as they are known."""
    if rows is None and size is None and files is None:
        return {}
    numbers = [None if number is None else int(cast("int", number)) for number in (rows, size, files)]
    return {"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(*numbers)}


def output_in_s3(uri: str, known: Description) -> OutputDataset:
    """Return an output in S3, with its number of rows if that is known."""
    dataset = s3_dataset(uri)
    rows = known.get("rows", known.get("TotalRecordCount"))  # of PredictS3's summary, or of a batch prediction
    return OutputDataset(dataset.namespace, dataset.name, outputFacets=statistics(rows))


def lineage_of(activity: Activity, hook: MachineLearningHook) -> OperatorLineage[Dataset, RunFacet]:
    """Return the inputs, outputs and run facets of a task."""
    namespace = f"arn:aws:machinelearning:{hook.one_attempt_client.meta.region_name}:{account_of(hook)}"
    inputs = [s3_dataset(uri) for uri in activity.inputs]
    outputs: list[Dataset] = []
    if activity.kind:
        resource = resource_dataset(activity.kind, activity.id, namespace)
        if activity.change == "CREATE":
            inputs += source_datasets(activity, namespace)
        if activity.change:
            outputs.append(changed_resource(resource, activity.change, activity.known))
        else:
            inputs.append(resource)
    if activity.output:
        outputs.append(output_in_s3(activity.output, activity.known))
    return OperatorLineage(
        inputs=[InputDataset(one.namespace, one.name) for one in inputs],
        outputs=outputs,
        run_facets=run_facets(activity),
    )


def account_of(hook: MachineLearningHook) -> str:
    """Return the id of the AWS account, which makes the names unique; empty if STS does not answer."""
    try:
        with transport.time_limit(STS_SECONDS):
            return hook.account_id
    except Exception as error:
        log.debug("The AWS account is not known: %s", error)
        return ""


def run_facets(activity: Activity) -> dict[str, RunFacet]:
    """Return the run facet of the resource that a task worked on, by the facet's name."""
    if not activity.kind:
        return {}
    known = activity.known
    status = known.get("EndpointStatus") if activity.kind == "RealtimeEndpoint" else known.get("Status")
    facet = MachineLearningRunFacet(
        resource=activity.kind,
        id=activity.id,
        mlModelId=cast("str | None", known.get("MLModelId")),
        status=cast("str | None", status),
        metrics=metrics(known),
    )
    return {"amazonMachineLearning": facet}
