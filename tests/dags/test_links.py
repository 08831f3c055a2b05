"""Links in a Dag run: of mapped tasks, after a deferral, after a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AIRFLOW_3
from airflow_ml_provider.links import ResourceLink
from tests.dags.runs import FEATURES

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.dags.runs import Run

pytestmark = pytest.mark.core


def test_links_of_mapped_deferred_and_failed_tasks(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, ml_model: str
) -> None:
    """Each map index has its own page, whatever became of it."""
    client = amazon_ml_local.client()
    client.create_ml_model(MLModelId="ml-failed", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    amazon_ml_local.clock.advance(3600)
    amazon_ml_local.service.ready_after_polls(2)
    amazon_ml_local.service.fail("RealtimeEndpoint", "ml-failed")
    amazon_ml_local.clock.resume()
    run = run_dag(FEATURES / "links.py")
    models = [ml_model, "unknown", "ml-failed"]
    states = [str(run.task_instances["create", place].state) for place in range(3)]
    assert states == ["success", "failed", "failed"]
    for place, model in enumerate(models):
        link: Any = ResourceLink()
        if AIRFLOW_3:
            url = run.xcom("create", link.xcom_key, map_index=place)
        else:  # in the webserver
            url = link.get_link(None, ti_key=run.task_instances["create", place].key)
        assert url == f"{amazon_ml_local.url}/_local/MLModel/{model}"
