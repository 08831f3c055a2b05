"""S3, STS and the rest of AWS on the same port, and what is said where they are not."""

from __future__ import annotations

import gc
import gzip
import json
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from amazon_ml_local import AmazonMLLocal, S3Storage
from amazon_ml_local.fixture import AmazonMLLocalFixture
from amazon_ml_local.serving import other_services as module
from amazon_ml_local.serving.application import SIGNATURE, Application
from amazon_ml_local.serving.other_services import OtherServices
from amazon_ml_local.serving.server import Server
from tests.helpers.clients import client_at
from tests.helpers.threads import SECONDS, Held, ToldLock, in_thread
from tests.helpers.three_targets import ROWS, schema


@pytest.fixture
def beside() -> Iterator[tuple[AmazonMLLocal, str]]:
    """The service whose data lies in the S3 beside it, with one object from the start; and their URL."""
    other_services = OtherServices(None, ["results"], {"s3://data/train.csv": ROWS.encode()})
    service = AmazonMLLocal(S3Storage(other_services.s3_client))
    service.clock.freeze()
    with Server(Application(service, other_services).handle) as server:
        yield service, server.url
    service.close()
    other_services.close()


def test_a_whole_round_through_s3_on_the_same_port(beside: Any) -> None:
    service, url = beside
    s3, ml = client_at(url, "s3"), client_at(url, "machinelearning")
    s3.put_object(Bucket="data", Key="the schema ä.json", Body=schema("sign").encode())
    spec: Any = {"DataLocationS3": "s3://data/train.csv", "DataSchemaLocationS3": "s3://data/the schema ä.json"}
    ml.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec, ComputeStatistics=True)
    ml.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    ml.create_batch_prediction(
        BatchPredictionId="bp-1", MLModelId="ml-1", BatchPredictionDataSourceId="ds-1", OutputUri="s3://results/"
    )
    service.clock.advance(3600)
    assert ml.get_batch_prediction(BatchPredictionId="bp-1")["Status"] == "COMPLETED"
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="results")["Contents"]]
    assert keys == ["batch-prediction/bp-1.manifest", "batch-prediction/result/bp-1-train.csv.gz"]
    result = s3.get_object(Bucket="results", Key=keys[1])["Body"].read()
    assert gzip.decompress(result).startswith(b"trueLabel,bestAnswer,score\n")


def test_sts_answers_on_the_same_port(beside: Any) -> None:
    assert client_at(beside[1], "sts").get_caller_identity()["Account"] == "123456789012"


def test_a_head_of_an_object_tells_its_length_without_a_body(beside: Any) -> None:
    s3 = client_at(beside[1], "s3")
    assert s3.head_object(Bucket="data", Key="train.csv")["ContentLength"] == len(ROWS)
    assert s3.get_object(Bucket="data", Key="train.csv")["Body"].read() == ROWS.encode()


