"""The endpoint of a model: create and delete it by our operators, and look at it by boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow_ml_provider import ownership
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_ml_provider.claim_tag import ClaimTag
    from amazon_ml_local.fixture import AmazonMLLocalFixture

TAG_OPERATIONS = ("AddTags", "DescribeTags", "DeleteTags")


def create(**arguments: Any) -> MachineLearningCreateRealtimeEndpointOperator:
    """Return an operator that creates the endpoint of ml-1."""
    return MachineLearningCreateRealtimeEndpointOperator(**{"task_id": "create", "ml_model_id": "ml-1"} | arguments)


def delete(**arguments: Any) -> MachineLearningDeleteRealtimeEndpointOperator:
    """Return an operator that deletes the endpoint of ml-1."""
    return MachineLearningDeleteRealtimeEndpointOperator(**{"task_id": "delete", "ml_model_id": "ml-1"} | arguments)


def status(service: AmazonMLLocalFixture, ml_model_id: str = "ml-1") -> str:
    """Return the status of a model's endpoint."""
    return service.client().get_ml_model(MLModelId=ml_model_id)["EndpointInfo"]["EndpointStatus"]


def called(service: AmazonMLLocalFixture) -> list[str]:
    """Return the operations that have reached the service, in their order."""
    return [request.operation for request in service.requests]


def claims(service: AmazonMLLocalFixture) -> list[ClaimTag]:
    """Return the claims in the tags of ml-1."""
    answer = service.client().describe_tags(ResourceId="ml-1", ResourceType="MLModel")
    tags = cast("Sequence[Mapping[str, str]]", answer["Tags"])
    return [claim for tag in tags if (claim := ownership.parse(tag))]


def deny(service: AmazonMLLocalFixture, *operations: str) -> None:
    """Deny operations, as IAM does."""
    for operation in operations:
        service.faults.add("error", operation=operation, code="AccessDeniedException", message="no", status=403)


def replace(service: AmazonMLLocalFixture) -> None:
    """Delete the endpoint of ml-1, and create another one."""
    client = service.client()
    client.delete_realtime_endpoint(MLModelId="ml-1")
    service.clock.advance(5)
    client.create_realtime_endpoint(MLModelId="ml-1")
