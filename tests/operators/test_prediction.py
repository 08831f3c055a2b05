"""Predict for a few records, by the operator's execute, against the service."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.errors import InvalidArgument, RequestRefused
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Prediction
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture


def predict(**arguments: Any) -> MachineLearningPredictOperator:
    return MachineLearningPredictOperator(**{"task_id": "predict", "ml_model_id": "ml-1"} | arguments)


def predicted(**arguments: Any) -> Prediction:
    """Return the prediction for one record."""
    found = predict(**arguments).execute({})
    assert isinstance(found, dict)
    return found


@pytest.fixture
def ready(ml_model: str, amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock) -> AmazonMLLocalFixture:
    """The service, with a READY endpoint of ml-1."""
    amazon_ml_local.client().create_realtime_endpoint(MLModelId="ml-1")
    service_clock.advance(100)
    amazon_ml_local.requests.clear()
    return amazon_ml_local


def test_one_record_gives_one_prediction(ready: AmazonMLLocalFixture) -> None:
    """The answer is AWS's Prediction, and the URL comes from the endpoint's own info."""
    found = predicted(record={"x": "39"})
    assert found["predictedLabel"] == "1"
    assert list(found["predictedScores"]) == ["1"]
    assert found["details"] == {"PredictiveModelType": "BINARY", "Algorithm": "SGD"}
    assert [request.operation for request in ready.requests] == ["GetMLModel", "GetDataSource", "GetMLModel", "Predict"]


def test_a_list_gives_a_list(ready: AmazonMLLocalFixture) -> None:
    """Predictions come in the records' order; an empty list gives an empty one."""
    found: Any = predict(records=[{"x": 0}, {"x": 39}]).execute({})
    assert [one["predictedLabel"] for one in found] == ["0", "1"]
    assert predict(records=[]).execute({}) == []


def test_values_become_the_text_that_aws_wants(ready: AmazonMLLocalFixture) -> None:
    """Numbers and booleans become text, None is left out."""
    predict(record={"x": 1.5, "flag": True, "missing": None, "text": "t"}).execute({})
    sent = next(request for request in ready.requests if request.operation == "Predict")
    assert sent.parameters["Record"] == {"x": "1.5", "flag": "1", "text": "t"}


def test_ready_comes_before_mounted(ready: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """PredictorNotMountedException right after READY is asked again within a bounded time."""
    ready.client().delete_realtime_endpoint(MLModelId="ml-1")
    ready.service.not_mounted_for(60)
    ready.client().create_realtime_endpoint(MLModelId="ml-1")
    service_clock.advance(2)
    began = service_clock.now()
    assert predicted(record={"x": 39})["predictedLabel"] == "1"
    assert 50 <= service_clock.now() - began <= 140


def test_never_mounted_ends_at_the_bound(ready: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """mount_timeout seconds of PredictorNotMountedException are enough; the message names the error."""
    ready.faults.add("error", operation="Predict", code="PredictorNotMountedException", status=400)
    began = service_clock.now()
    with pytest.raises(AirflowException, match="PredictorNotMountedException"):
        predict(record={"x": 39}, mount_timeout=100).execute({})
    assert service_clock.now() - began == pytest.approx(100, abs=20)


def test_a_model_without_an_endpoint_says_what_to_do(ready: AmazonMLLocalFixture) -> None:
    """No endpoint is an error that names the operator which makes one."""
    ready.client().delete_realtime_endpoint(MLModelId="ml-1")
    with pytest.raises(AirflowException, match="no realtime endpoint.*MachineLearningCreateRealtimeEndpointOperator"):
        predict(record={"x": 39}).execute({})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("realtime.machinelearning.us-east-1.amazonaws.com", "no URL with a scheme"),
        ("https://", "no URL with a scheme"),
        ("ftp://realtime.machinelearning.us-east-1.amazonaws.com", "no URL with a scheme"),
        ("http://realtime.machinelearning.us-east-1.amazonaws.com", "sent nowhere else"),
        ("https://realtime.machinelearning.us-east-1.amazonaws.com.example.org", "sent nowhere else"),
        ("https://realtime.machinelearning.us-east-1.amazonaws.com@example.org/", "sent nowhere else"),
        (r"https://example.org\@realtime.machinelearning.us-east-1.amazonaws.com", "sent nowhere else"),
        ("https://example.org", "sent nowhere else"),
    ],
)
def test_records_go_nowhere_else(ready: AmazonMLLocalFixture, url: str, message: str) -> None:
    """A URL without a scheme, or with another host than Amazon's and the override's, is refused before any call."""
    with pytest.raises(InvalidArgument, match=f"^endpoint_url: .*{message}"):
        predict(record={"x": 39}, endpoint_url=url).execute({})
    assert ready.requests.count("Predict") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "^record, records: exactly one"),
        ({"record": {}, "records": []}, "^record, records: exactly one"),
        ({"record": "x=1"}, "^record: it is str; it must be a mapping"),
        ({"record": {"x": {"nested": 1}}}, "^record: x is dict; it must be text"),
        ({"record": {"x": [1]}}, "^record: x is list; it must be text"),
        ({"record": {1: "x"}}, "^record: a variable's name is int"),
        ({"record": {"x": float("inf")}}, "^record: x is infinite"),
        ({"records": {"x": 1}}, "^records: it is dict; it must be a list"),
        ({"records": "x"}, "^records: it is str; it must be a list"),
        ({"records": [{"x": 1}, 5]}, r"^records\[1\]: record: it is int; it must be a mapping"),
        ({"ml_model_id": None, "record": {}}, "^ml_model_id: "),
    ],
)
def test_bad_records_are_refused_before_any_call(
    amazon_ml_local: AmazonMLLocalFixture, arguments: dict[str, Any], message: str
) -> None:
    """What Predict cannot take is named by argument, place and variable, never by its value."""
    with pytest.raises(InvalidArgument, match=message):
        predict(**arguments).execute({})
    assert not list(amazon_ml_local.requests)


