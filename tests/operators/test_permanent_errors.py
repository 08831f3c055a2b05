"""What no retry changes fails at once, by AirflowFailException; what may pass is left to Airflow's retries."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

import airflow_ml_provider
from airflow_ml_provider.compat import AirflowException, AirflowFailException, TaskDeferred
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.ml_model import MachineLearningGetMLModelOperator
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator
from airflow_ml_provider.scoring.objects import translate_s3_errors
from tests.helpers import endpoints
from tests.helpers.deferred import finish, resume

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture

TIMES: dict[str, Any] = {"waiter_delay": 10, "waiter_max_attempts": 3}
PERMANENT: dict[str, dict[str, Any]] = {
    "never enrolled": {"kind": "never_enrolled"},
    "access denied": {"kind": "error", "code": "AccessDeniedException", "status": 400},
    "unknown model": {"kind": "error", "code": "ResourceNotFoundException", "status": 404},
    "bad input": {"kind": "error", "code": "InvalidInputException", "status": 400},
}
PASSING: dict[str, dict[str, Any]] = {
    "throttled": {"kind": "throttling"},
    "5xx": {"kind": "server_error"},
    "reset": {"kind": "reset"},
    "expired": {"kind": "expired_token"},
}


create = partial(endpoints.create, **TIMES)
unchecked_predict: Any = MachineLearningPredictOperator  # for arguments of types that it refuses


@pytest.mark.parametrize("fault", PERMANENT)
@pytest.mark.parametrize("operation", ["GetMLModel", "CreateRealtimeEndpoint"])
def test_a_refusal_is_not_retried(service: AmazonMLLocalFixture, fault: str, operation: str) -> None:
    """Before Create and in it."""
    service.faults.add(operation=operation, **PERMANENT[fault])
    with pytest.raises(AirflowFailException, match="CreateRealtimeEndpoint of RealtimeEndpoint ml-1"):
        create().execute({})


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_refusal_while_waiting_is_not_retried_and_cleans_up(
    service: AmazonMLLocalFixture,
    service_clock: Clock,
    at_next_sleep: Callable[[Callable[[], object]], None],
    deferrable: bool,
) -> None:
    """The endpoint that the task has made is deleted all the same."""

    def deny() -> None:
        service.faults.add(operation="GetMLModel", count=1, **PERMANENT["access denied"])

    def go_on() -> Any:
        if not deferrable:
            at_next_sleep(deny)
            return create().execute({})
        with pytest.raises(TaskDeferred) as deferred:
            create(deferrable=True).execute({})
        deny()
        return resume(create(), service_clock, {}, deferred.value)

    with pytest.raises(AirflowFailException, match="IAM action machinelearning:GetMLModel"):
        go_on()
    assert endpoints.status(service) == "NONE"


@pytest.mark.parametrize("fault", PASSING)
def test_what_may_pass_is_retried(service: AmazonMLLocalFixture, fault: str) -> None:
    """The deadline of a try is not the end of the task."""
    service.faults.add(operation="CreateRealtimeEndpoint", **PASSING[fault])
    with pytest.raises(AirflowException, match="deadline") as caught:
        create().execute({})
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_endpoint_that_failed_is_retried(
    service: AmazonMLLocalFixture, service_clock: Clock, deferrable: bool
) -> None:
    """The next one may become READY."""
    service.service.fail("RealtimeEndpoint", "ml-1")
    with pytest.raises(AirflowException, match="status FAILED") as caught:
        finish(create(waiter_max_attempts=30, deferrable=deferrable), service_clock)
    assert not isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (MachineLearningGetMLModelOperator(task_id="get", ml_model_id="a b"), "ml_model_id: 'a b' does not match"),
        (unchecked_predict(task_id="predict", ml_model_id="ml-1", record={"x": [1]}), "record: x is list"),
        (unchecked_predict(task_id="predict", ml_model_id=None, record={"x": 1}), "ml_model_id: it is None"),
    ],
)
def test_an_argument_that_cannot_be_right_is_not_retried(
    task: Any, message: str, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """Nothing is sent for it."""
    with pytest.raises(InvalidArgument, match=message):
        task.execute({})
    assert not list(amazon_ml_local.requests)


@pytest.mark.parametrize(("code", "is_retried"), [("AccessDenied", False), ("SlowDown", True), ("NoSuchUpload", True)])
def test_what_s3_denies_is_not_retried(code: str, is_retried: bool) -> None:
    """Neither by permissions of the bucket nor of the task."""
    message = f"output_uri: s3://bucket/out cannot be written: .*{code}"
    with pytest.raises(AirflowException, match=message) as caught, translate_s3_errors("written", "s3://bucket/out"):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutObject")
    assert isinstance(caught.value, AirflowFailException) != is_retried


RETRIED = {
    ("evaluating.py", "metric"): "an evaluation may yet become COMPLETED",
    ("operators/base.py", "__init__"): "an argument that does not exist is a TypeError everywhere in Python",
    ("scoring/manifest.py", "_parsed"): "an object in S3 may be written anew; json raises it for other damage too",
    ("triggers/event.py", "__init__"): "an AssetWatcher is no task, and has no retries",
}


def raised(module: Any) -> Iterator[Any]:
    """Yield which function raises which exception by its name."""
    for function in ast.walk(ast.parse(module.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Raise)
                    and isinstance(node.exc, ast.Call)
                    and isinstance(node.exc.func, ast.Name)
                ):
                    yield function.name, node.exc.func.id


def test_bad_input_is_an_invalid_argument_everywhere() -> None:
    """No function raises a plain ValueError or TypeError, which Airflow would retry, but for a reason."""
    root = Path(airflow_ml_provider.__file__).parent
    found = {
        (str(module.relative_to(root)), function)
        for module in root.rglob("*.py")
        for function, name in raised(module)
        if name in ("ValueError", "TypeError")
    }
    assert found == set(RETRIED)


def test_an_invalid_argument_ends_the_task() -> None:
    """By AirflowFailException, which Airflow does not retry."""
    assert issubclass(InvalidArgument, AirflowFailException)


def test_an_invalid_argument_can_be_caught_as_a_value_error() -> None:
    """Who calls the hook from a function of their own need not know our class."""
    assert issubclass(InvalidArgument, ValueError)
