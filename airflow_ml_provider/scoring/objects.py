"""Objects in S3: read as streams that live as long as predictions take, and written piece by piece."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from airflow_ml_provider.compat import AirflowException, AirflowFailException

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3.client import S3Client

BLOCK_BYTES = 2 * 1024 * 1024
BODY_ATTEMPTS = 5
CHUNK_BYTES = 8 * 1024 * 1024  # of a multipart upload, and so of memory; S3 takes 10,000 of them
GZIP = 31  # zlib's wbits for it; its header then has no time, so that the same rows make the same bytes


@dataclass(frozen=True)
class Source:
    """One version of an object in S3."""

    uri: str
    etag: str
    size: int

    @property
    def is_gzip(self) -> bool:
        return self.uri.endswith(".gz")


def split(argument: str, uri: object) -> tuple[str, str]:
    """Give bucket and key of an S3 URI.

    :raises ValueError: naming the argument, when it is none.
    """
    scheme, _, rest = str(uri).partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket or not key:
        raise ValueError(f"{argument}: {uri!r} is no S3 URI of an object, as s3://bucket/key")
    return bucket, key


def find(s3: S3Client, uri: str) -> list[Source]:
    """Give the object, or the objects under a prefix that ends in a slash, sorted by key.

    :raises AirflowFailException: when there is none.
    """
    bucket, key = split("source_uri", uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    found = [
        Source(f"s3://{bucket}/{item['Key']}", item["ETag"], item["Size"])
        for page in pages
        for item in page.get("Contents", ())
        if item["Key"] == key or (key.endswith("/") and not item["Key"].endswith("/"))
    ]
    if not found:
        raise AirflowFailException(f"source_uri: there is no object at {uri}")
    return found


class _Blocks(io.RawIOBase):
    """Read an object block by block, each by a request of its own: no connection stays open for hours."""

    def __init__(self, s3: S3Client, source: Source, start: int) -> None:
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
            block = persistently(lambda: self._block(end))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("PreconditionFailed", "412"):
                raise AirflowException(f"source_uri: {self._source.uri} changed while it was read") from None
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
        return body


def persistently(read: Callable[[], bytes]) -> bytes:
    """Read a body, and again when the connection breaks meanwhile: botocore repeats what comes before the body only."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    for _ in range(BODY_ATTEMPTS - 1):
        with suppress(HTTPClientError, IncompleteReadError):
            return read()
    return read()


def open_at(s3: S3Client, source: Source, start: int = 0) -> io.BufferedReader:
    """Open an object as a stream of bytes from a place on, unpacked when its name ends in ``.gz``."""
    if not source.is_gzip:
        return io.BufferedReader(_Blocks(s3, source, start), BLOCK_BYTES)
    unpacked = gzip.GzipFile(fileobj=io.BufferedReader(_Blocks(s3, source, 0), BLOCK_BYTES))
    unpacked.seek(start)
    return io.BufferedReader(cast("io.RawIOBase", unpacked))


class _Joined(io.RawIOBase):
    """Read pieces of bytes, one after the other, as one stream."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = piece
        taken, self._left = self._left[: len(view)], self._left[len(view) :]
        view[: len(taken)] = taken
        return len(taken)


def _packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    yield from (packer.compress(piece) for piece in pieces)
    yield packer.flush()


def upload(s3: S3Client, uri: str, pieces: Iterable[bytes], metadata: Mapping[str, str] | None = None) -> None:
    """Write an object out of pieces, packed when its name ends in ``.gz``; it appears when it is whole.

    :param metadata: what the object says of itself.
    :raises AirflowException: when it cannot be written.
    """
    from boto3.s3.transfer import TransferConfig

    bucket, key = split("output_uri", uri)
    stream = io.BufferedReader(_Joined(_packed(pieces) if uri.endswith(".gz") else pieces), BLOCK_BYTES)
    settings = TransferConfig(multipart_threshold=CHUNK_BYTES, multipart_chunksize=CHUNK_BYTES, use_threads=False)
    with failures("written", uri):
        s3.upload_fileobj(stream, bucket, key, ExtraArgs={"Metadata": dict(metadata or {})}, Config=settings)


@contextmanager
def failures(what: str, uri: str) -> Iterator[None]:
    """Turn the errors of S3 into an AirflowException that says what of the output could not be done."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise AirflowException(f"output_uri: {uri} cannot be {what}: {error}") from error