def test_records_appear_in_no_log(ready: AmazonMLLocalFixture, caplog: pytest.LogCaptureFixture) -> None:
    """Records are data of other people: no logger shows them above DEBUG, nor an exception or its traceback."""
    caplog.set_level(logging.INFO)
    predict(records=[{"x": "39", "secret": "Jane Roe"}]).execute({})
    ready.faults.add(
        "error", operation="Predict", code="InvalidInputException", message="no such value: Jane Roe", status=400
    )
    operator = predict(record={"x": "39", "secret": "Jane Roe"})
    with pytest.raises(AirflowException) as caught:
        operator.execute({})
    assert "Jane Roe" not in caplog.text + "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("arguments", "which"), [({"record": {"x": 1}}, "record"), ({"records": [{"x": 39}, {"x": 1}]}, r"records\[1\]")]
)
def test_a_refused_record_is_named_by_its_place(
    ready: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], which: str
) -> None:
    """A retry would be refused too, so the task fails for good."""
    answer = ready.service.handle

    def handle(request: Any) -> Any:
        if b'"x": "1"' in request.body:
            ready.faults.add("error", operation="Predict", code="InvalidInputException", status=400, count=1)
        return answer(request)

    monkeypatch.setattr(ready.service, "handle", handle)
    message = f"^Predict with MLModel ml-1 in us-east-1: {which} was refused with InvalidInputException"
    with pytest.raises(RequestRefused, match=message) as caught:
        predict(**arguments).execute({})
    assert caught.value.code == "InvalidInputException"


def test_what_the_service_says_of_a_record_is_logged_at_debug(
    ready: AmazonMLLocalFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever looks for the reason finds it there."""
    ready.faults.add("error", operation="Predict", code="InvalidInputException", message="no such value", status=400)
    caplog.set_level(logging.DEBUG, "airflow_ml_provider")
    with pytest.raises(RequestRefused, match="is in the log at DEBUG"):
        predict(record={"x": "39"}).execute({})
    assert [record.levelname for record in caplog.records if "no such value" in record.getMessage()] == ["DEBUG"]


def test_a_variable_that_the_model_does_not_know_is_warned_of_once(
    ready: AmazonMLLocalFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the nearest one, where the schema may be read."""
    predict(records=[{"x": "1", "X": "1"}, {"X": "2", "zip": "3"}]).execute({})
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    of_variables = [text for text in warnings if "variable" in text]
    assert of_variables == ["MLModel ml-1 knows no variable 'X' (did you mean 'x'?), 'zip'"]


def test_unknown_variables_can_be_refused(ready: AmazonMLLocalFixture) -> None:
    """Then there is no prediction."""
    with pytest.raises(AirflowFailException, match=r"refuse_unknown_variables: .* no variable 'X' \(did you mean 'x'"):
        predict(record={"X": "1"}, refuse_unknown_variables=True).execute({})
    assert ready.requests.count("Predict") == 0
    predict(record={"x": "1"}, refuse_unknown_variables=True).execute({})


@pytest.mark.parametrize("operation", ["GetMLModel", "GetDataSource"])
def test_without_permission_to_read_the_schema_nothing_is_warned_of(
    ready: AmazonMLLocalFixture, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The prediction is made all the same."""
    ready.faults.add("error", operation=operation, code="AccessDeniedException", message="no", status=400)
    assert predicted(record={"X": "1"}, endpoint_url=ready.url)["predictedLabel"]
    assert "knows no variable" not in caplog.text


@pytest.mark.parametrize("operation", ["GetMLModel", "GetDataSource"])
def test_refusing_unknown_variables_needs_permission_to_read_the_schema(
    ready: AmazonMLLocalFixture, operation: str
) -> None:
    """The message names what must be allowed."""
    ready.faults.add("error", operation=operation, code="AccessDeniedException", message="no", status=400)
    with pytest.raises(AirflowFailException, match="GetMLModel and GetDataSource must be allowed"):
        predict(record={"X": "1"}, endpoint_url=ready.url, refuse_unknown_variables=True).execute({})
