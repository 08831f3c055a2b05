"""Objects under s3:// URIs, in memory and in S3."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import Mock

import boto3
import pytest
from moto import mock_aws

from amazon_ml_local.storage import MemoryStorage, S3Storage, Storage, StorageError

OBJECTS = {
    "s3://bucket/in/2.csv": b"2",
    "s3://bucket/in/1.csv": b"1",
    "s3://bucket/inside.csv": b"3",
    "s3://bucket/in/deep/4.csv": b"4",
}


@pytest.fixture(params=["memory", "s3"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """Either kind, with the same objects."""
    if request.param == "memory":
        yield MemoryStorage(OBJECTS)
        return
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="bucket")
        found = S3Storage(lambda: client)
        for uri, body in OBJECTS.items():
            found.write(uri, body)
        yield found


def test_what_was_written_is_read(storage: Storage) -> None:
    """Byte for byte."""
    storage.write("s3://bucket/new", b"\x00new")
    assert storage.read("s3://bucket/new") == b"\x00new"


def test_both_kinds_list_alike(storage: Storage) -> None:
    """A folder lists what is under it, sorted; an object lists itself; a name that merely begins alike is no part."""
    under = ["s3://bucket/in/1.csv", "s3://bucket/in/2.csv", "s3://bucket/in/deep/4.csv"]
    assert storage.list("s3://bucket/in/") == storage.list("s3://bucket/in") == under
    assert storage.list("s3://bucket/inside.csv") == ["s3://bucket/inside.csv"]
    assert storage.list("s3://bucket") == [*under, "s3://bucket/inside.csv"]
    assert storage.list("s3://bucket/nothing") == []


def test_what_is_missing_is_named(storage: Storage) -> None:
    """The message has the URI."""
    with pytest.raises(StorageError, match="s3://bucket/nothing"):
        storage.read("s3://bucket/nothing")


@pytest.mark.parametrize("uri", ["b/key", "https://b/key", "s3://", ""])
def test_what_is_no_s3_uri_is_refused(uri: str) -> None:
    """The message says how to write one."""
    with pytest.raises(StorageError, match="write it as s3://bucket/key"):
        MemoryStorage().write(uri, b"")


def test_more_than_one_page_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 lists a page at a time: a thousand keys there, two here."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    with mock_aws():
        client = boto3.client("s3", "us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
        client.create_bucket(Bucket="bucket")
        uris = [f"s3://bucket/in/{number}" for number in range(5)]
        storage = S3Storage(lambda: client)
        for uri in uris:
            storage.write(uri, b"")
        assert len(client.list_objects_v2(Bucket="bucket")["Contents"]) == 2
        assert storage.list("s3://bucket/in/") == uris


def test_the_client_is_made_when_first_needed() -> None:
    """A service that never reads data never makes one."""
    make_client = Mock()
    S3Storage(make_client)
    make_client.assert_not_called()
