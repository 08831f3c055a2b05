"""Writes to S3 under a condition, and uploads that can be taken back until they are completed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_ml_provider.errors import MachineLearningError, code
from airflow_ml_provider.scoring.objects import read_with_retries

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedMultipartUploadTypeDef, CompletedPartTypeDef

CHUNK_BYTES = 5 * 1024 * 1024  # of an upload, and so of memory: S3's least; it takes 10,000 of them
GZIP = 31  # zlib's wbits for it; its header then has no time, so that the same rows make the same bytes
CONFLICT = "ConditionalRequestConflict"
REFUSED = frozenset({"PreconditionFailed", "412", CONFLICT, "409", "NoSuchKey", "NoSuchUpload", "404"})
MISSING = frozenset({"NoSuchKey", "404"})


class ConditionFailed(MachineLearningError):
    """Raised when S3 did not write: the object is no longer what was seen, or the upload is gone."""


@dataclass(frozen=True)
class Key:
    """One object's place."""

    bucket: str
    name: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.name}"


@dataclass(frozen=True)
class Found:
    """One version of an object, as S3 describes it."""

    etag: str
    size: int
    metadata: Mapping[str, str]


@contextmanager
def _condition() -> Iterator[None]:
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if code(error) in REFUSED:
            raise ConditionFailed(code(error)) from error
        raise


def head(s3: S3Client, key: Key) -> Found | None:
    """Return what S3 knows of an object, None when there is none."""
    from botocore.exceptions import ClientError

    try:
        answer = s3.head_object(Bucket=key.bucket, Key=key.name)
    except ClientError as error:
        if code(error) in MISSING:
            return None
        raise
    return Found(answer["ETag"], answer["ContentLength"], answer.get("Metadata", {}))


def get(s3: S3Client, key: Key, etag: str | None = None) -> tuple[str, bytes] | None:
    """Return ETag and bytes of an object, None when it is missing or of another version than ``etag``."""
    etags = []

    def read() -> bytes:
        if etag:
            answer = s3.get_object(Bucket=key.bucket, Key=key.name, IfMatch=etag)
        else:
            answer = s3.get_object(Bucket=key.bucket, Key=key.name)
        body: bytes = answer["Body"].read()
        etags.append(answer["ETag"])
        return body

    with suppress(ConditionFailed), _condition():
        body = read_with_retries(read)
        return etags[-1], body
    return None


def put(s3: S3Client, key: Key, body: bytes, seen: str | None) -> str:
    """Write an object over the version that was seen, a new one when none was, and return its ETag.

    :raises ConditionFailed: when it is another version now.
    """
    with _condition():
        if seen:
            answer = s3.put_object(Bucket=key.bucket, Key=key.name, Body=body, IfMatch=seen)
        else:
            answer = s3.put_object(Bucket=key.bucket, Key=key.name, Body=body, IfNoneMatch="*")
    return _etag(answer)


def put_part(s3: S3Client, key: Key, body: bytes) -> str:
    """Write an object that nobody else writes, and return its ETag."""
    return _etag(s3.put_object(Bucket=key.bucket, Key=key.name, Body=body))


def _etag(answer: Mapping[str, object]) -> str:
    if not answer.get("ETag"):
        raise ConditionFailed("S3's answer has no ETag")
    return str(answer["ETag"])


def delete(s3: S3Client, key: Key, seen: str) -> None:
    """Delete that version of an object; one that is gone is deleted already.

    An S3 that knows no conditional deletes deletes whatever version is there.

    :raises ConditionFailed: when it is another version now.
    """
    from botocore.exceptions import ClientError

    try:
        with _condition():
            s3.delete_object(Bucket=key.bucket, Key=key.name, IfMatch=seen)
    except ConditionFailed:
        if head(s3, key):
            raise
    except ClientError as error:
        if code(error) != "NotImplemented":
            raise
        s3.delete_object(Bucket=key.bucket, Key=key.name)


class Upload:
    """An object being written, which appears when it is completed, unless somebody has aborted it before.

    :param metadata: what the object says of itself.
    """

    def __init__(self, s3: S3Client, key: Key, metadata: Mapping[str, str]) -> None:
        self._s3, self._key = s3, key
        self._parts: list[CompletedPartTypeDef] = []
        self.size = 0
        answer = s3.create_multipart_upload(Bucket=key.bucket, Key=key.name, Metadata=dict(metadata))
        self.id = answer["UploadId"]

    def send(self, pieces: Iterable[bytes]) -> None:
        """Send the bytes, packed when the name ends in ``.gz``, a chunk at a time."""
        for chunk in _chunks(_packed(pieces) if self._key.name.endswith(".gz") else pieces):
            number = len(self._parts) + 1
            with _condition():
                answer = self._s3.upload_part(
                    Bucket=self._key.bucket, Key=self._key.name, UploadId=self.id, PartNumber=number, Body=chunk
                )
            self._parts.append({"ETag": _etag(answer), "PartNumber": number})
            self.size += len(chunk)

    def complete(self, seen: str | None) -> None:
        """Complete the upload over the version that was seen, or as a new object when none was.

        :raises ConditionFailed: when it is another version now, or the upload was aborted.
        """
        parts: CompletedMultipartUploadTypeDef = {"Parts": self._parts}
        with _condition():
            if seen:
                self._s3.complete_multipart_upload(
                    Bucket=self._key.bucket,
                    Key=self._key.name,
                    UploadId=self.id,
                    MultipartUpload=parts,
                    IfMatch=seen,
                )
            else:
                self._s3.complete_multipart_upload(
                    Bucket=self._key.bucket,
                    Key=self._key.name,
                    UploadId=self.id,
                    MultipartUpload=parts,
                    IfNoneMatch="*",
                )


def abort(s3: S3Client, key: Key, upload_id: str) -> None:
    """Take an upload back; one that is completed or aborted is no error."""
    with suppress(ConditionFailed), _condition():
        s3.abort_multipart_upload(Bucket=key.bucket, Key=key.name, UploadId=upload_id)


def _packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    yield from (packer.compress(piece) for piece in pieces)
    yield packer.flush()


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes in chunks of a size that S3 takes as a part: at least one, which may be empty."""
    waiting = bytearray()
    is_first = True
    for piece in pieces:
        waiting += piece
        while len(waiting) >= CHUNK_BYTES:
            with memoryview(waiting) as view:
                chunk = bytes(view[:CHUNK_BYTES])
            del waiting[:CHUNK_BYTES]  # before it is sent, so that no more than one is in memory
            yield chunk
            is_first = False
    if waiting or is_first:
        yield bytes(waiting)
