"""A hook at a READY endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_ml_provider.hooks.machine_learning import MachineLearningHook

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture
def hook(endpoint: AmazonMLLocalFixture) -> MachineLearningHook:
    """A hook that talks to the service."""
    return MachineLearningHook()
