"""A READY endpoint and a bucket, all by the service's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from airflow_ml_provider.predicting.pace import RealTime

if TYPE_CHECKING:
    from airflow_ml_provider.local.clock import Clock
    from airflow_ml_provider.local.fixture import LocalFixture


@pytest.fixture
def endpoint(
    amazon_ml_local: LocalFixture, ml_model: str, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> LocalFixture:
    """The service with a READY endpoint of ``ml-1``; calls are paced by its clock, so nobody sleeps."""
    amazon_ml_local.client().create_realtime_endpoint(MLModelId=ml_model)
    service_clock.advance(3600)
    monkeypatch.setattr(RealTime, "now", staticmethod(service_clock.now))
    monkeypatch.setattr(RealTime, "sleep", staticmethod(service_clock.sleep))
    amazon_ml_local.requests.clear()
    return amazon_ml_local


@pytest.fixture
def hook(endpoint: LocalFixture) -> MachineLearningHook:
    """A hook that talks to the service."""
    return MachineLearningHook()
