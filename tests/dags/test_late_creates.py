"""Creates after their run's delete task, in a Dag run: Airflow knows the state of each mapped task instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.dags.runs import FEATURES
from tests.helpers.endpoints import status

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.dags.runs import Run

pytestmark = pytest.mark.core


def test_a_mapped_create_fails_after_the_delete_of_its_own_map_index_alone(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, ml_model: str
) -> None:
    """The delete of the other model's endpoint may still run, and hinders the create of that one in nothing."""
    client = amazon_ml_local.client()
    client.create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    amazon_ml_local.clock.advance(3600)
    run = run_dag(FEATURES / "late_creates.py")
    states = [str(run.task_instances[task_id, place].state) for task_id in ("delete", "create") for place in range(2)]
    assert states == ["success", "skipped", "failed", "success"]
    assert [status(amazon_ml_local, model) for model in ("ml-1", "ml-2")] == ["NONE", "UPDATING"]
