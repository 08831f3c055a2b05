"""Buckets and objects of moto's S3, stored in the data folder: keys, bytes, content type, metadata and ETag.

Versions, ACLs, tags and unfinished uploads are not stored.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    import sqlite3

    from amazon_ml_local.data_folder import DataFolder
    from amazon_ml_local.protocol import Request

PIECE_BYTES = 64 * 1024 * 1024  # a value in SQLite has at most 1 GB
# By key: moto's object, which every write replaces, and a copy of its metadata, which moto also changes in place.
Objects = dict[str, tuple[Any, dict[str, str]]]
DELETE_OBJECT = ("delete from object where bucket = ? and key = ?", "delete from piece where bucket = ? and key = ?")
DELETE_BUCKET = (
    "delete from bucket where name = ?",
    "delete from object where bucket = ?",
    "delete from piece where bucket = ?",
)


class BucketStore:
    """Store the buckets and objects of moto's S3.

    A write is committed before it is answered. All objects of its bucket are then compared with those committed, since
    only moto knows which of them a request changes.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._committed: dict[str, Objects] = {}

    def load(self) -> None:
        """Load the stored buckets and objects into moto."""
        moto = _moto()
        with self._folder.transaction() as database:
            for name, region, created in database.execute("select name, region, created from bucket").fetchall():
                moto.create_bucket(name, region).creation_date = datetime.fromisoformat(created)
                self._committed[name] = {}
            for row in database.execute("select bucket, key, etag, modified, metadata from object").fetchall():
                self._load_object(moto, database, *row)

    def _load_object(
        self, moto: Any, database: sqlite3.Connection, bucket: str, key: str, etag: str, modified: str, metadata: str
    ) -> None:
        pieces = database.execute("select body from piece where bucket = ? and key = ? order by number", (bucket, key))
        body = b"".join(piece for (piece,) in pieces)
        found = moto.put_object(bucket, key, body, etag=etag, disable_notification=True)
        found.set_metadata(json.loads(metadata))
        found.last_modified = datetime.fromisoformat(modified)
        self._committed[bucket][key] = found, dict(found.metadata)

    def save(self, request: Request) -> None:
        """Commit the changes that a request has made.

        :raises DataFolderError: when the folder cannot be written
        """
        path = unquote(urlsplit(request.path).path).lstrip("/")
        if path == "moto-api/reset":
            self.clear()
        buckets = _moto().buckets
        # S3 clients put the bucket first in the path, or before the host.
        for name in {path.partition("/")[0], request.header("host").partition(".")[0]}:
            if name in buckets or name in self._committed:
                self._save_bucket(name, buckets.get(name))

    def clear(self) -> None:
        """Remove everything.

        :raises DataFolderError: when the folder cannot be written
        """
        with self._folder.transaction() as database:
            for table in ("bucket", "object", "piece"):
                database.execute(f"delete from {table}")
        self._committed.clear()

    def _save_bucket(self, name: str, bucket: Any) -> None:
        with self._folder.transaction() as database:
            before = self._committed.get(name)
            if bucket is None:
                after = None
                for statement in DELETE_BUCKET:
                    database.execute(statement, (name,))
            else:
                after = _objects(bucket)
                row = name, bucket.region_name, bucket.creation_date.isoformat()
                database.execute("insert or replace into bucket values (?, ?, ?)", row)
                _write_changes(database, name, before or {}, after)
        if after is None:
            self._committed.pop(name, None)
        else:
            self._committed[name] = after


def _write_changes(database: sqlite3.Connection, bucket: str, before: Objects, after: Objects) -> None:
    for key in before.keys() | after.keys():
        if before.get(key) != after.get(key):
            for statement in DELETE_OBJECT:
                database.execute(statement, (bucket, key))
            if key in after:
                _write(database, bucket, key, *after[key])


def _write(database: sqlite3.Connection, bucket: str, key: str, found: Any, metadata: dict[str, str]) -> None:
    row = bucket, key, found.etag.strip('"'), found.last_modified.isoformat(), json.dumps(metadata)
    database.execute("insert into object values (?, ?, ?, ?, ?)", row)
    body = memoryview(found.value)
    for number, first in enumerate(range(0, len(body), PIECE_BYTES)):
        piece = body[first : first + PIECE_BYTES]
        database.execute("insert into piece values (?, ?, ?, ?)", (bucket, key, number, piece))


def _objects(bucket: Any) -> Objects:
    """Return the latest version of each object by key, without deleted ones."""
    latest = ((key, bucket.keys.get(key)) for key in list(bucket.keys))
    # The marker of a deleted object has no metadata.
    return {key: (found, dict(found.metadata)) for key, found in latest if hasattr(found, "metadata")}


def _moto() -> Any:
    """Return moto's S3 backend of its account."""
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
