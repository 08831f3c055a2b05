"""The report of endpoints that cost money: what is listed, what is deleted, and what is kept."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from airflow_ml_provider import compat
from airflow_ml_provider.compat import DAG, AirflowException
from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from airflow_ml_provider.operators import endpoints_report
from airflow_ml_provider.operators.endpoints_report import MachineLearningEndpointsReportOperator
from tests.helpers import endpoints
from tests.helpers.task_instances import TaskInstance, context_of

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture

HOUR = 3600


class InAirflow(TaskInstance):
    """A task instance in an Airflow in which those runs of its Dag that ``active`` names are not over."""

    active: tuple[str, ...] = ()

    def get_dr_count(self, *, dag_id: str, run_ids: Any, states: Any) -> int:
        return sum(dag_id == self.dag_id and run_id in self.active for run_id in run_ids)


@pytest.fixture
def ti(monkeypatch: pytest.MonkeyPatch) -> InAirflow:
    """The task instance of a task; ``ti.active`` names the runs that are not over."""
    monkeypatch.setattr(compat, "AIRFLOW_3", True)
    return InAirflow(dag_id="deploy")


@pytest.fixture
def context(ti: InAirflow) -> Context:
    """The context of that task."""
    return context_of(ti)


@pytest.fixture
def made(context: Context, ml_model: str, service_clock: Clock) -> None:
    """An endpoint of ml-1 that a task of the Dag ``deploy`` has made, two hours ago."""
    endpoints.create().execute(context)
    service_clock.advance(2 * HOUR)


def report(context: Context, **arguments: Any) -> Any:
    return MachineLearningEndpointsReportOperator(task_id="report", **arguments).execute(context)


def test_the_hook_lists_what_costs_money(made: None) -> None:
    """Each endpoint that is not NONE comes with its model, age by AWS's clock, cost, and the task that made it."""
    (found,) = MachineLearningHook().realtime_endpoints(price_per_10_mb=0.5)
    assert found == {
        "AwsConnId": "aws_default",
        "RegionName": "us-east-1",
        "MLModelId": "ml-1",
        "Name": found["Name"],
        "EndpointStatus": "READY",
        "CreatedAt": found["CreatedAt"],
        "Hours": pytest.approx(2, abs=0.1),
        "HourlyPrice": 0.5,
        "Cost": pytest.approx(1, abs=0.05),
        "DagId": "deploy",
        "TaskId": "create",
        "RunId": "run",
        "MapIndex": -1,
        "Claims": [{"DagId": "deploy", "TaskId": "create", "RunId": "run", "MapIndex": -1, "NamesAreWhole": True}],
    }


def test_a_model_without_an_endpoint_costs_nothing(ml_model: str) -> None:
    """Nothing is listed whose EndpointStatus is NONE."""
    assert MachineLearningHook().realtime_endpoints() == []


def test_without_a_tag_the_maker_is_unknown(endpoint: AmazonMLLocalFixture) -> None:
    """An endpoint that no task of Airflow claims is listed without Dag, task and run."""
    (found,) = MachineLearningHook().realtime_endpoints()
    assert "DagId" not in found


