"""S3's conditional writes, whatever moto is installed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from amazon_ml_local import AmazonMLLocal, MemoryStorage
from amazon_ml_local.serving.application import Application
from amazon_ml_local.serving.other_services import OtherServices
from amazon_ml_local.serving.server import Server
from tests.helpers.clients import client_at

OTHER = '"00000000000000000000000000000000"'


@pytest.fixture
def s3() -> Iterator[Any]:
    """A client of the S3 beside the service, over a socket, and a bucket ``data``."""
    other_services = OtherServices(None, ["data"])
    with Server(Application(AmazonMLLocal(MemoryStorage()), other_services).handle) as server:
        yield client_at(server.url, "s3")
    other_services.close()


def put(s3: Any, body: str, **condition: str) -> str:
    etag: str = s3.put_object(Bucket="data", Key="a b/ü", Body=body.encode(), **condition)["ETag"]
    return etag


def upload(s3: Any, body: str, **condition: str) -> str:
    where = {"Bucket": "data", "Key": "a b/ü"}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    etag = s3.upload_part(**where, PartNumber=1, Body=body.encode())["ETag"]
    parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
    found: str = s3.complete_multipart_upload(**where, MultipartUpload=parts, **condition)["ETag"]
    return found


def read(s3: Any) -> str:
    body: bytes = s3.get_object(Bucket="data", Key="a b/ü")["Body"].read()
    return body.decode()


WAYS = pytest.mark.parametrize("write", [put, upload])


@WAYS
def test_if_none_match_writes_a_new_object_only(s3: Any, write: Any) -> None:
    """The second write is refused with 412 and changes nothing."""
    write(s3, "first", IfNoneMatch="*")
    with pytest.raises(ClientError) as caught:
        write(s3, "second", IfNoneMatch="*")
    assert caught.value.response["Error"]["Code"] == "PreconditionFailed"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert read(s3) == "first"


@WAYS
def test_if_match_writes_over_that_version_only(s3: Any, write: Any) -> None:
    """An ETag that is not the object's is refused with 412."""
    seen = write(s3, "first")
    write(s3, "second", IfMatch=seen)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        write(s3, "third", IfMatch=seen)
    assert read(s3) == "second"


@WAYS
def test_if_match_on_a_missing_object_is_no_such_key(s3: Any, write: Any) -> None:
    """S3 answers 404, and nothing is written."""
    with pytest.raises(ClientError, match="NoSuchKey"):
        write(s3, "first", IfMatch=OTHER)
    assert "Contents" not in s3.list_objects_v2(Bucket="data")


def test_if_match_in_a_missing_bucket_names_the_bucket(s3: Any) -> None:
    """It is the bucket that is missing."""
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="none", Key="a", Body=b"", IfMatch=OTHER)


def test_if_none_match_takes_an_asterisk_only(s3: Any) -> None:
    """As S3 documents, anything else is not implemented."""
    with pytest.raises(ClientError, match="NotImplemented"):
        put(s3, "first", IfNoneMatch=OTHER)


def test_a_delete_may_name_the_version(s3: Any) -> None:
    """Another version is refused with 412 and stays."""
    etag = put(s3, "first")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.delete_object(Bucket="data", Key="a b/ü", IfMatch=OTHER)
    s3.delete_object(Bucket="data", Key="a b/ü", IfMatch=etag)
    assert "Contents" not in s3.list_objects_v2(Bucket="data")


@WAYS
def test_of_many_at_once_one_wins(s3: Any, write: Any) -> None:
    """Of 16 writers that saw the same version only one writes, round after round."""
    seen = write(s3, "0")
    for turn in range(1, 6):
        with ThreadPoolExecutor(16) as threads:
            tries = [threads.submit(write, s3, f"{turn}-{writer}", IfMatch=seen) for writer in range(16)]
        refused = [error for attempt in tries if isinstance(error := attempt.exception(), ClientError)]
        assert [error.response["Error"]["Code"] for error in refused] == ["PreconditionFailed"] * 15
        (seen,) = (attempt.result() for attempt in tries if not attempt.exception())


def test_an_aborted_upload_is_gone(s3: Any) -> None:
    """Its parts and its completion are refused with NoSuchUpload, and no object appears."""
    where = {"Bucket": "data", "Key": "a b/ü"}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    etag = s3.upload_part(**where, PartNumber=1, Body=b"body")["ETag"]
    s3.abort_multipart_upload(**where)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.upload_part(**where, PartNumber=2, Body=b"body")
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"ETag": etag, "PartNumber": 1}]})
    assert "Contents" not in s3.list_objects_v2(Bucket="data")
