"""An output that is complete already, whose record is gone: who finds it predicts nothing again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from tests.helpers.endpoints import replace
from tests.helpers.files import FILE, OUTPUT, SOURCE, predict

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.helpers.files import Bucket

ERRORS = f"{OUTPUT}.errors.csv"
COMPLETE: dict[str, Any] = {"rows_per_part": 25, "max_errors": 1}


class Killed(BaseException):
    """As by SIGKILL, nothing of the try goes on."""


@pytest.fixture
def complete(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> Any:
    """The summary of a run with one refused row; its record is deleted."""
    bucket.put(SOURCE, f"{FILE}ragged\n")
    summary = predict(**COMPLETE)
    endpoint.requests.clear()
    return summary


def test_a_kill_after_the_last_step_costs_no_prediction(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Airflow knows of the success the record is deleted already: the retry sees by the output what was done."""
    original = vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, parameters: Any) -> Any:
        answer = original(client, operation, parameters)
        if operation == "DeleteObject" and parameters["Key"].endswith("progress.json"):
            monkeypatch.setattr(BaseClient, "_make_api_call", original)
            raise Killed
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    with pytest.raises(Killed):
        predict()
    endpoint.requests.clear()
    assert predict()["rows"] == 60
    assert endpoint.requests.count("Predict") == 0
    assert bucket.uris() == {SOURCE, OUTPUT}


def test_a_complete_output_gives_its_summary_again(
    complete: Any, bucket: Bucket, endpoint: AmazonMLLocalFixture, caplog: pytest.LogCaptureFixture
) -> None:
    """With the numbers of the run that wrote it; the log says why nothing is predicted."""
    with caplog.at_level("INFO"):
        assert predict(**COMPLETE) == complete
    assert endpoint.requests.count("Predict") == 0
    assert bucket.uris() == {SOURCE, OUTPUT, ERRORS}
    assert "s3://bucket/out.csv is complete already" in caplog.text


def change_source(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    bucket.put(SOURCE, f"{FILE}other,fields,here\n")


def change_threshold(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    endpoint.client().update_ml_model(MLModelId="ml-1", ScoreThreshold=0.9)


def change_endpoint(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    replace(endpoint)
    endpoint.clock.advance(3600)


def change_errors_file(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    bucket.put(ERRORS, "theirs")


def change_output(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    bucket.put(OUTPUT, "theirs")


@pytest.mark.parametrize(
    "change", [change_source, change_threshold, change_endpoint, change_errors_file, change_output]
)
def test_an_output_of_something_else_is_written_anew(
    complete: Any, bucket: Bucket, endpoint: AmazonMLLocalFixture, change: Callable[..., None]
) -> None:
    """Source, model, endpoint and both files must be those of the run that wrote it."""
    change(bucket, endpoint)
    predict(**COMPLETE)
    assert endpoint.requests.count("Predict") == 60


def test_what_another_run_has_not_replaced_is_complete_still(complete: Any, endpoint: AmazonMLLocalFixture) -> None:
    """Between the two runs of the same arguments one with another threshold has failed."""
    threshold = partial(endpoint.client().update_ml_model, MLModelId="ml-1")
    before = endpoint.client().get_ml_model(MLModelId="ml-1")["ScoreThreshold"]
    threshold(ScoreThreshold=0.9)
    endpoint.faults.add("error", operation="Predict", code="AccessDeniedException", message="no", status=400)
    with pytest.raises(AirflowException):
        predict(**COMPLETE)
    endpoint.faults.clear()
    endpoint.requests.clear()
    threshold(ScoreThreshold=before)
    assert predict(**COMPLETE) == complete
    assert endpoint.requests.count("Predict") == 0


def test_an_output_of_another_format_is_written_anew(
    complete: Any, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version of this package may write other bytes."""
    monkeypatch.setattr("airflow_ml_provider.scoring.progress.FORMAT_VERSION", 0)
    predict(**COMPLETE)
    assert endpoint.requests.count("Predict") == 60


def test_other_arguments_write_the_output_anew(complete: Any, endpoint: AmazonMLLocalFixture) -> None:
    """Those that its bytes depend on."""
    predict(**COMPLETE, key_columns=["id", "x"])
    assert endpoint.requests.count("Predict") == 60


def test_a_complete_output_with_more_errors_than_allowed_fails(
    complete: Any, bucket: Bucket, endpoint: AmazonMLLocalFixture
) -> None:
    """As if it were written now; its errors file stays, and with a higher limit it is complete again."""
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="max_errors: 1 rows got no prediction, allowed are 0"):
            predict()
    assert [error["line"] for error in bucket.rows(ERRORS)] == ["62"]
    assert predict(**COMPLETE) == complete
    assert endpoint.requests.count("Predict") == 0
