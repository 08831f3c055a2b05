"""Links on the pages of tasks: each operator and sensor leads to what it works at, and to its output."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.links import OutputLink, ResourceLink, object_url, resource_url
from airflow_ml_provider.operators.data_source import MachineLearningGetDataSourceOperator
from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
from airflow_ml_provider.sensors.machine_learning import (
    MachineLearningBatchPredictionSensor,
    MachineLearningDataSourceSensor,
)
from tests.helpers.classes import OPERATORS, SENSORS, class_name, own_arguments
from tests.helpers.task_instances import context_of

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.resources import ResourceKind
    from amazon_ml_local.fixture import AmazonMLLocalFixture

pytestmark = pytest.mark.core

AWS = "https://machinelearning.eu-west-1.amazonaws.com"
PAGES = {
    "batch_prediction": "BatchPrediction",
    "data_source": "DataSource",
    "evaluation": "Evaluation",
    "ml_model": "MLModel",
    "prediction": "MLModel",
    "realtime_endpoint": "MLModel",
    "tags": "DataSource",
}
WITHOUT_A_PAGE = {
    "MachineLearningEndpointsReportOperator": "all endpoints, not one",
    "MachineLearningEvaluationReportOperator": "links to its own page",
    "MachineLearningJoinPredictS3Operator": "works at S3 alone",
}
LINKED = [found for found in OPERATORS + SENSORS if found.__name__ not in WITHOUT_A_PAGE]
# The output of a batch prediction is a folder, of which its Get and its sensor know when it is COMPLETED.
WRITING = {
    "MachineLearningCreateBatchPredictionOperator": "s3://out/predicted/batch-prediction/",
    "MachineLearningGetBatchPredictionOperator": "",
    "MachineLearningBatchPredictionSensor": "",
    "MachineLearningPredictS3Operator": "s3://out/predicted",
    "MachineLearningJoinPredictS3Operator": "s3://out/predicted",
}


def made(found: Any) -> Any:
    """Construct an operator or a sensor whose ids are all ``the-id``."""
    others: dict[str, Any] = {"resource_type": "DataSource", "output_uri": "s3://out/predicted"}
    if found.__name__.endswith("GateOperator"):
        others["at_least"] = 0.5
    own = own_arguments(found)
    ids = {name: "the-id" for name in own if name.endswith("_id") and name != "better_than_ml_model_id"}
    required = {name: "any" for name, parameter in own.items() if parameter.default is parameter.empty}
    return found(task_id="task", **required | ids | {name: others[name] for name in others if name in own})


def recording(xcoms: Any) -> Context:
    """Return the context of a task whose XComs go to a dictionary."""
    return context_of(SimpleNamespace(xcom_push=lambda key, value: xcoms.update({key: value})))


def pushed(task: Any) -> Any:
    """Return what a task has pushed when it begins."""
    xcoms: dict[str, Any] = {}
    task.pre_execute(recording(xcoms))
    return xcoms


def page_of(found: Any) -> Any:
    """Return which of the service's pages a class links to."""
    if found in SENSORS:
        kind = found.__name__.removeprefix("MachineLearning").removesuffix("Sensor")
        return "MLModel" if kind == "RealtimeEndpoint" else kind
    return PAGES[found.__module__.rpartition(".")[2]]


