"""The report of endpoints in Dag runs: Airflow knows which runs are over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.dags.runs import DAGS, FEATURES
from tests.helpers.endpoints import status

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.dags.runs import Run

pytestmark = pytest.mark.core


def test_an_endpoint_that_a_run_has_left_is_deleted(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, ml_model: str, service_clock: Clock
) -> None:
    """The example Dag finds it a day later, names the run, and deletes it when told to."""

    def delete(dag: Any) -> None:
        dag.get_task("report").is_dry_run = False

    left = run_dag(FEATURES / "endpoint_left.py", ml_model_id=ml_model)
    assert left.state == "success", left.states()
    service_clock.advance(2 * 24 * 3600)
    run = run_dag(DAGS / "endpoints_report.py", delete)
    assert run.state == "success", run.states()
    (found,) = run.xcom("report")["Endpoints"]
    assert (found["DagId"], found["TaskId"], found["Action"]) == ("endpoint_left", "create", "deleted")
    assert status(amazon_ml_local) == "NONE"


def test_an_endpoint_of_a_run_that_goes_on_is_kept(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, ml_model: str
) -> None:
    """The run that the tag names is still running, so the endpoint is in use."""
    run = run_dag(FEATURES / "endpoint_in_use.py", ml_model_id=ml_model)
    assert run.state == "success", run.states()
    (found,) = run.xcom("report")["Endpoints"]
    assert (found["Action"], found["DagId"]) == ("kept", "endpoint_in_use")
    assert "is not over" in found["Reason"]
    assert status(amazon_ml_local) == "READY"