@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        ("Content-Length: 10", b"new"),
        ("Transfer-Encoding: chunked", b"a\r\nnew"),
        ("Transfer-Encoding: chunked", b"3\r\nnew\r\n0"),
    ],
)
def test_a_body_that_ends_early_is_refused_and_stores_nothing(framing: str, sent: bytes, beside: Any) -> None:
    """As when its client dies in the middle."""
    url = urlsplit(beside[1])
    head = f"PUT /data/train.csv HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: {SIGNATURE}\r\n{framing}\r\n\r\n"
    with closing(socket.create_connection((url.hostname, url.port), timeout=30)) as connection:
        connection.sendall(head.encode() + sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"The body ended early" in answer
    assert client_at(beside[1], "s3").get_object(Bucket="data", Key="train.csv")["Body"].read() == ROWS.encode()


def test_what_is_in_moto_ends_with_the_service() -> None:
    for _ in range(2):
        other_services = OtherServices(None, ["only-now"])
        s3: Any = other_services.s3_client()
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["only-now"]
        other_services.close()


@pytest.mark.parametrize("loaded", [False, True])
def test_a_client_of_an_ended_service_reaches_no_other(loaded: bool) -> None:
    """Not even one that would be the first to load S3, with what was there from the start."""
    ended = OtherServices(None, ["old"])
    late: Any = ended.s3_client()
    if loaded:
        late.list_buckets()
    ended.close()
    with closing(OtherServices(None, ["new"])) as other_services:
        s3: Any = other_services.s3_client()
        s3.list_buckets()
        with pytest.raises(ClientError, match="The service has ended"):
            late.put_object(Bucket="new", Key="k", Body=b"")
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["new"]
        assert s3.list_objects_v2(Bucket="new")["KeyCount"] == 0


@pytest.fixture
def loading_moto(monkeypatch: pytest.MonkeyPatch) -> Held:
    """The loading of moto, which the test releases."""
    held = Held(module._moto)
    monkeypatch.setattr(module, "_moto", held)
    return held


def test_a_write_that_comes_while_s3_is_loaded_is_answered_after_that(
    loading_moto: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fills S3 are writes too: the two do not wait for each other."""
    with closing(OtherServices(None, ["results"])) as other_services:
        loading = ToldLock()
        s3: Any = other_services.s3_client()
        monkeypatch.setattr(other_services, "loading", loading)
        listed = in_thread(s3.list_buckets)
        assert loading_moto.begun.wait(SECONDS)
        put = in_thread(partial(s3.put_object, Bucket="results", Key="k", Body=b"new"))
        assert loading.wanted.wait(SECONDS)
        loading_moto.released.set()
        assert [bucket["Name"] for bucket in listed.result(SECONDS)["Buckets"]] == ["results"]
        assert put.result(SECONDS)["ETag"]


def test_what_a_test_writes_while_s3_is_loaded_is_in_s3(
    loading_moto: Held, amazon_ml_local: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes too late to fill S3 with, and is put there afterwards."""
    loading, s3 = ToldLock(), amazon_ml_local.client("s3")
    monkeypatch.setattr(amazon_ml_local.storage.other_services, "loading", loading)
    listed = in_thread(s3.list_buckets)
    assert loading_moto.begun.wait(SECONDS)
    written = in_thread(partial(amazon_ml_local.storage.write, "s3://bucket/k", b"new"))
    assert loading.wanted.wait(SECONDS)
    loading_moto.released.set()
    listed.result(SECONDS)
    written.result(SECONDS)
    assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"new"


def test_a_test_and_a_job_can_write_at_once(
    amazon_ml_local: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a test writes reaches S3 while a job's write is under way, and the job's write ends too."""
    storage, loading = amazon_ml_local.storage, ToldLock()
    amazon_ml_local.client("s3").create_bucket(Bucket="bucket")
    put, began, next_write = storage.other_services.put, threading.Event(), loading.wanted

    def put_later(*arguments: Any) -> None:
        began.set()
        assert next_write.wait(SECONDS)
        put(*arguments)

    monkeypatch.setattr(storage.other_services, "put", put_later)
    monkeypatch.setattr(storage.other_services, "loading", loading)
    of_test = in_thread(partial(storage.write, "s3://bucket/test", b""))
    assert began.wait(SECONDS)
    of_job = in_thread(partial(storage.s3.write, "s3://bucket/job", b""))
    of_job.add_done_callback(lambda _: next_write.set())
    of_job.result(SECONDS)
    of_test.result(SECONDS)
    assert storage.list("s3://bucket/") == ["s3://bucket/job", "s3://bucket/test"]


@pytest.fixture
def without_moto(monkeypatch: Any) -> None:
    """As if moto were not installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "moto"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "moto", None)


@pytest.mark.parametrize(
    ("name", "operation", "parameters"),
    [
        ("s3", "list_buckets", {}),
        ("s3", "put_object", {"Bucket": "bucket", "Key": "k", "Body": b""}),
        ("sts", "get_caller_identity", {}),
        ("dynamodb", "list_tables", {}),
    ],
)
@pytest.mark.usefixtures("without_moto")
def test_without_moto_an_error_in_the_shape_of_aws_says_what_to_install(
    name: str, operation: str, parameters: Any, beside: Any
) -> None:
    with pytest.raises(ClientError, match=r"pip install 'amazon-ml-local\[s3\]'") as caught:
        getattr(client_at(beside[1], name), operation)(**parameters)
    assert caught.value.response["Error"]["Code"].startswith("NotImplemented")


@pytest.mark.usefixtures("without_moto")
def test_without_moto_a_data_source_fails_and_says_what_to_do(beside: Any) -> None:
    service, url = beside
    ml = client_at(url, "machinelearning")
    spec: Any = {"DataLocationS3": "s3://data/train.csv", "DataSchema": schema("sign")}
    ml.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec)
    service.clock.advance(3600)
    found = ml.get_data_source(DataSourceId="ds-1")
    assert found["Status"] == "FAILED"
    assert "s3://data/train.csv" in found["Message"]
    assert "pip install 'amazon-ml-local[s3]'" in found["Message"]
    assert "--s3-endpoint-url" in found["Message"]


def test_data_comes_from_an_s3_elsewhere(beside: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    elsewhere = beside[1]
    other_services = OtherServices(elsewhere, ["more"], {"s3://more/train.csv": ROWS.encode()})
    service = AmazonMLLocal(S3Storage(other_services.s3_client))
    service.clock.freeze()
    with Server(Application(service, other_services).handle) as server:
        ml = client_at(server.url, "machinelearning")
        spec: Any = {"DataLocationS3": "s3://more/train.csv", "DataSchema": schema("sign")}
        ml.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec)
        service.clock.advance(3600)
        assert ml.get_data_source(DataSourceId="ds-1")["Status"] == "COMPLETED"
        with pytest.raises(ClientError, match=f"S3 is at {elsewhere}: set AWS_ENDPOINT_URL_S3"):
            client_at(server.url, "s3").list_buckets()
    assert client_at(elsewhere, "s3").list_objects_v2(Bucket="more")["KeyCount"] == 1


def test_no_request_outlives_its_answer(beside: Any) -> None:
    """What was uploaded is freed at once, not when the garbage collector comes by, which takes minutes when idle."""
    s3 = client_at(beside[1], "s3")
    gc.collect()
    gc.disable()
    try:
        s3.put_object(Bucket="data", Key="more.csv", Body=b"rows")
        s3.list_buckets()  # its connection's thread has answered the one before
        alive = [found for found in gc.get_objects() if type(found).__name__ == "BackendRequest"]
    finally:
        gc.enable()
    assert not [request for request in alive if request.method == "PUT"]


def test_a_defect_of_another_service_shows_no_traceback(beside: Any, monkeypatch: Any) -> None:
    def broken(self: Any, request: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(OtherServices, "handle", broken)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(beside[1] + "/bucket/key", timeout=30)
    assert json.loads(caught.value.read())["message"] == "An internal error occurred"
