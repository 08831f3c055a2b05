"""Many endpoints to wait for, and triggers that wait for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider import waiting
from airflow_ml_provider.triggers.machine_learning import MachineLearningTrigger

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture
def endpoints(amazon_ml_local: AmazonMLLocalFixture, ml_model: str, service_clock: Clock) -> Callable[[int], list[str]]:
    """Make so many models whose endpoints are UPDATING for 100 s; return their ids."""

    def make(count: int) -> list[str]:
        client, service = amazon_ml_local.client(), amazon_ml_local.service
        ids = [f"model-{number}" for number in range(count)]
        for model_id in ids:
            client.create_ml_model(MLModelId=model_id, MLModelType="BINARY", TrainingDataSourceId="ds-1")
        service_clock.advance(100)
        service.durations.set(realtime_endpoint=100)
        for model_id in ids:
            client.create_realtime_endpoint(MLModelId=model_id)
        amazon_ml_local.requests.clear()
        return ids

    return make


@pytest.fixture
def trigger(service_clock: Clock) -> Callable[..., MachineLearningTrigger]:
    """Make a trigger that waits for an endpoint to be READY: 600 s, a look every 30 s."""

    def make(
        model_id: str, *, status: str = "UPDATING", seconds: float = 600, **settings: Any
    ) -> MachineLearningTrigger:
        now = service_clock.now()
        wait = waiting.Wait("realtime_endpoint_ready", model_id, "us-east-1", now + seconds, 30, now, status=status)
        return MachineLearningTrigger(wait=wait.to_json(), carried={"ours": False}, **settings)

    return make
