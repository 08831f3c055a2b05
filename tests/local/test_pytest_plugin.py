"""The fixture that users' tests get."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import boto3

from tests.local.conftest import DATA, ROWS, schema


def test_boto3_needs_nothing_more_than_the_fixture(amazon_ml_local: Any):
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    client = boto3.client("machinelearning")
    spec = {"DataLocationS3": DATA, "DataSchema": schema("sign")}
    client.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec)
    amazon_ml_local.clock.freeze()
    amazon_ml_local.clock.advance(60)
    assert client.get_data_source(DataSourceId="ds-1")["Status"] == "COMPLETED"
    assert amazon_ml_local.requests.count("GetDataSource") == 1
    assert os.environ["AWS_ENDPOINT_URL"] == amazon_ml_local.url == amazon_ml_local.env["AWS_ENDPOINT_URL"]


def test_each_test_has_a_service_of_its_own(amazon_ml_local: Any):
    assert amazon_ml_local.client().describe_data_sources()["Results"] == []
    assert amazon_ml_local.storage.objects == {}


def test_an_order_of_faults_reaches_the_client(amazon_ml_local: Any, refused: Any):
    amazon_ml_local.faults.add("expired_token", count=1)
    refused("ExpiredTokenException", "", amazon_ml_local.client().describe_ml_models)


def test_buckets_of_the_test_are_in_memory_and_all_others_in_s3(amazon_ml_local: Any):
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    s3, client = boto3.client("s3"), boto3.client("machinelearning")
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="other", Key="train.csv", Body=ROWS.encode())
    for entity_id, uri in (("memory", DATA), ("s3", "s3://other/train.csv")):
        spec = {"DataLocationS3": uri, "DataSchema": schema("sign")}
        client.create_data_source_from_s3(DataSourceId=entity_id, DataSpec=spec)
    amazon_ml_local.clock.freeze()
    amazon_ml_local.clock.advance(60)
    found = client.describe_data_sources()["Results"]
    assert [item["Status"] for item in found] == ["COMPLETED", "COMPLETED"]


def test_the_plugin_costs_other_test_suites_nothing():
    """pytest loads every plug-in that is installed, so this one brings nothing heavy."""
    code = (
        "import sys, amazon_ml_local.pytest_plugin; "
        "print([m for m in ('boto3', 'botocore', 'airflow', 'numpy', 'moto') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
