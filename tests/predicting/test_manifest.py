"""A batch prediction's results, found and read back."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from airflow_ml_provider.operators.batch_prediction import MachineLearningCreateBatchPredictionOperator
from tests.helpers.task_instances import TaskInstance, context_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from amazon_ml_local.fixture import AmazonMLLocalFixture

RESULT = "out/batch-prediction/result/bp-1-train.csv.gz"


@pytest.fixture
def s3(amazon_ml_local: AmazonMLLocalFixture, ml_model: str) -> S3Client:
    """A client of S3, with a bucket for the results."""
    s3 = amazon_ml_local.client("s3")
    s3.create_bucket(Bucket="results")
    return s3


def create(output_uri: str = "s3://results/out/") -> tuple[Any, ...]:
    """Create the batch prediction; return its id and what was pushed."""
    ti = TaskInstance()
    operator = MachineLearningCreateBatchPredictionOperator(
        task_id="predict",
        batch_prediction_id="bp-1",
        ml_model_id="ml-1",
        batch_prediction_data_source_id="ds-1",
        output_uri=output_uri,
    )
    return operator.execute(context_of(ti)), ti.pushed


def test_the_results_uris_are_pushed(s3: S3Client) -> None:
    """Behind the id, XCom has the manifest's URI and each input's result."""
    batch_prediction_id, pushed = create()
    assert batch_prediction_id == "bp-1"
    assert pushed["ManifestUri"] == "s3://results/out/batch-prediction/bp-1.manifest"
    assert pushed["ResultUris"] == {"s3://training/train.csv": f"s3://results/{RESULT}"}


def test_results_that_cannot_be_read_fail_nothing(s3: S3Client) -> None:
    """AWS has written them; that this task may not read them is no failure of the prediction."""
    create()
    s3.delete_object(Bucket="results", Key="out/batch-prediction/bp-1.manifest")
    batch_prediction_id, pushed = create()
    assert batch_prediction_id == "bp-1"
    assert pushed["Status"] == "COMPLETED"
    assert "ResultUris" not in pushed


@pytest.mark.parametrize("body", [b'{"s3:', b"[]", b"null", b"[" * 100_000], ids=["cut", "list", "null", "nested"])
def test_a_damaged_manifest_fails_nothing(s3: S3Client, body: bytes) -> None:
    """The batch prediction is COMPLETED all the same."""
    create()
    s3.put_object(Bucket="results", Key="out/batch-prediction/bp-1.manifest", Body=body)
    batch_prediction_id, pushed = create()
    assert (batch_prediction_id, pushed["Status"]) == ("bp-1", "COMPLETED")
    assert "ResultUris" not in pushed


def test_rows_come_in_the_order_of_the_input(s3: S3Client) -> None:
    """Texts stay text, scores are numbers."""
    create()
    rows: list[Any] = list(MachineLearningHook().read_batch_prediction("bp-1"))
    assert [row["trueLabel"] for row in rows] == ["0"] * 20 + ["1"] * 20
    assert rows[0].keys() == {"trueLabel", "bestAnswer", "score"}
    assert rows[0]["bestAnswer"] == "0"
    assert rows[0]["score"] < 0.5 < rows[-1]["score"]


def test_a_record_that_could_not_be_read_is_none(s3: S3Client) -> None:
    """Its place is kept."""
    create()
    s3.put_object(Bucket="results", Key=RESULT, Body=gzip.compress(b"tag,bestAnswer,score\n\na,1,9.96733E-1\n"))
    assert list(MachineLearningHook().read_batch_prediction("bp-1")) == [
        None,
        {"tag": "a", "bestAnswer": "1", "score": 0.996733},
    ]


def test_a_batch_prediction_that_is_not_completed_has_no_results(
    s3: S3Client, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """The message says its state."""
    amazon_ml_local.client().create_batch_prediction(
        BatchPredictionId="bp-2", MLModelId="ml-1", BatchPredictionDataSourceId="ds-1", OutputUri="s3://results/out/"
    )
    with pytest.raises(AirflowException, match="bp-2 in us-east-1 is PENDING; it has results when it is COMPLETED"):
        list(MachineLearningHook().read_batch_prediction("bp-2"))
