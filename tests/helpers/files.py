"""A file of records in S3 and its predictions, as the tests want them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.operators.prediction import (
    MachineLearningJoinPredictS3Operator,
    MachineLearningPlanPredictS3Operator,
    MachineLearningPredictS3Operator,
)

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture

SOURCE, OUTPUT = "s3://bucket/in.csv", "s3://bucket/out.csv"
VALUES = [*range(10), *range(30, 40)]
ROWS = [(f"k{number}", VALUES[number % 20]) for number in range(60)]
PREDICT_ARGUMENTS: dict[str, Any] = {
    "task_id": "predict",
    "ml_model_id": "ml-1",
    "source_uri": SOURCE,
    "output_uri": OUTPUT,
    "key_columns": ["id"],
}
FILE = "id,x\n" + "".join(f"{key},{x}\n" for key, x in ROWS)


class Bucket:
    """Objects of the S3 beside the service, by URI."""

    def __init__(self, client: Any) -> None:
        self.client = client
        client.create_bucket(Bucket="bucket")

    def put(self, uri: str, body: Any) -> None:
        self.client.put_object(Bucket="bucket", Key=uri.removeprefix("s3://bucket/"), Body=body)

    def get(self, uri: str) -> Any:
        return self.client.get_object(Bucket="bucket", Key=uri.removeprefix("s3://bucket/"))["Body"].read()

    def uris(self) -> set[Any]:
        found = self.client.list_objects_v2(Bucket="bucket").get("Contents", ())
        return {f"s3://bucket/{item['Key']}" for item in found}

    def rows(self, uri: str) -> list[Any]:
        return list(csv.DictReader(io.StringIO(self.get(uri).decode())))


def predict(**arguments: Any) -> Any:
    """Predict for ``SOURCE`` into ``OUTPUT``, and return the summary."""
    return MachineLearningPredictS3Operator(**PREDICT_ARGUMENTS | arguments).execute({})


def planned(workers: Any, source: Any = SOURCE, **arguments: Any) -> Any:
    """Return how the rows are divided between workers."""
    return MachineLearningPlanPredictS3Operator(
        task_id="plan", ml_model_id="ml-1", source_uri=source, output_uri=OUTPUT, workers=workers, **arguments
    ).execute({})


def joined(summaries: Any) -> Any:
    """Join what the workers have written, and return the summary."""
    join = MachineLearningJoinPredictS3Operator(task_id="join", output_uri=OUTPUT, summaries=summaries)
    return join.execute({})


def expected(rows: Any = ROWS) -> list[Any]:
    """Return the keys and labels that the rows ought to have."""
    return [(key, "1" if x >= 20 else "0") for key, x in rows]


def got(bucket: Bucket, uri: str = OUTPUT) -> list[Any]:
    """Return the keys and labels of an output."""
    return [(row["id"], row["predictedLabel"]) for row in bucket.rows(uri)]


def recorded(bucket: Bucket) -> Any:
    """Return what the record of progress says."""
    return json.loads(bucket.get(f"{OUTPUT}.parts/progress.json"))["state"]


def interrupted(endpoint: AmazonMLLocalFixture, bucket: Bucket, after: int = 35, **arguments: Any) -> int:
    """Run until the service fails for good, and return how many rows were done by then."""
    original = endpoint.service.handle

    def handle(request: Any) -> Any:
        if endpoint.requests.count("Predict") >= after:
            endpoint.faults.add("error", operation="Predict", code="AccessDeniedException", message="no", status=400)
        return original(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoint.service, "handle", handle)
        with pytest.raises(AirflowException, match="AccessDenied"):
            predict(rows_per_part=10, **arguments)
    endpoint.faults.clear()
    endpoint.requests.clear()
    assert OUTPUT not in bucket.uris()
    return sum(piece["rows"] for part in recorded(bucket)["parts"] for piece in part["pieces"].values())
