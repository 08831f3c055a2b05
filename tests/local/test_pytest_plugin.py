"""The fixture that users' tests get."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest

from amazon_ml_local.fixture import served
from amazon_ml_local.learning import batch
from tests.helpers.threads import SECONDS, Held
from tests.helpers.three_targets import DATA, ROWS, schema

NOBODY = "http://127.0.0.1:9"
CONFIG = f"""
[default]
ignore_configured_endpoint_urls = true
endpoint_url = {NOBODY}
services = mine
[services mine]
s3 =
  endpoint_url = {NOBODY}
machine_learning =
  endpoint_url = {NOBODY}
"""


def test_what_is_written_after_a_reset_is_in_s3(amazon_ml_local: Any) -> None:
    """And what was there before is not, whether S3 has been loaded by then or not."""
    amazon_ml_local.storage.write("s3://old/key", b"old")
    request = urllib.request.Request(f"{amazon_ml_local.url}/_local/reset", b"{}", {"Content-Type": "application/json"})
    urllib.request.urlopen(request).close()
    amazon_ml_local.storage.write("s3://new/key", b"new")
    s3 = amazon_ml_local.client("s3")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["new"]
    assert s3.get_object(Bucket="new", Key="key")["Body"].read() == b"new"


def test_boto3_needs_nothing_more_than_the_fixture(amazon_ml_local: Any) -> None:
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    client = boto3.client("machinelearning")
    spec: Any = {"DataLocationS3": DATA, "DataSchema": schema("sign")}
    client.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec)
    amazon_ml_local.clock.freeze()
    amazon_ml_local.clock.advance(60)
    assert client.get_data_source(DataSourceId="ds-1")["Status"] == "COMPLETED"
    assert amazon_ml_local.requests.count("GetDataSource") == 1
    assert os.environ["AWS_ENDPOINT_URL"] == amazon_ml_local.url == amazon_ml_local.env["AWS_ENDPOINT_URL"]


@pytest.fixture
def users_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A proxy and endpoints that are down, a profile that nobody has, and a file that says to ignore endpoints."""
    down = ("HTTP_PROXY", "http_proxy", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_MACHINE_LEARNING")
    for name in down:
        monkeypatch.setenv(name, NOBODY)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "example.org")
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.setenv(name, "nosuch")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


def test_the_users_environment_does_not_disturb(users_environment: None, amazon_ml_local: Any) -> None:
    """A client that the test makes reaches the service directly, with its keys; the user's NO_PROXY goes on."""
    session = boto3.session.Session()
    assert session.client("machinelearning").describe_ml_models()["Results"] == []
    assert session.client("s3").list_buckets()["Buckets"] == []
    assert os.environ["NO_PROXY"] == "example.org,127.0.0.1,localhost"


def test_each_test_has_a_service_of_its_own(amazon_ml_local: Any) -> None:
    assert amazon_ml_local.client().describe_data_sources()["Results"] == []
    assert amazon_ml_local.storage.objects == {}


def test_an_order_of_faults_reaches_the_client(amazon_ml_local: Any, refused: Any) -> None:
    amazon_ml_local.faults.add("expired_token", count=1)
    refused("ExpiredTokenException", "", amazon_ml_local.client().describe_ml_models)


@pytest.mark.parametrize("loaded", [False, True])
def test_s3_clients_see_what_a_test_wrote_before_and_after_s3_is_loaded(amazon_ml_local: Any, loaded: bool) -> None:
    s3 = boto3.client("s3")
    if loaded:
        s3.list_buckets()
    amazon_ml_local.storage.write("s3://bucket/folder/x.csv", b"1,2\n")
    assert s3.get_object(Bucket="bucket", Key="folder/x.csv")["Body"].read() == b"1,2\n"
    s3.put_object(Bucket="bucket", Key="y.csv", Body=b"3\n")
    assert amazon_ml_local.storage.read("s3://bucket/y.csv") == b"3\n"
    assert amazon_ml_local.storage.list("s3://bucket/") == ["s3://bucket/folder/x.csv", "s3://bucket/y.csv"]


def create_batch_prediction(client: Any) -> None:
    """Create the batch prediction bp-1 of DATA into s3://bucket/out/."""
    client.create_data_source_from_s3(
        DataSourceId="ds-1",
        DataSpec={"DataLocationS3": DATA, "DataSchema": schema("sign")},
        ComputeStatistics=True,
    )
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    results = {"OutputUri": "s3://bucket/out/", "BatchPredictionDataSourceId": "ds-1", "MLModelId": "ml-1"}
    client.create_batch_prediction(BatchPredictionId="bp-1", **results)


def test_s3_clients_see_results_and_the_service_what_they_put(amazon_ml_local: Any) -> None:
    """Before S3 is loaded the service works in memory; nothing of that is lost to clients that come later."""
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    client = boto3.client("machinelearning")
    create_batch_prediction(client)
    amazon_ml_local.clock.freeze()
    amazon_ml_local.clock.advance(3600)
    assert client.get_batch_prediction(BatchPredictionId="bp-1")["Status"] == "COMPLETED"
    found = boto3.client("s3").list_objects_v2(Bucket="bucket", Prefix="out/")["Contents"]
    assert [item["Key"].rpartition("/")[2] for item in found] == ["bp-1.manifest", "bp-1-train.csv.gz"]


def test_a_job_of_one_test_writes_nothing_into_the_s3_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's state belongs to the process; a job that goes on after its test finds no S3 any more."""
    predicting = Held(batch.predict_rows)
    monkeypatch.setattr(batch, "predict_rows", predicting)
    with served() as first:
        first.storage.write(DATA, ROWS.encode())
        first.client("s3").list_buckets()
        create_batch_prediction(first.client())
        assert predicting.begun.wait(SECONDS)
        (entity,) = first.service.state.region("us-east-1").all("BatchPrediction")
    with served() as second:
        s3 = second.client("s3")
        s3.create_bucket(Bucket="bucket")
        predicting.released.set()
        error = entity.job.exception(SECONDS)
        assert s3.list_objects_v2(Bucket="bucket")["KeyCount"] == 0
        assert "The service has ended" in str(error)


def test_buckets_of_the_test_and_those_of_s3_serve_side_by_side(amazon_ml_local: Any) -> None:
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    s3, client = boto3.client("s3"), boto3.client("machinelearning")
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="other", Key="train.csv", Body=ROWS.encode())
    for entity_id, uri in (("memory", DATA), ("s3", "s3://other/train.csv")):
        spec: Any = {"DataLocationS3": uri, "DataSchema": schema("sign")}
        client.create_data_source_from_s3(DataSourceId=entity_id, DataSpec=spec)
    amazon_ml_local.clock.freeze()
    amazon_ml_local.clock.advance(60)
    found = client.describe_data_sources()["Results"]
    assert [item["Status"] for item in found] == ["COMPLETED", "COMPLETED"]


def test_the_plugin_costs_other_test_suites_nothing() -> None:
    """pytest loads every plug-in that is installed, so this one brings nothing heavy."""
    code = (
        "import sys, amazon_ml_local.pytest_plugin; "
        "print([m for m in ('boto3', 'botocore', 'airflow', 'numpy', 'moto') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
