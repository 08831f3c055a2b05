"""Where data files are read and results written: S3, or a dictionary in its place."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.client import BaseClient


BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
OBJECT = re.compile(rf"s3://{BUCKET.pattern}/.+")
CHUNK_BYTES = 8 * 1024 * 1024


class StorageError(Exception):
    """Raised when an object cannot be read or written; the message says which one, why, and what to do."""


class Storage(Protocol):
    """A store of objects under s3:// URIs."""

    def read(self, uri: str) -> bytes:
        """Return the object's bytes. Raises StorageError when it is missing or forbidden."""

    def copy(self, uri: str, file: IO[bytes]) -> None:
        """Append the object's bytes to a file. Raises StorageError when it is missing or forbidden."""

    def write(self, uri: str, body: bytes) -> None:
        """Store the bytes under the URI, replacing what was there. Raises StorageError."""

    def list(self, uri: str) -> list[str]:
        """Return the URIs under a prefix, sorted; [uri] when it is an object itself. Raises StorageError."""


class MemoryStorage:
    """A store in memory, for tests and for the service without S3.

    :param objects: the objects at the start, s3:// URI → bytes.
    """

    def __init__(self, objects: Mapping[str, bytes] | None = None) -> None:
        self.objects = dict(objects or {})

    def read(self, uri: str) -> bytes:
        """Return the object's bytes. Raises StorageError when it is missing."""
        try:
            return self.objects[uri]
        except KeyError:
            raise StorageError(f"No object at {uri}. Upload it, or correct the URI.") from None

    def copy(self, uri: str, file: IO[bytes]) -> None:
        """Append the object's bytes to a file. Raises StorageError when it is missing."""
        file.write(self.read(uri))

    def write(self, uri: str, body: bytes) -> None:
        """Store the bytes under the URI, replacing what was there."""
        split(uri)  # raises if it is no URI
        self.objects[uri] = body

    def list(self, uri: str) -> list[str]:
        """Return the URIs under a prefix, sorted; [uri] when it is an object itself."""
        if uri in self.objects and not uri.endswith("/"):
            return [uri]
        return sorted(key for key in list(self.objects) if key.startswith(folder(uri)))


class S3Storage:
    """A store in S3.

    :param client: returns a boto3 client of S3; called once, at the first use.
    """

    def __init__(self, client: Callable[[], BaseClient]) -> None:
        self._make_client = client
        self._client: BaseClient | None = None

    def read(self, uri: str) -> bytes:
        """Return the object's bytes. Raises StorageError when it is missing or forbidden."""
        bucket, key = split(uri)
        body: bytes = self._call("get_object", uri, Bucket=bucket, Key=key)["Body"].read()
        return body

    def copy(self, uri: str, file: IO[bytes]) -> None:
        """Append the object's bytes to a file, some at a time. Raises StorageError when it is missing or forbidden."""
        from botocore.exceptions import BotoCoreError

        bucket, key = split(uri)
        body = self._call("get_object", uri, Bucket=bucket, Key=key)["Body"]
        try:
            for chunk in body.iter_chunks(CHUNK_BYTES):
                file.write(chunk)
        except BotoCoreError as error:
            raise StorageError(f"S3 broke off get_object on {uri}: {error}") from error

    def write(self, uri: str, body: bytes) -> None:
        """Store the bytes under the URI, replacing what was there. Raises StorageError."""
        bucket, key = split(uri)
        self._call("put_object", uri, Bucket=bucket, Key=key, Body=body)

    def list(self, uri: str) -> list[str]:
        """Return the URIs under a prefix, sorted; [uri] when it is an object itself. Raises StorageError."""
        bucket, key = split(uri)
        uris = {f"s3://{bucket}/{found}" for found in self._keys(uri, bucket, key)}
        if uri in uris and not uri.endswith("/"):
            return [uri]
        return sorted(found for found in uris if found.startswith(folder(uri)))

    def _keys(self, uri: str, bucket: str, prefix: str) -> set[str]:
        keys: set[str] = set()
        page = self._call("list_objects_v2", uri, Bucket=bucket, Prefix=prefix)
        keys.update(item["Key"] for item in page.get("Contents", ()))
        while token := page.get("NextContinuationToken"):
            page = self._call("list_objects_v2", uri, Bucket=bucket, Prefix=prefix, ContinuationToken=token)
            keys.update(item["Key"] for item in page.get("Contents", ()))
        return keys

    def _call(self, operation: str, uri: str, **parameters: object) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        if self._client is None:
            self._client = self._make_client()
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
            return answer
        except (BotoCoreError, ClientError) as error:
            raise StorageError(f"S3 refused {operation} on {uri}: {error}") from error


def split(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of an s3:// URI. Raises StorageError when it is not one."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise StorageError(f"{uri!r} is not an S3 URI: write it as s3://bucket/key.")
    return bucket, key


def folder(uri: str) -> str:
    """Return the URI with a slash at its end, which makes it the prefix of a folder's objects."""
    return uri if uri.endswith("/") else uri + "/"
