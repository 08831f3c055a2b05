"""Write to S3 under conditions, with uploads that can be aborted until they are completed."""

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

CHUNK_BYTES = 5 * 1024 * 1024  # S3's least for a part of an upload; one at a time is in memory
# Of 10,000 chunks, S3's most, the first have the least size, up to 24 GiB. The others grow by that size after every
# 11th, so that all together reach S3's largest object of 5 TiB.
SMALL_CHUNKS, GROWING_AFTER = 5_000, 11
GZIP = 31  # zlib's wbits for gzip; its header has no time then, so that the same rows give the same bytes
CONFLICT = "ConditionalRequestConflict"
REFUSED = frozenset({"PreconditionFailed", "412", CONFLICT, "409", "NoSuchKey", "NoSuchUpload", "404"})
MISSING = frozenset({"NoSuchKey", "404"})


class ConditionFailed(MachineLearningError):
    """Raised when S3 refuses a conditional write: the object is another version, or the upload no longer exists."""


@dataclass(frozen=True)
class Key:
    """The bucket and the key of an object."""

    bucket: str
    name: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.name}"


@dataclass(frozen=True)
class Found:
    """One version of an object, as HeadObject describes it."""

    etag: str
    size: int
    metadata: Mapping[str, str]


@contextmanager
def _condition_failures() -> Iterator[None]:
    """Raise ConditionFailed when S3 refuses a condition in the block, or does not find the object or the upload."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        if code(error) in REFUSED:
            raise ConditionFailed(code(error)) from error
        raise


def head(s3: S3Client, key: Key) -> Found | None:
    """Return the present version of an object, None if there is none."""
    from botocore.exceptions import ClientError

    try:
        answer = s3.head_object(Bucket=key.bucket, Key=key.name)
    except ClientError as error:
        if code(error) in MISSING:
            return None
        raise
    return Found(answer["ETag"], answer["ContentLength"], answer.get("Metadata", {}))


def get(s3: S3Client, key: Key) -> tuple[str, bytes] | None:
    """Return ETag and bytes of an object, None if it does not exist."""

    def read() -> tuple[str, bytes]:
        answer = s3.get_object(Bucket=key.bucket, Key=key.name)
        return answer["ETag"], answer["Body"].read()

    with suppress(ConditionFailed), _condition_failures():
        return read_with_retries(read)
    return None


def put(s3: S3Client, key: Key, body: bytes, seen: str | None) -> str:
    """Write an object in place of the version ``seen``, or a new object if that is None, and return its ETag.

    :raises ConditionFailed: when the object is another version now.
    """
    with _condition_failures():
        if seen:
            answer = s3.put_object(Bucket=key.bucket, Key=key.name, Body=body, IfMatch=seen)
        else:
            answer = s3.put_object(Bucket=key.bucket, Key=key.name, Body=body, IfNoneMatch="*")
    return _etag(answer)


def put_part(s3: S3Client, key: Key, body: bytes) -> str:
    """Write an object without a condition, since no other try uses its name, and return its ETag."""
    return _etag(s3.put_object(Bucket=key.bucket, Key=key.name, Body=body))


def _etag(answer: Mapping[str, object]) -> str:
    # An answer without ETag is a gateway's. As after a refusal, only the object itself shows what has happened.
    if not answer.get("ETag"):
        raise ConditionFailed("S3's answer has no ETag")
    return str(answer["ETag"])


def delete(s3: S3Client, key: Key, seen: str) -> None:
    """Delete an object in the version ``seen``; one that does not exist counts as deleted.

    An S3 without conditional deletes deletes whichever version is there.

    :raises ConditionFailed: when the object is another version now.
    """
    from botocore.exceptions import ClientError

    try:
        with _condition_failures():
            s3.delete_object(Bucket=key.bucket, Key=key.name, IfMatch=seen)
    except ConditionFailed:
        if head(s3, key):
            raise
    except ClientError as error:
        if code(error) != "NotImplemented":
            raise
        s3.delete_object(Bucket=key.bucket, Key=key.name)


class Upload:
    """A multipart upload: the object appears when the upload is completed, unless it was aborted before.

    :param metadata: the metadata of the object.
    """

    def __init__(self, s3: S3Client, key: Key, metadata: Mapping[str, str]) -> None:
        self._s3, self._key = s3, key
        self._parts: list[CompletedPartTypeDef] = []
        self.size = 0
        answer = s3.create_multipart_upload(Bucket=key.bucket, Key=key.name, Metadata=dict(metadata))
        self.id = answer["UploadId"]

    def send(self, pieces: Iterable[bytes]) -> None:
        """Send the bytes in chunks, compressed if the name ends in ``.gz``."""
        for chunk in chunks(_packed(pieces) if self._key.name.endswith(".gz") else pieces):
            number = len(self._parts) + 1
            with _condition_failures():
                answer = self._s3.upload_part(
                    Bucket=self._key.bucket, Key=self._key.name, UploadId=self.id, PartNumber=number, Body=chunk
                )
            self._parts.append({"ETag": _etag(answer), "PartNumber": number})
            self.size += len(chunk)

    def complete(self, seen: str | None) -> None:
        """Complete the upload in place of the version ``seen``, or as a new object if that is None.

        :raises ConditionFailed: when the object is another version now, or the upload was aborted.
        """
        parts: CompletedMultipartUploadTypeDef = {"Parts": self._parts}
        with _condition_failures():
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
    """Abort an upload; one that is completed or aborted already is no error."""
    with suppress(ConditionFailed), _condition_failures():
        s3.abort_multipart_upload(Bucket=key.bucket, Key=key.name, UploadId=upload_id)


def _packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=GZIP)
    yield from (packer.compress(piece) for piece in pieces)
    yield packer.flush()


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes in chunks large enough for S3: at least one, even if it is empty. They grow with their number."""
    waiting = bytearray()
    count = 0
    for piece in pieces:
        waiting += piece
        while len(waiting) >= (size := CHUNK_BYTES * (1 + max(0, count - SMALL_CHUNKS) // GROWING_AFTER)):
            with memoryview(waiting) as view:
                chunk = bytes(view[:size])
            del waiting[:size]  # before it is sent, so that no more than one is in memory
            yield chunk
            count += 1
    if waiting or not count:
        yield bytes(waiting)
