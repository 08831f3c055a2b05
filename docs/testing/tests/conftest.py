"""Airflow's folder and database, a trained model in Amazon ML Local, and a clock that nobody waits for."""

import json
import os
import runpy
import tempfile
from pathlib import Path

DAGS = Path(__file__).parent.parent / "dags"

# Airflow reads these when it is first imported, so they stand before every other import.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-")
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(DAGS)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps({"conn_type": "aws"})  # the rest comes from amazon_ml_local

import pytest  # noqa: E402 - Airflow's settings come first

SCHEMA = {
    "version": "1.0",
    "targetAttributeName": "churned",
    "dataFormat": "CSV",
    "dataFileContainsHeader": True,
    "attributes": [
        {"attributeName": "months", "attributeType": "NUMERIC"},
        {"attributeName": "churned", "attributeType": "BINARY"},
    ],
}
ROWS = "months,churned\n" + "".join(f"{months},{int(months < 20)}\n" for months in range(40))


@pytest.fixture(scope="session")
def database():
    """Airflow's database, in AIRFLOW_HOME; only ``dag.test()`` needs it."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def dag(service):
    """The Dag, read anew for each test: a task keeps its client, and each test has a service of its own."""
    return runpy.run_path(str(DAGS / "churn.py"))["dag"]


@pytest.fixture
def clock(amazon_ml_local, monkeypatch):
    """The service's clock, frozen; the operators' waits live by it too, so nobody sleeps."""
    from airflow_ml_provider.clock import CLOCK

    amazon_ml_local.clock.freeze()
    monkeypatch.setattr(CLOCK, "now", amazon_ml_local.clock.now)
    monkeypatch.setattr(CLOCK, "wall", amazon_ml_local.clock.now)
    monkeypatch.setattr(CLOCK, "sleep", amazon_ml_local.clock.sleep)
    return amazon_ml_local.clock


@pytest.fixture
def service(amazon_ml_local, clock):
    """Amazon ML Local with a bucket in S3 and the trained model ``ml-churn``."""
    s3 = amazon_ml_local.client("s3")
    s3.create_bucket(Bucket="customers")
    s3.put_object(Bucket="customers", Key="train.csv", Body=ROWS)
    client = amazon_ml_local.client()
    client.create_data_source_from_s3(
        DataSourceId="ds-churn",
        DataSpec={"DataLocationS3": "s3://customers/train.csv", "DataSchema": json.dumps(SCHEMA)},
        ComputeStatistics=True,
    )
    client.create_ml_model(MLModelId="ml-churn", MLModelType="BINARY", TrainingDataSourceId="ds-churn")
    clock.advance(3600)  # an hour later both are COMPLETED
    amazon_ml_local.requests.clear()
    return amazon_ml_local
