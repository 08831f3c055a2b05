"""Find objects in S3, and read them as streams that may stay open for hours."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.errors import ACCESS_DENIED, InvalidArgument, code

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3.client import S3Client

Result = TypeVar("Result")

BLOCK_BYTES = 2 * 1024 * 1024
BODY_ATTEMPTS = 5
CHANGED = frozenset({"PreconditionFailed", "412", "NoSuchKey", "404"})
ERRORS, PARTS, SHARES = ".errors.csv", ".parts/", ".shares/"  # an output's URI + one of these: its other objects


@dataclass(frozen=True)
class ObjectVersion:
    """One version of an object in S3."""

    uri: str
    etag: str
    size: int

    @property
    def is_gzip(self) -> bool:
        return self.uri.endswith(".gz")


def split(argument: str, uri: object) -> tuple[str, str]:
    """Return bucket and key of an S3 URI.

    :raises InvalidArgument: naming the argument, when it is not one.
    """
    scheme, _, rest = str(uri).partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise InvalidArgument(f"{argument}: {uri!r} is no S3 URI of an object, as s3://bucket/key")
    return bucket, key


def errors_uri(output_uri: str) -> str:
    """Return the URI of an output's errors file."""
    return f"{output_uri}{ERRORS}"


def find(s3: S3Client, uri: str) -> list[ObjectVersion]:
    """Return the object, or the objects under a prefix that ends in a slash, sorted by key.

    :raises AirflowFailException: when there is none.
    """
    bucket, key = split("source_uri", uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    found = [
        ObjectVersion(f"s3://{bucket}/{item['Key']}", item["ETag"], item["Size"])
        for page in pages
        for item in page.get("Contents", ())
        if item["Key"] == key or (key.endswith("/") and not item["Key"].endswith("/"))
    ]
    if not found:
        raise AirflowFailException(f"source_uri: there is no object at {uri}")
    return found


class ChangedObject(AirflowException):
    """Raised when an object is replaced or deleted while it is read."""


class _Blocks(io.RawIOBase):
    """Read an object block by block, each with a request of its own, so that no connection stays open for hours."""

    def __init__(self, s3: S3Client, source: ObjectVersion, start: int) -> None:
        self._s3 = s3
        self._source = source
        self._place = start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        from botocore.exceptions import ClientError

        view = memoryview(buffer)
        end = min(self._place + len(view), self._source.size)
        if end <= self._place:
            return 0
        try:
            block = read_with_retries(lambda: self._block(end))
        except ClientError as error:
            if code(error) in CHANGED:
                raise ChangedObject(f"source_uri: {self._source.uri} changed while it was read") from None
            raise
        view[: len(block)] = block
        self._place += len(block)
        return len(block)

    def _block(self, end: int) -> bytes:
        bucket, key = split("source_uri", self._source.uri)
        answer = self._s3.get_object(
            Bucket=bucket, Key=key, Range=f"bytes={self._place}-{end - 1}", IfMatch=self._source.etag
        )
        body: bytes = answer["Body"].read()
        if len(body) != end - self._place:
            raise AirflowException(
                f"source_uri: {self._source.uri}: S3 sent {len(body)} bytes instead of {end - self._place}; does it "
                f"support ranges?"
            )
        return body


class _WholeBlocks(io.BufferedReader):
    """Ask for whole blocks also where a reader of text asks for 8 KB, which ``read1`` would hand on as a request."""

    def read1(self, size: int = -1, /) -> bytes:
        self.peek(1)  # fills the buffer with a whole block if it is empty
        return super().read1(size)


def read_with_retries(read: Callable[[], Result]) -> Result:
    """Return what ``read`` returns, and retry if the connection breaks: botocore retries only until a body begins."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    for _ in range(BODY_ATTEMPTS - 1):
        with suppress(HTTPClientError, IncompleteReadError):
            return read()
    return read()


def open_at(s3: S3Client, source: ObjectVersion, start: int = 0) -> io.BufferedReader:
    """Open an object as a stream of bytes from an offset on, decompressed if its name ends in ``.gz``."""
    if not source.is_gzip:
        return _WholeBlocks(_Blocks(s3, source, start), BLOCK_BYTES)
    unpacked = gzip.GzipFile(fileobj=_WholeBlocks(_Blocks(s3, source, 0), BLOCK_BYTES))
    unpacked.seek(start)
    return io.BufferedReader(cast("io.RawIOBase", unpacked))


@contextmanager
def translate_s3_errors(what: str, uri: str) -> Iterator[None]:
    """Raise S3's errors as an AirflowException that says what cannot be done with which object of the output.

    Access denied becomes an AirflowFailException, which Airflow does not retry.

    :param what: ``read``, ``written``, ``deleted`` or ``listed``.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        failed = AirflowFailException if code(error) in ACCESS_DENIED else AirflowException
        raise failed(f"output_uri: {uri} cannot be {what}: {error}") from None