def test_without_permission_for_tags_the_maker_is_unknown(made: None, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """DescribeTags is of use, not needed."""
    amazon_ml_local.faults.add("error", code="AccessDeniedException", operation="DescribeTags")
    (found,) = MachineLearningHook().realtime_endpoints()
    assert "DagId" not in found


def test_the_report_is_plain_json_with_the_sums(made: None, context: Context) -> None:
    """The report can be an XCom, and adds up price and cost."""
    found = report(context, price_per_10_mb=0.5)
    assert json.loads(json.dumps(found)) == found
    assert (found["HourlyPrice"], found["Cost"]) == (0.5, pytest.approx(1, abs=0.05))
    assert found["Unreached"] == []


def test_the_log_shows_a_table(
    made: None, context: Context, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line for each endpoint: model, status, hours, cost, the task that made it."""
    caplog.set_level("INFO")
    report(context)
    log = caplog.text + capsys.readouterr().out  # Airflow 2 logs by logging, Airflow 3 to the standard output
    assert "1 realtime endpoint(s) cost" in log
    assert "deploy.create run" in log


@pytest.mark.parametrize(("hours", "forgotten"), [(1, True), (3, False)])
def test_max_age_marks_the_forgotten(made: None, context: Context, hours: int, forgotten: bool) -> None:
    """An endpoint is forgotten from that age on."""
    (found,) = report(context, max_age=timedelta(hours=hours))["Endpoints"]
    assert found["Forgotten"] is forgotten


def test_a_dry_run_deletes_nothing(made: None, context: Context, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Which is the default: the report says what would be deleted."""
    (found,) = report(context, delete_older_than=timedelta(hours=1))["Endpoints"]
    assert found["Action"] == "to delete"
    assert endpoints.status(amazon_ml_local) == "READY"


def test_what_is_older_is_deleted(made: None, context: Context, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """An endpoint whose run is over is deleted from that age on."""
    (found,) = report(context, delete_older_than=timedelta(hours=1), is_dry_run=False)["Endpoints"]
    assert found["Action"] == "deleted"
    assert endpoints.status(amazon_ml_local) == "NONE"


def kept(context: Context, amazon_ml_local: AmazonMLLocalFixture, **arguments: Any) -> Any:
    given = {"delete_older_than": timedelta(hours=1), "is_dry_run": False} | arguments
    (found,) = report(context, **given)["Endpoints"]
    assert found["Action"] == "kept"
    assert endpoints.status(amazon_ml_local) == "READY"
    return found


def test_what_is_younger_is_kept(made: None, context: Context, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Below ``delete_older_than`` nothing is deleted."""
    kept(context, amazon_ml_local, delete_older_than=timedelta(hours=3))


def test_a_listed_model_is_kept(made: None, context: Context, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """``keep_ml_model_ids`` wins over the age."""
    assert "keep_ml_model_ids" in kept(context, amazon_ml_local, keep_ml_model_ids=["ml-1"])["Reason"]


def test_an_endpoint_of_a_run_that_is_not_over_is_kept(
    made: None, ti: InAirflow, context: Context, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """The tag names the run, and Airflow says whether it is over."""
    ti.active = ("run",)
    assert "run run of Dag deploy is not over" in kept(context, amazon_ml_local)["Reason"]


def test_an_endpoint_that_another_run_uses_is_kept(
    made: None, ti: InAirflow, context: Context, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """The run that has created it is over, and one that uses it is not."""
    with DAG("deploy", schedule=None):
        create = endpoints.create()
        endpoints.delete(created_by="create")
    create.execute(context_of(InAirflow(dag_id="deploy", run_id="two")))
    ti.active = ("two",)
    assert "run two of Dag deploy is not over" in kept(context, amazon_ml_local)["Reason"]


@pytest.mark.parametrize("dag_id", ["d" * 250, "a~b"])
def test_an_endpoint_whose_tag_has_not_the_whole_names_is_kept(
    ti: InAirflow, ml_model: str, service_clock: Clock, amazon_ml_local: AmazonMLLocalFixture, dag_id: str
) -> None:
    """Airflow cannot say of a name that was cut, or whose characters were replaced, whether its run is over."""
    ti.dag_id = dag_id
    endpoints.create().execute(context_of(ti))
    service_clock.advance(2 * HOUR)
    ti.active = ("run",)
    assert "only in part" in kept(context_of(ti), amazon_ml_local)["Reason"]


def test_an_endpoint_in_its_place_is_kept(
    made: None,
    context: Context,
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that was created after the list was made is another endpoint."""
    list_endpoints = MachineLearningEndpointsReportOperator.list_endpoints

    def replaced(self: Any, hook: MachineLearningHook) -> Any:
        found = list_endpoints(self, hook)
        endpoints.replace(amazon_ml_local)
        service_clock.advance(HOUR)
        return found

    monkeypatch.setattr(MachineLearningEndpointsReportOperator, "list_endpoints", replaced)
    assert "in its place" in kept(context, amazon_ml_local)["Reason"]


def test_a_delete_that_is_refused_fails_the_task(
    made: None, context: Context, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """The task says which endpoint still costs money, and why."""
    amazon_ml_local.faults.add("error", code="AccessDeniedException", operation="DeleteRealtimeEndpoint")
    with pytest.raises(AirflowException, match=r"still costing money: ml-1 in us-east-1: .*AccessDenied"):
        report(context, delete_older_than=timedelta(hours=1), is_dry_run=False)


def test_an_endpoint_that_cannot_be_checked_is_reported_as_not_deleted(
    made: None, context: Context, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """The Get before a delete may be refused; the other endpoints of the region stay in the report all the same."""
    amazon_ml_local.faults.add("error", code="AccessDeniedException", operation="GetMLModel")
    with pytest.raises(AirflowException, match=r"still costing money: ml-1 in us-east-1: .*AccessDenied"):
        report(context, delete_older_than=timedelta(hours=1), is_dry_run=False)


def test_what_was_deleted_before_an_error_stays_in_the_report(
    made: None, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow cannot say whether the run of the second endpoint is over; the first one is deleted already."""
    list_endpoints = MachineLearningEndpointsReportOperator.list_endpoints

    def listed_twice(self: Any, hook: MachineLearningHook) -> Any:
        return 2 * list_endpoints(self, hook)

    monkeypatch.setattr(MachineLearningEndpointsReportOperator, "list_endpoints", listed_twice)
    monkeypatch.setattr(endpoints_report, "is_run_active", Mock(side_effect=[False, AirflowException("no answer")]))
    given: Any = {"delete_older_than": timedelta(hours=1), "is_dry_run": False}
    found = report(context, aws_conn_ids=["aws_default", "aws_default"], **given)
    assert [one["Action"] for one in found["Endpoints"]] == ["deleted"]
    assert [one["Message"] for one in found["Unreached"]] == ["AirflowException: no answer"]


def test_a_connection_that_cannot_be_asked_does_not_stop_the_others(
    made: None, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    """The report says which connection it was, and why; the others are listed."""
    found = report(context, aws_conn_ids=["nowhere", "aws_default"])
    assert [one["MLModelId"] for one in found["Endpoints"]] == ["ml-1"]
    (unreached,) = found["Unreached"]
    assert unreached["AwsConnId"] == "nowhere"
    assert "does not exist" in unreached["Message"]


def test_several_regions_are_asked(made: None, context: Context) -> None:
    """Each connection is asked in each region."""
    found = report(context, region_names=["us-east-1", "eu-west-1"])
    assert [one["RegionName"] for one in found["Endpoints"]] == ["us-east-1"]
    assert found["Unreached"] == []


def test_when_nothing_can_be_asked_the_task_fails(ml_model: str, context: Context) -> None:
    """A report of nothing would look as if nothing cost money."""
    with pytest.raises(AirflowException, match="does not exist"):
        report(context, aws_conn_ids=["nowhere"])
