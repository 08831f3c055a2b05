"""Results in S3, as batch predictions and PredictS3 write them, with values that a test chooses."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

from tests.helpers.schemas import schema_text

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.report.columns import ModelType
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture

BUCKET = "reports"
PAGE = f"s3://{BUCKET}/report.html"
TYPES = {"BINARY": "BINARY", "MULTICLASS": "CATEGORICAL", "REGRESSION": "NUMERIC"}
TARGETS = {"BINARY": ("0", "1"), "MULTICLASS": ("red", "green", "blue"), "REGRESSION": ("1.5", "2.5", "4")}


class Results:
    """Models, and results of theirs in S3."""

    def __init__(self, service: AmazonMLLocalFixture, clock: Clock) -> None:
        self.s3: S3Client = service.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self._service, self._client, self._clock = service, service.client(), clock

    def put(self, key: str, text: str | bytes) -> str:
        """Put an object, packed where its name says so; return its URI."""
        body = text.encode() if isinstance(text, str) else text
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=gzip.compress(body) if key.endswith(".gz") else body)
        return f"s3://{BUCKET}/{key}"

    def get(self, key: str) -> str:
        """Return an object's text."""
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()

    def keys(self) -> set[str]:
        """Return what is in the bucket."""
        return {item["Key"] for item in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())}

    def model(self, type: ModelType, ml_model_id: str = "ml-1", threshold: float | None = None) -> str:
        """Train a small model of a type."""
        rows = "x,y\n" + "".join(f"{x},{TARGETS[type][x * len(TARGETS[type]) // 30]}\n" for x in range(30))
        self._service.storage.write(f"s3://data/train-{type}.csv", rows.encode())
        schema = schema_text({"x": "NUMERIC", "y": TYPES[type]}, targetAttributeName="y", dataFileContainsHeader=True)
        location: Any = {"DataLocationS3": f"s3://data/train-{type}.csv", "DataSchema": schema}
        data = f"ds-{type}"
        self._client.create_data_source_from_s3(DataSourceId=data, DataSpec=location, ComputeStatistics=True)
        self._client.create_ml_model(MLModelId=ml_model_id, MLModelType=type, TrainingDataSourceId=data)
        self._clock.advance(3600)
        if threshold is not None:
            self._client.update_ml_model(MLModelId=ml_model_id, ScoreThreshold=threshold)
        return ml_model_id

    def batch(self, type: ModelType, text: str | bytes | None = None, batch_prediction_id: str = "bp-1") -> str:
        """Make a batch prediction of 30 rows, and put other results in its place."""
        ml_model_id = self.model(type, f"ml-{batch_prediction_id}")
        self._client.create_batch_prediction(
            BatchPredictionId=batch_prediction_id,
            MLModelId=ml_model_id,
            BatchPredictionDataSourceId=f"ds-{type}",
            OutputUri=f"s3://{BUCKET}/out/",
        )
        self._clock.advance(3600)
        found = self._client.get_batch_prediction(BatchPredictionId=batch_prediction_id)
        assert found["Status"] == "COMPLETED"  # the service writes the results when somebody looks
        if text is not None:
            self.put(self.result_key(type, batch_prediction_id), text)
        return batch_prediction_id

    def result_key(self, type: str, batch_prediction_id: str = "bp-1") -> str:
        """Return the key of a batch prediction's result."""
        return f"out/batch-prediction/result/{batch_prediction_id}-train-{type}.csv.gz"
