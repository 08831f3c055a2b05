"""What a task's log and its errors say."""

from __future__ import annotations

import ast
import logging
import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import airflow_ml_provider
from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.base import MachineLearningBase
from airflow_ml_provider.operators.evaluation import MachineLearningCreateEvaluationOperator
from airflow_ml_provider.operators.ml_model import (
    MachineLearningCreateMLModelOperator,
    MachineLearningGetMLModelOperator,
)
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor
from tests.helpers.endpoints import create, delete

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return the messages that our own classes have logged so far; a plain logger stands in for Airflow's."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(MachineLearningBase, "log", logging.getLogger("operator"), raising=False)
    return lambda: [record.getMessage() for record in caplog.records if record.name == "operator"]


SOURCES = sorted(Path(airflow_ml_provider.__file__).parent.rglob("*.py"))
BELOW_BOTOCORE = (
    "parsing.py",
    "sockets.py",
    "transport.py",
)  # their errors are caught, and told again by what is above


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.name not in BELOW_BOTOCORE], ids=lambda path: path.name
)
def test_no_error_shows_its_cause_twice(path: Any) -> None:
    """Where the message holds the cause's own, the traceback does not show that once more."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.cause, ast.Name):
            assert f"{{{node.cause.id}}}" not in ast.unparse(node), f"line {node.lineno}"


def test_a_wait_ends_with_the_endpoints_url(
    amazon_ml_local: AmazonMLLocalFixture, ml_model: str, lines: Callable[[], list[str]]
) -> None:
    """The last line has the URL."""
    url = create(waiter_delay=5).execute({})["EndpointUrl"]
    assert lines()[-1].endswith(f": {url}")


def test_an_existing_resource_is_not_called_created(ml_model: str, lines: Callable[[], list[str]]) -> None:
    """A retry does not know whether its Create has changed anything, and says what it knows."""
    arguments: dict[str, Any] = {"ml_model_type": "BINARY", "training_data_source_id": "ds-1"}
    task = MachineLearningCreateMLModelOperator(task_id="train", ml_model_id="ml-2", **arguments)
    for _ in range(2):
        task.execute({})
    assert lines().count("MLModel ml-2 in us-east-1: the service has accepted CreateMLModel") == 2


def test_a_wait_says_after_how_many_calls_it_ended(
    endpoint: AmazonMLLocalFixture, lines: Callable[[], list[str]]
) -> None:
    """One call is no "calls"."""
    sensor = MachineLearningRealtimeEndpointSensor(task_id="ready", ml_model_id="ml-1")
    sensor.execute({})
    assert f"RealtimeEndpoint ml-1 in us-east-1: status READY after 0 s and 1 call: {endpoint.url}" in lines()


def test_a_status_that_has_not_changed_is_told_once(
    amazon_ml_local: AmazonMLLocalFixture, ml_model: str, lines: Callable[[], list[str]]
) -> None:
    """A wait of many looks says each status once."""
    amazon_ml_local.service.durations.set(ml_model=600)
    MachineLearningCreateMLModelOperator(
        task_id="train",
        ml_model_id="new",
        ml_model_type="BINARY",
        training_data_source_id="ds-1",
        waiter_delay=10,
        waiter_max_attempts=100,
    ).execute({})
    told = [line.rpartition(": ")[2] for line in lines()]
    assert told.count("INPROGRESS") == 1


def test_updating_is_told_once(
    amazon_ml_local: AmazonMLLocalFixture, ml_model: str, lines: Callable[[], list[str]]
) -> None:
    """Create and the looks after it see UPDATING, and one line says so."""
    amazon_ml_local.service.durations.set(realtime_endpoint=60)
    create(waiter_delay=5).execute({})
    assert [line.rpartition(": ")[2] for line in lines()].count("UPDATING") == 1


def test_nothing_is_called_deleted_that_was_not_there(
    amazon_ml_local: AmazonMLLocalFixture, ml_model: str, lines: Callable[[], list[str]]
) -> None:
    """DeleteRealtimeEndpoint answers NONE either way, and that is what the log says."""
    delete().execute({})
    assert lines()[-1] == "RealtimeEndpoint ml-1 in us-east-1: status NONE after DeleteRealtimeEndpoint"
    assert not any("deleted" in line for line in lines())


def test_an_evaluation_ends_with_its_metric(
    amazon_ml_local: AmazonMLLocalFixture, ml_model: str, lines: Callable[[], list[str]]
) -> None:
    """The last line has the metric and its value."""
    MachineLearningCreateEvaluationOperator(
        task_id="evaluate", evaluation_id="ev-1", ml_model_id="ml-1", evaluation_data_source_id="ds-1"
    ).execute({})
    assert re.search(r": BinaryAUC [01]\.\d+$", lines()[-1])


def test_a_failure_ends_in_one_full_stop(amazon_ml_local: AmazonMLLocalFixture, ml_model: str) -> None:
    """The hint follows the service's sentence."""
    amazon_ml_local.service.fail("MLModel", "new", message="Fits no model type.")
    train = MachineLearningCreateMLModelOperator(
        task_id="train", ml_model_id="new", ml_model_type="BINARY", training_data_source_id="ds-1"
    )
    with pytest.raises(AirflowException, match=r"model type\. The id stays taken"):
        train.execute({})


def test_the_cause_stands_once(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """A traceback shows AWS's words one time."""
    get = MachineLearningGetMLModelOperator(task_id="get", ml_model_id="nosuch")
    with pytest.raises(AirflowException, match="No MLModel with id nosuch exists") as raised:
        get.execute({})
    assert "".join(traceback.format_exception(raised.value)).count("No MLModel with id nosuch exists") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"waiter_delay": "30"}, "waiter_delay: '30' is a str; it must be a number"),
        ({"waiter_delay": True}, "waiter_delay: True is a bool; it must be a number"),
        ({"waiter_max_attempts": 2.5}, "waiter_max_attempts: 2.5 is a float; it must be a whole number"),
        ({"deferrable": "yes"}, "deferrable: 'yes' is a str; it must be True or False"),
        ({"wait_for_completion": 1}, "wait_for_completion: 1 is a int; it must be True or False"),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(arguments: dict[str, Any], message: str) -> None:
    """It is refused when the Dag file is read, by name."""
    with pytest.raises(InvalidArgument, match=message):
        create(**arguments)


def test_a_sensors_deferrable_is_checked_too() -> None:
    """A sensor refuses text as an operator does."""
    with pytest.raises(InvalidArgument, match="deferrable: 'no' is a str"):
        MachineLearningRealtimeEndpointSensor(task_id="ready", ml_model_id="ml-1", deferrable="no")


def test_a_connection_of_another_type_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is none of AWS's is what is wrong, not a missing region."""
    monkeypatch.setenv("AIRFLOW_CONN_WEB", "http://example.org")
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    get = MachineLearningGetMLModelOperator(task_id="get", ml_model_id="ml-1", aws_conn_id="web")
    with pytest.raises(InvalidArgument, match="the connection 'web' is of type 'http'; it must be of type 'aws'"):
        get.execute({})
