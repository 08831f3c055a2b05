"""The example Dag that chooses a threshold by an evaluation report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from airflow_ml_provider.compat import AIRFLOW_3
from airflow_ml_provider.links import EvaluationReportLink
from tests.dags.runs import BUCKET, DAGS, Run, run_to_its_end, shared_service
from tests.helpers.endpoints import status

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture


class Chosen(NamedTuple):
    """A run of ``choose_threshold.py``, and the service after it."""

    run: Run
    service: AmazonMLLocalFixture

    def report(self, member: str) -> Any:
        """Return a member of what the report's task has returned."""
        return self.run.xcom("report", member)


@pytest.fixture(scope="module")
def chosen(airflow_database: None) -> Iterator[Chosen]:
    """One run for all tests of this file."""
    with shared_service() as service:
        run = run_to_its_end(DAGS / "choose_threshold.py")
        assert run.state == "success", run.states()
        yield Chosen(run, service)


def test_the_best_threshold_costs_no_more_than_the_models_own(chosen: Chosen) -> None:
    """By the report, on the rows that the model has not seen."""
    assert chosen.report("AtBestThreshold")["Cost"] <= chosen.report("AtScoreThreshold")["Cost"]


def test_the_model_gets_the_best_threshold(chosen: Chosen) -> None:
    """Before it gets an endpoint."""
    model = chosen.service.client().get_ml_model(MLModelId=chosen.run.xcom("train"))
    assert model["ScoreThreshold"] == pytest.approx(chosen.report("BestThreshold"))


def test_the_page_shows_the_best_threshold(chosen: Chosen) -> None:
    """It is where the report's task says."""
    key = chosen.report("ReportUri").removeprefix(f"s3://{BUCKET}/")
    page = chosen.service.client("s3").get_object(Bucket=BUCKET, Key=key)
    assert f"<strong>{chosen.report('BestThreshold')}</strong>" in page["Body"].read().decode()


def test_the_task_links_to_the_page(chosen: Chosen) -> None:
    """Airflow 3's UI reads an XCom, Airflow 2 asks the link."""
    link: Any = EvaluationReportLink()
    assert link.xcom_key == "ReportUrl"
    if not AIRFLOW_3:
        ti_key = chosen.run.task_instances["report", -1].key
        assert link.get_link(None, ti_key=ti_key) == chosen.report("ReportUrl")


def test_no_endpoint_stays(chosen: Chosen) -> None:
    """The Dag's teardown deletes it."""
    assert status(chosen.service, chosen.run.xcom("train")) == "NONE"
