"""List the realtime endpoints that cost money now, with their costs and the tasks that created them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from airflow_ml_provider import errors
from airflow_ml_provider.claim_tag import parse
from airflow_ml_provider.prices import PRICE_PER_10_MB, hourly_price
from airflow_ml_provider.resources import answered_at, endpoint_info

if TYPE_CHECKING:
    from airflow_ml_provider.claim_tag import ClaimTag
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import BilledEndpoint, EndpointClaim, RealtimeEndpoint


def realtime_endpoints(
    hook: MachineLearningClientHook, price_per_10_mb: float = PRICE_PER_10_MB
) -> list[BilledEndpoint]:
    """Return every endpoint that is not NONE, the oldest first; ``MachineLearningHook`` documents the result."""
    found = [_billed_endpoint(hook, model, now, price_per_10_mb) for model, now in _models_with_endpoint(hook)]
    return sorted(found, key=lambda one: one.get("CreatedAt", ""))


def _models_with_endpoint(hook: MachineLearningClientHook) -> Iterator[tuple[Mapping[str, object], datetime]]:
    """Yield each model that has an endpoint, and the time of the answer that lists it, if possible by AWS's clock."""
    pages = hook.conn.get_paginator("describe_ml_models").paginate(FilterVariable="RealtimeEndpointStatus", NE="NONE")
    for page in pages:
        now = answered_at(cast("Mapping[str, object]", page)) or datetime.now(UTC)
        for model in page["Results"]:
            # The list may be filtered by an older state than it shows.
            if model.get("EndpointInfo", {}).get("EndpointStatus", "NONE") != "NONE":
                yield cast("Mapping[str, object]", model), now


def _billed_endpoint(
    hook: MachineLearningClientHook, model: Mapping[str, object], now: datetime, price_per_10_mb: float
) -> BilledEndpoint:
    endpoint = endpoint_info(model)
    price = hourly_price(cast("int", model.get("SizeInBytes") or 0), price_per_10_mb)
    hours = _hours(endpoint, now)
    claims = _claims(hook, endpoint)
    found: BilledEndpoint = {
        "AwsConnId": hook.aws_conn_id,
        "RegionName": hook.conn_region_name,
        "MLModelId": endpoint["MLModelId"],
        "Name": str(model.get("Name") or ""),
        "EndpointStatus": endpoint["EndpointStatus"],
        "CreatedAt": endpoint.get("CreatedAt", ""),
        "Hours": round(hours, 2),
        "HourlyPrice": round(price, 6),
        "Cost": round(hours * price, 4),
        "Claims": list(map(_endpoint_claim, claims)),
    }
    if claims:
        claim = claims[0]
        found |= {"DagId": claim.dag_id, "TaskId": claim.task_id, "RunId": claim.run_id, "MapIndex": claim.map_index}
    return found


def _endpoint_claim(claim: ClaimTag) -> EndpointClaim:
    return {
        "DagId": claim.dag_id,
        "TaskId": claim.task_id,
        "RunId": claim.run_id,
        "MapIndex": claim.map_index,
        "NamesAreWhole": claim.has_whole_names,
    }


def _hours(endpoint: RealtimeEndpoint, now: datetime) -> float:
    created_at = endpoint.get("CreatedAt")
    if not created_at:
        return 0.0
    return max(0.0, (now - datetime.fromisoformat(created_at)).total_seconds() / 3600)


def _claims(hook: MachineLearningClientHook, endpoint: RealtimeEndpoint) -> list[ClaimTag]:
    """Return the claims on the endpoint, that of the task that created it first; none if they may not be read."""
    from botocore.exceptions import ClientError

    try:
        answer = hook.conn.describe_tags(ResourceId=endpoint["MLModelId"], ResourceType="MLModel")
    except ClientError as error:
        if errors.code(error) not in errors.ACCESS_DENIED | {"ResourceNotFoundException"}:
            raise
        hook.log.info("The task that created the endpoint of MLModel %s is unknown: %s", endpoint["MLModelId"], error)
        return []
    tags = [parse(cast("Mapping[str, str]", tag)) for tag in answer["Tags"]]
    claims = [claim for claim in tags if claim and claim.covers(endpoint)]
    return sorted(claims, key=lambda claim: claim.state != "created")
