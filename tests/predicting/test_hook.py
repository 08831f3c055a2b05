"""An iterator of records in, an iterator of predictions out."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import DeadlinePassed, InvalidArgument, RefusedRecord
from amazon_ml_local.protocol import raw_answer
from tests.helpers.rates import busiest_second

if TYPE_CHECKING:
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from amazon_ml_local.faults import FaultKind
    from amazon_ml_local.fixture import AmazonMLLocalFixture

LONGEST_WAIT = 20.0  # real seconds for which an answer is held back
FAULTS = ("reset", "server_error", "throttling", "limit_exceeded", "garbage", "expired_token")


def labels(hook: MachineLearningHook, values: list[Any], **settings: Any) -> list[Any]:
    """Predict for values of x, and return the labels."""
    predictions: Iterator[Any] = hook.predict_records("ml-1", ({"x": x} for x in values), **settings)
    return [found["predictedLabel"] for found in predictions]


def truth(values: list[Any]) -> list[Any]:
    return ["1" if x >= 20 else "0" for x in values]


def arrivals(service: AmazonMLLocalFixture) -> list[float]:
    """Return when the calls of Predict arrived."""
    return [received.at for received in service.requests if received.operation == "Predict"]


def test_predictions_come_in_the_order_of_the_records(hook: MachineLearningHook) -> None:
    """Each record has its prediction, in its place."""
    values = [39, 0, 25, 3] * 50
    assert labels(hook, values) == truth(values)


def test_predictions_are_those_of_predict(hook: MachineLearningHook) -> None:
    """What comes below the client is what the client gives."""
    record = {"x": 3}
    assert list(hook.predict_records("ml-1", [record])) == [hook.predict("ml-1", record)]


def test_no_record_is_no_call(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """An empty iterator asks for the endpoint and for nothing else."""
    assert labels(hook, []) == []
    assert endpoint.requests.count("Predict") == 0


def test_the_endpoints_own_rate_is_kept(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """Without a limit of its own it asks as often as PeakRequestsPerSecond allows, and never more often."""
    labels(hook, [1] * 300)
    assert 190 < busiest_second(arrivals(endpoint)) <= 200
    assert not [received for received in endpoint.requests if received.error_code]


def test_max_requests_per_second_is_kept(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """A lower limit holds."""
    labels(hook, [1] * 100, max_requests_per_second=20)
    assert busiest_second(arrivals(endpoint)) == 20


def test_a_limit_below_one_is_refused(hook: MachineLearningHook) -> None:
    """max_requests_per_second=0 names the argument."""
    with pytest.raises(InvalidArgument, match="max_requests_per_second: 0; it must be a whole number of at least 1"):
        labels(hook, [1], max_requests_per_second=0)


def test_throttling_lowers_the_rate(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """When somebody else uses the endpoint too, fewer calls are made, and none is lost."""
    endpoint.service.peak_requests_per_second = 100
    assert labels(hook, [30] * 300) == ["1"] * 300
    refused = [received for received in endpoint.requests if received.error_code == "LimitExceededException"]
    assert 0 < len(refused) < 200


@pytest.mark.parametrize("kind", FAULTS)
def test_a_passing_fault_changes_nothing(
    hook: MachineLearningHook, endpoint: AmazonMLLocalFixture, kind: FaultKind
) -> None:
    """5 % of the calls fail, each in a way that passes: the predictions are the same, in the same order."""
    endpoint.faults.add(kind, operation="Predict", probability=0.05, seed=7)
    values = [*range(10), *range(30, 40)] * 3
    assert labels(hook, values) == truth(values)
    assert endpoint.requests.count("Predict") > len(values)


def test_a_predictor_that_is_not_mounted_yet_is_waited_for(
    hook: MachineLearningHook, endpoint: AmazonMLLocalFixture
) -> None:
    """Right after READY there is no predictor for a while: one record alone asks until there is one."""
    endpoint.service.not_mounted_for(3600 + 60)
    assert labels(hook, [30] * 50) == ["1"] * 50
    refused = [received for received in endpoint.requests if received.error_code == "PredictorNotMountedException"]
    assert 0 < len(refused) < 40


def test_an_endpoint_that_disappears_ends_it(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """A deleted endpoint is an error as soon as it is looked at, not after the whole time-out."""
    found = hook.predict_records("ml-1", ({"x": 1} for _ in range(400)), max_requests_per_second=40)
    assert len(list(islice(found, 100))) == 100
    began = endpoint.clock.now()
    endpoint.client().delete_realtime_endpoint(MLModelId="ml-1")
    with pytest.raises(AirflowException, match=r"ml-1 in us-east-1 has no realtime endpoint.*EndpointStatus NONE"):
        list(found)
    assert endpoint.clock.now() - began < 300


def test_a_look_at_the_endpoint_that_hangs_ends_in_time(
    hook: MachineLearningHook, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the time of the record that waits for it, and is no reason of its own to fail."""
    answer, released = endpoint.service.handle, threading.Event()

    def handle(request: Any) -> Any:
        if request.header("x-amz-target").endswith(".GetMLModel") and endpoint.requests.count("Predict"):
            released.wait(LONGEST_WAIT)
        return answer(request)

    endpoint.faults.add("error", operation="Predict", code="PredictorNotMountedException", message="no", status=400)
    monkeypatch.setattr(endpoint.service, "handle", handle)
    began = time.monotonic()
    try:
        with pytest.raises(DeadlinePassed, match="no prediction within 7 s; .* PredictorNotMountedException"):
            labels(hook, [1], timeout=7)
        assert time.monotonic() - began < LONGEST_WAIT / 2
    finally:
        released.set()


