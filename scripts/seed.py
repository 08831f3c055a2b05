"""Make what the example Dags expect of others: trained models, one with an endpoint, and files of records."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from mypy_boto3_machinelearning import MachineLearningClient
    from mypy_boto3_machinelearning.type_defs import S3DataSpecTypeDef

BUCKET = "amazon-ml-demo"
MODELS = ("ml-churn", "ml-1", "their-model")
WITH_ENDPOINT = "their-model"
VARIABLES = ("age", "months", "calls")
TARGET = "churned"
SECONDS = 120


def customers(count: int) -> list[dict[str, int]]:
    """Return made-up customers: those leave who call often in their first months."""
    numbers = random.Random(0)
    found = []
    for number in range(count):
        age, months, calls = numbers.randint(18, 80), numbers.randint(1, 60), numbers.randint(0, 9)
        churned = int(calls * 8 - months + numbers.gauss(0, 8) > 0)
        found.append({"id": number, "age": age, "months": months, "calls": calls, TARGET: churned})
    return found


def csv(rows: list[dict[str, int]], *columns: str) -> str:
    """Return these columns of rows as CSV with a header."""
    return "\n".join([",".join(columns), *(",".join(str(row[column]) for column in columns) for row in rows)]) + "\n"


def files() -> dict[str, str]:
    """Return the objects that the Dags read, by key."""
    rows = customers(1200)
    known, records = rows[:400], rows[400:]
    half = len(records) // 2
    return {
        "customers.csv": csv(known, *VARIABLES, TARGET),
        "records.csv": csv(records, "id", *VARIABLES),
        "records/1.csv": csv(records[:half], "id", *VARIABLES),
        "records/2.csv": csv(records[half:], "id", *VARIABLES),
    }


def schema() -> dict[str, object]:
    """Return the schema of ``customers.csv``."""
    types = {**dict.fromkeys(VARIABLES, "NUMERIC"), TARGET: "BINARY"}
    return {
        "version": "1.0",
        "targetAttributeName": TARGET,
        "dataFormat": "CSV",
        "dataFileContainsHeader": True,
        "attributes": [{"attributeName": name, "attributeType": kind} for name, kind in types.items()],
    }


def model_status(client: MachineLearningClient, name: str) -> str:
    """Return the status of a model."""
    return client.get_ml_model(MLModelId=name)["Status"]


def make_models(client: MachineLearningClient) -> None:
    """Train the models, and deploy one of them."""
    location: S3DataSpecTypeDef = {"DataLocationS3": f"s3://{BUCKET}/customers.csv", "DataSchema": json.dumps(schema())}
    client.create_data_source_from_s3(DataSourceId="customers", DataSpec=location, ComputeStatistics=True)
    for name in MODELS:
        client.create_ml_model(MLModelId=name, MLModelType="BINARY", TrainingDataSourceId="customers")
    for name in MODELS:
        wait_for("COMPLETED", partial(model_status, client, name))
    client.create_realtime_endpoint(MLModelId=WITH_ENDPOINT)
    wait_for("READY", lambda: client.get_ml_model(MLModelId=WITH_ENDPOINT)["EndpointInfo"]["EndpointStatus"])


def wait_for(wanted: str, status: Callable[[], str]) -> None:
    """Wait until a status is reached.

    :raises SystemExit: when it becomes FAILED, or takes too long.
    """
    deadline = time.monotonic() + SECONDS
    while (seen := status()) != wanted:
        if seen == "FAILED" or time.monotonic() > deadline:
            raise SystemExit(f"{wanted} was expected, and the status is {seen}")
        time.sleep(0.5)


def main() -> None:
    """Put the files into S3, and make the models, wherever the environment leads boto3."""
    s3 = boto3.client("s3")
    for key, text in files().items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
    make_models(boto3.client("machinelearning"))


if __name__ == "__main__":
    main()
