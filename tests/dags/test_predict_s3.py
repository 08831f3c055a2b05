"""The example Dags that score files in S3."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.dags.runs import DAGS, VALUES, expected, predicted, put_rows
from tests.helpers.endpoints import status

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.dags.runs import Run

pytestmark = pytest.mark.core


@pytest.fixture
def s3(amazon_ml_local: AmazonMLLocalFixture, bucket: str, ml_model: str) -> S3Client:
    """A client of the bucket that the Dags use; the model is there."""
    return amazon_ml_local.client("s3")


def test_predict_s3(run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, s3: S3Client) -> None:
    """An endpoint is made, every row is predicted, and the endpoint is deleted."""
    put_rows(s3, "records.csv")
    run = run_dag(DAGS / "predict_s3.py")
    assert run.state == "success", run.states()
    assert predicted(s3, "predictions.csv") == expected()
    assert run.xcom("predict")["rows"] == len(VALUES)
    assert status(amazon_ml_local) == "NONE"


def test_predict_s3_mapped(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, s3: S3Client, service_clock: Clock
) -> None:
    """Four workers share the rows of two files, and the join is in the input's order."""
    amazon_ml_local.client().create_realtime_endpoint(MLModelId="ml-1")
    service_clock.advance(3600)
    put_rows(s3, "records/1.csv", 0, 50)
    put_rows(s3, "records/2.csv", 50)
    run = run_dag(DAGS / "predict_s3_mapped.py", ml_model_id="ml-1")
    assert run.state == "success", run.states()
    assert predicted(s3, "predictions-mapped.csv") == expected()
    assert [run.xcom("predict", map_index=place)["rows"] > 0 for place in range(4)] == [True] * 4
    assert run.xcom("join")["rows"] == len(VALUES)
