"""Lineage for OpenLineage: from data in S3 to data source, model, evaluation, endpoint and predictions.

Nothing imports this module but the methods that the OpenLineage provider calls, so that nothing else needs it.
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

# What each kind of thing is made of: the member that names it → its kind.
SOURCES: dict[ResourceKind, dict[str, ResourceKind | Literal["S3"]]] = {
    "DataSource": {"DataLocationS3": "S3"},
    "MLModel": {"TrainingDataSourceId": "DataSource"},
    "Evaluation": {"MLModelId": "MLModel", "EvaluationDataSourceId": "DataSource"},
    "BatchPrediction": {"MLModelId": "MLModel", "BatchPredictionDataSourceId": "DataSource"},
    "RealtimeEndpoint": {"MLModelId": "MLModel"},
}


@attr.define
class MachineLearningRunFacet(RunFacet):
    """What a task worked at: AWS's name of the kind, ids, status and metrics."""

    resource: str
    id: str
    mlModelId: str | None
    status: str | None
    metrics: dict[str, float]


class Worked(NamedTuple):
    """What a task has worked at.

    ``known`` has members of the service's description or of the request; ``change`` is what the task did to the thing,
    empty when it has only read it; ``read`` and ``written`` are URIs in S3.
    """

    kind: ResourceKind | None
    id: str
    change: Change
    known: Description
    read: Iterable[str]
    written: str | None


def s3_dataset(uri: str) -> Dataset:
    """Return an object or a folder in S3, by OpenLineage's naming: bucket and key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return Dataset(f"s3://{bucket}", key.rstrip("/") or "/")


def own_dataset(kind: ResourceKind, resource_id: str, namespace: str) -> Dataset:
    """Return a thing of the service, by its ARN in two parts; an endpoint, which has none, in the same form."""
    return Dataset(namespace, f"{kind.lower()}/{resource_id}")


def sources(worked: Worked, namespace: str) -> list[Dataset]:
    """Return what the thing is made of, as far as it is known."""
    found = []
    for member, kind in SOURCES[worked.kind].items() if worked.kind else ():
        if value := worked.known.get(member):
            found.append(s3_dataset(str(value)) if kind == "S3" else own_dataset(kind, str(value), namespace))
    return found


def metrics(known: Description) -> dict[str, float]:
    """Return the metrics of an evaluation, or those that a gate has compared."""
    performance = cast("Mapping[str, Mapping[str, str]]", known.get("PerformanceMetrics") or {})
    found = {name: float(value) for name, value in (performance.get("Properties") or {}).items()}
    if "Metric" in known:
        found[str(known["Metric"])] = float(cast("float", known["Value"]))
    if "DeployedValue" in known:
        found["DeployedValue"] = float(cast("float", known["DeployedValue"]))
    return found


def changed(dataset: Dataset, change: Change, known: Description) -> OutputDataset:
    """Return a thing as the output of a task that made, changed or deleted it."""
    kind = lifecycle_state_change_dataset.LifecycleStateChange(change)
    facet = lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(kind)
    statistics = counted(size=known.get("DataSizeInBytes"), files=known.get("NumberOfFiles"))
    return OutputDataset(
        dataset.namespace, dataset.name, facets={"lifecycleStateChange": facet}, outputFacets=statistics
    )


def counted(rows: JSON = None, size: JSON = None, files: JSON = None) -> dict[str, OutputDatasetFacet]:
    """Return how many rows, bytes and files an output has, as its facet, as far as that is known."""
    if rows is None and size is None and files is None:
        return {}
    numbers = [None if number is None else int(cast("int", number)) for number in (rows, size, files)]
    return {"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(*numbers)}


def written(uri: str, known: Description) -> OutputDataset:
    """Return an output in S3, with its rows when they are known."""
    dataset = s3_dataset(uri)
    rows = known.get("rows", known.get("TotalRecordCount"))
    return OutputDataset(dataset.namespace, dataset.name, outputFacets=counted(rows))


def lineage_of(worked: Worked, hook: MachineLearningHook) -> OperatorLineage[Dataset, RunFacet]:
    """Return what OpenLineage is to know of a task."""
    namespace = f"arn:aws:machinelearning:{hook.one_attempt_client.meta.region_name}:{account_of(hook)}"
    inputs = [s3_dataset(uri) for uri in worked.read]
    outputs: list[Dataset] = []
    if worked.kind:
        thing = own_dataset(worked.kind, worked.id, namespace)
        if worked.change == "CREATE":
            inputs += sources(worked, namespace)
        if worked.change:
            outputs.append(changed(thing, worked.change, worked.known))
        else:
            inputs.append(thing)
    if worked.written:
        outputs.append(written(worked.written, worked.known))
    return OperatorLineage(
        inputs=[InputDataset(one.namespace, one.name) for one in inputs], outputs=outputs, run_facets=run_facets(worked)
    )


def account_of(hook: MachineLearningHook) -> str:
    """Return the id of the AWS account, which makes names unique; empty when STS does not answer."""
    try:
        with transport.time_limit(STS_SECONDS):
            return hook.account_id
    except Exception as error:
        log.debug("The AWS account is not known: %s", error)
        return ""


def run_facets(worked: Worked) -> dict[str, RunFacet]:
    """Return the facet that says what a task worked at, by its name."""
    if not worked.kind:
        return {}
    known = worked.known
    status = known.get("EndpointStatus") if worked.kind == "RealtimeEndpoint" else known.get("Status")
    facet = MachineLearningRunFacet(
        resource=worked.kind,
        id=worked.id,
        mlModelId=cast("str | None", known.get("MLModelId")),
        status=cast("str | None", status),
        metrics=metrics(known),
    )
    return {"amazonMachineLearning": facet}