def test_a_model_without_an_endpoint_is_an_error(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """Nothing is asked of a model that has no endpoint."""
    endpoint.client().delete_realtime_endpoint(MLModelId="ml-1")
    with pytest.raises(AirflowException, match="has no realtime endpoint to predict with"):
        labels(hook, [1])
    assert endpoint.requests.count("Predict") == 0


def test_an_error_that_stays_ends_it_at_once(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """Missing permissions are no matter of patience; the message names the IAM action."""
    endpoint.faults.add("error", operation="Predict", code="AccessDeniedException", message="no", status=400)
    with pytest.raises(ClientError, match="IAM action machinelearning:Predict in us-east-1"):
        labels(hook, [1] * 100)
    assert endpoint.requests.count("Predict") == 1


def test_an_error_that_stays_in_mid_run_ends_it(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """What was answered before it is given, then the error; calls that were still to come are not made."""
    found = hook.predict_records("ml-1", ({"x": 1} for _ in range(500)), max_requests_per_second=20)
    assert len(list(islice(found, 30))) == 30
    endpoint.faults.add("error", operation="Predict", code="AccessDeniedException", message="no", status=400)
    with pytest.raises(ClientError, match="IAM action machinelearning:Predict"):
        list(found)
    assert endpoint.requests.count("Predict") < 200


def test_errors_that_pass_are_bounded(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """What ought to pass and does not ends after the time-out, and says what it was."""
    endpoint.faults.add("server_error", operation="Predict")
    with pytest.raises(DeadlinePassed, match="no prediction within 60 s; the last error was InternalServerException"):
        labels(hook, [1], timeout=60)
    assert endpoint.requests.count("Predict") < 30


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"x": [1]}, "x is list"),
        (["x"], "it is list; it must be a mapping"),
        ({"x": "1" * 102_401}, "it has 102402 bytes; a record may have 102400"),
    ],
    ids=["nested", "no mapping", "over 100 KB"],
)
def test_a_record_that_cannot_be_sent_is_named(hook: MachineLearningHook, record: Any, reason: str) -> None:
    """Its place and the reason are in the error; what came before it has been predicted."""
    found: Iterator[Any] = hook.predict_records("ml-1", [{"x": 1}, record])
    assert next(found)["predictedLabel"] == "0"
    with pytest.raises(RefusedRecord, match=rf"records\[1\]: .*{reason}"):
        next(found)


def test_refused_records_can_be_returned(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """With return_refused the others go on; the service's own words are kept apart from the text."""
    endpoint.faults.add("error", operation="Predict", code="InvalidInputException", message="x=1", status=400, count=1)
    found: Iterator[Any] = hook.predict_records("ml-1", [{"x": 1}, {"x": 39}], return_refused=True)
    refused, predicted = found
    assert isinstance(refused, RefusedRecord)
    assert str(refused) == "refused with InvalidInputException"
    assert "x=1" in refused.said
    assert predicted["predictedLabel"] == "1"


def test_records_are_read_as_they_are_needed(hook: MachineLearningHook) -> None:
    """The first prediction does not wait for the last record, and memory does not hold them all."""
    read = []

    def records() -> Iterator[Any]:
        for x in range(5000):
            read.append(x)
            yield {"x": x % 40}

    found: Any = hook.predict_records("ml-1", records())
    assert next(found)["predictedLabel"] == "0"
    assert len(read) < 1100
    found.close()


def test_an_expired_token_is_renewed(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """Expired credentials are read anew, once for all calls that found them expired."""
    endpoint.faults.add("expired_token", operation="Predict", count=3)
    assert labels(hook, [30] * 20) == ["1"] * 20


def test_a_refused_record_shows_in_no_traceback(hook: MachineLearningHook, endpoint: AmazonMLLocalFixture) -> None:
    """What the service says may quote the record, so no cause of the error that is raised is shown with it."""
    endpoint.faults.add(
        "error", operation="Predict", code="InvalidInputException", message="no such value: SECRET", status=400
    )
    with pytest.raises(RefusedRecord) as caught:
        list(hook.predict_records("ml-1", [{"x": 1}]))
    assert str(caught.value) == "records[0]: refused with InvalidInputException"
    assert "SECRET" in caught.value.said
    assert "SECRET" not in "".join(traceback.format_exception(caught.value))


def test_a_machine_that_allows_few_threads_is_enough(
    hook: MachineLearningHook, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When no further thread can be started, those there are go on."""
    endpoint.faults.add("slow", operation="Predict", seconds=1)
    started: list[Any] = []
    start = threading.Thread.start

    def few(thread: Any) -> None:
        if thread.name.startswith("predict-"):
            if len(started) == 2:
                raise RuntimeError("can't start new thread")
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    assert labels(hook, [30] * 20) == ["1"] * 20
    assert len(started) == 2


@pytest.mark.parametrize("body", [b'"Bad Gateway"', b"[]", b"null", b"<html>"])
def test_a_gateways_answer_passes(
    hook: MachineLearningHook, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """A 502 in whatever shape is asked again."""
    answer = endpoint.service.handle
    answers = [raw_answer(502, body)] * 3

    def handle(request: Any) -> Any:
        if answers and request.header("x-amz-target").endswith(".Predict"):
            return answers.pop()
        return answer(request)

    monkeypatch.setattr(endpoint.service, "handle", handle)
    assert labels(hook, [30] * 3) == ["1"] * 3
    assert not answers