@pytest.mark.parametrize("found", LINKED, ids=class_name)
def test_each_class_links_to_what_it_works_at(found: Any, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """The URL of the service's page is there under ``ResourceUrl`` before anything is asked for."""
    task = made(found)
    assert ResourceLink in {type(link) for link in task.operator_extra_links}
    assert pushed(task)["ResourceUrl"] == f"{amazon_ml_local.url}/_local/{page_of(found)}/the-id"
    assert [request.operation for request in amazon_ml_local.requests] == []


@pytest.mark.parametrize("found", OPERATORS + SENSORS, ids=class_name)
def test_each_class_links_to_its_output(found: Any, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Whoever writes to S3 has a second link, also to be there before anything is written."""
    task = made(found)
    is_writing = OutputLink in {type(link) for link in task.operator_extra_links}
    assert is_writing == (found.__name__ in WRITING)
    location = WRITING.get(found.__name__)
    url = object_url(location, amazon_ml_local.url, "us-east-1") if location else None
    assert pushed(task).get("OutputUrl") == url


def test_a_sensor_links_to_the_output_that_it_has_seen(amazon_ml_local: AmazonMLLocalFixture, ml_model: str) -> None:
    """Where a batch prediction that somebody else made has its results shows when it is COMPLETED."""
    amazon_ml_local.client().create_batch_prediction(
        BatchPredictionId="bp", MLModelId=ml_model, BatchPredictionDataSourceId="ds-1", OutputUri="s3://training/out/"
    )
    amazon_ml_local.clock.advance(3600)
    task = MachineLearningBatchPredictionSensor(task_id="task", batch_prediction_id="bp")
    xcoms: dict[str, Any] = {}
    context = recording(xcoms)
    task.pre_execute(context)
    assert "OutputUrl" not in xcoms
    task.post_execute(context, task.execute(context))
    assert xcoms["OutputUrl"] == f"{amazon_ml_local.url}/training?prefix=out%2Fbatch-prediction%2F"


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("DataSource", "insights/the-id/summary"),
        ("MLModel", "predictor-insight/the-id?tabId=summary"),
        ("RealtimeEndpoint", "predictor-insight/the-id?tabId=summary"),
        ("Evaluation", ""),
        ("BatchPrediction", ""),
    ],
)
def test_with_aws_the_console_of_the_region_opens(kind: ResourceKind, page: str) -> None:
    """At the resource's page where that is known, else at the console's first page."""
    console = "https://console.aws.amazon.com/machinelearning/home?region=eu-west-1#/"
    assert resource_url(kind, "the-id", AWS, "eu-west-1") == console + page


def test_the_connections_region_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one of boto3's own settings."""
    connection = {"conn_type": "aws", "login": "any", "password": "any", "extra": {"region_name": "eu-west-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_IRELAND", json.dumps(connection))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    task = MachineLearningPredictS3Operator(
        task_id="task", aws_conn_id="ireland", ml_model_id="ml-1", source_uri="s3://in/a.csv", output_uri="s3://out/b c"
    )
    assert pushed(task) == {
        "ResourceUrl": resource_url("MLModel", "ml-1", AWS, "eu-west-1"),
        "OutputUrl": "https://s3.console.aws.amazon.com/s3/object/out?region=eu-west-1&prefix=b%20c",
    }


def test_no_secret_of_an_endpoint_is_in_a_link() -> None:
    """Users and passwords before the host, and queries, are left out."""
    endpoint_url = "http://user:secret@stand-in:5012/amazon/?token=secret"
    assert (
        resource_url("MLModel", "a/b", endpoint_url, "us-east-1") == "http://stand-in:5012/amazon/_local/MLModel/a%2Fb"
    )
    assert object_url("s3://in/a.csv", endpoint_url, "us-east-1") == "http://stand-in:5012/amazon/in/a.csv"


def test_with_aws_a_bucket_has_a_page_of_its_own() -> None:
    """A URI without a key opens the bucket."""
    assert object_url("s3://in", AWS, "us-east-1").endswith("/s3/buckets/in?region=us-east-1&prefix=")


def test_do_xcom_push_false_pushes_no_link(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """As in the amazon provider."""
    task = MachineLearningGetDataSourceOperator(task_id="task", data_source_id="ds-1", do_xcom_push=False)
    assert pushed(task) == {}


@pytest.mark.parametrize(
    "argument", [{"region_name": "us-west-1"}, {"aws_conn_id": "missing"}, {"data_source_id": None}]
)
def test_a_link_that_cannot_be_made_fails_no_task(argument: dict[str, Any]) -> None:
    """What is wrong is the task's own to say, when it runs."""
    task = MachineLearningDataSourceSensor(task_id="task", **{"data_source_id": "ds-1"} | argument)
    assert pushed(task) == {}


def test_an_xcom_that_cannot_be_pushed_fails_no_task(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Links are a help for the reader, and no reason to fail."""

    def fail(key: str, value: Any) -> None:
        raise RuntimeError("the database is away")

    task = MachineLearningDataSourceSensor(task_id="task", data_source_id="ds-1")
    task.pre_execute(context_of(SimpleNamespace(xcom_push=fail)))
    task.pre_execute({})
