"""The example Dags that score files in S3."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.core

DAGS = Path(__file__).parent.parent.parent / "dags"
VALUES = [*range(10), *range(30, 40)] * 4


@pytest.fixture
def s3(amazon_ml_local, bucket, ml_model):
    """A client of the bucket that the Dags use; the model is there."""
    return amazon_ml_local.client("s3")


def put(s3, bucket, key, first, last):
    body = "id,x\n" + "".join(f"{place},{VALUES[place]}\n" for place in range(first, last))
    s3.put_object(Bucket=bucket, Key=key, Body=body)


def predicted(s3, bucket, key):
    """Return the ids and labels of the output."""
    lines = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
    assert lines[0] == "id,predictedLabel,predictedScore"
    return [tuple(line.split(",")[:2]) for line in lines[1:]]


def expected():
    return [(str(place), "1" if x >= 20 else "0") for place, x in enumerate(VALUES)]


def test_predict_s3(run_dag, amazon_ml_local, s3, bucket):
    """An endpoint is made, every row is predicted, and the endpoint is taken down."""
    put(s3, bucket, "records.csv", 0, len(VALUES))
    run = run_dag(DAGS / "predict_s3.py")
    assert run.state == "success", run.states()
    assert predicted(s3, bucket, "predictions.csv") == expected()
    assert run.xcom("predict")["rows"] == len(VALUES)
    assert amazon_ml_local.client().get_ml_model(MLModelId="ml-1")["EndpointInfo"]["EndpointStatus"] == "NONE"


def test_predict_s3_mapped(run_dag, amazon_ml_local, s3, bucket, service_clock):
    """Four workers share the rows of two files, and the join is in the input's order."""
    amazon_ml_local.client().create_realtime_endpoint(MLModelId="ml-1")
    service_clock.advance(3600)
    put(s3, bucket, "records/1.csv", 0, 50)
    put(s3, bucket, "records/2.csv", 50, len(VALUES))
    run = run_dag(DAGS / "predict_s3_mapped.py", ml_model_id="ml-1")
    assert run.state == "success", run.states()
    assert predicted(s3, bucket, "predictions-mapped.csv") == expected()
    assert [run.xcom("predict", map_index=place)["rows"] > 0 for place in range(4)] == [True] * 4
    assert run.xcom("join")["rows"] == len(VALUES)
