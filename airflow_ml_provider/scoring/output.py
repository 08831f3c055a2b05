"""Whole objects of one output, written by the try that holds its record, and by no other.

Every interleaving of two tries comes down to three rules. An upload is named in the record before it can be completed,
and who claims the record aborts the uploads that it names: so nothing that an earlier try began appears after the
claim. Parts bear the name of their try, so that no try writes over another one's. What is deleted was listed before
the record was confirmed: so it belongs to no later try.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.errors import ACCESS_DENIED, code
from airflow_ml_provider.scoring.answers import ERROR_COLUMNS, csv_line
from airflow_ml_provider.scoring.objects import errors_uri, split, translate_s3_errors
from airflow_ml_provider.scoring.record import Record
from airflow_ml_provider.scoring.writing import (
    CONFLICT,
    ConditionFailed,
    Found,
    Key,
    Upload,
    abort,
    delete,
    head,
    put,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

log = logging.getLogger(__name__)

OUR_NAMES = re.compile(r"(\d{6,}|probe)-[0-9a-f]{12}(\.errors)?")
WRITE_ATTEMPTS = 3
DELETED_AT_ONCE = 1000
WRITTEN_BY = "written-by"
NO_SUCH_VERSION = '"00000000000000000000000000000000"'


class Output:
    """The objects of one output, and the record that says who may write them.

    :param s3: the client.
    :param output_uri: the output.
    """

    def __init__(self, s3: S3Client, output_uri: str) -> None:
        self._s3 = s3
        self._uri = output_uri
        self._writes = 0
        self.record = Record(s3, output_uri)
        self._keys = [Key(*split("output_uri", uri)) for uri in (output_uri, errors_uri(output_uri))]

    def claim(self, state: Mapping[str, object]) -> None:
        """Take the output over: from here on no other try that began before can write it.

        :raises AirflowFailException: when this S3 holds no conditions.
        :raises TakenOver: when another try claims it at the same moment.
        """
        begun = [(Key(self._keys[0].bucket, name), upload_id) for name, upload_id in self.record.uploads.items()]
        self.record.uploads.clear()
        self.record.swap(state)
        with translate_s3_errors("written", self._uri):
            begun.extend(self._uploads())
            self._probe()
            for key, upload_id in begun:
                abort(self._s3, key, upload_id)

    def _probe(self) -> None:
        """Raise AirflowFailException when S3 writes in spite of a condition that does not hold."""
        try:
            written = self._written_in_spite()
        finally:
            self.record.confirm()  # another try may have cleared the probe away meanwhile
        if written:
            raise AirflowFailException(
                f"output_uri: the S3 of {self._uri} holds no conditional writes ({', '.join(written)} wrote although "
                f"the condition did not hold), and without them two tries could spoil each other's output. Amazon S3 "
                f"has them; use an S3 that does, or a newer version of this one."
            )

    def _written_in_spite(self) -> list[str]:
        """Return which conditional writes this S3 does although their condition does not hold."""
        probe = Key(self.record.folder.bucket, f"{self.record.folder.name}probe-{self.record.try_id}")
        put(self._s3, probe, b"", None)
        upload = Upload(self._s3, probe, {})
        upload.send([b""])
        writes: dict[str, Callable[[], object]] = {
            "PutObject with If-None-Match": lambda: put(self._s3, probe, b"", None),
            "PutObject with If-Match": lambda: put(self._s3, probe, b"", NO_SUCH_VERSION),
            "CompleteMultipartUpload with If-None-Match": lambda: upload.complete(None),
            "CompleteMultipartUpload with If-Match": lambda: upload.complete(NO_SUCH_VERSION),
        }
        written = [name for name, write in writes.items() if not _is_refused(write)]
        abort(self._s3, probe, upload.id)
        if found := head(self._s3, probe):
            delete(self._s3, probe, found.etag)
        return written

    def find(self) -> Found | None:
        """Return what is at the output now."""
        with translate_s3_errors("read", self._uri):
            return head(self._s3, self._keys[0])

    def write(
        self,
        uri: str,
        pieces: Callable[[], Iterable[bytes]],
        state: Mapping[str, object],
        metadata: Mapping[str, str] | None = None,
    ) -> Found:
        """Write an object out of pieces; it appears when it is whole, over the version that is there now.

        :param uri: the output or its errors file.
        :param pieces: called for the bytes, once an attempt.
        :param state: the record's state meanwhile.
        :param metadata: what the object says of itself.
        :raises TakenOver: when another try has claimed the output.
        :raises AirflowException: when the object cannot be written.
        """
        key = Key(*split("output_uri", uri))
        for _ in range(WRITE_ATTEMPTS):
            self._writes += 1
            mark = f"{self.record.try_id}-{self._writes}"
            with translate_s3_errors("written", uri):
                if found := self._written(key, pieces, state, {**(metadata or {}), WRITTEN_BY: mark}):
                    return found
        raise AirflowException(
            f"output_uri: {uri} cannot be written: S3 has said {WRITE_ATTEMPTS} times that it did, and has not"
        )

    def _written(
        self,
        key: Key,
        pieces: Callable[[], Iterable[bytes]],
        state: Mapping[str, object],
        metadata: Mapping[str, str],
    ) -> Found | None:
        seen = head(self._s3, key)
        upload = Upload(self._s3, key, metadata)
        refused = ""
        try:
            self.record.uploads[key.name] = upload.id
            self.record.swap(state)
            upload.send(pieces())
            upload.complete(seen.etag if seen else None)
        except ConditionFailed as error:
            refused = str(error)
        except BaseException:
            with suppress(Exception):
                abort(self._s3, key, upload.id)
            raise
        # What is there decides, not the answer: an answer may have been lost, or be a gateway's.
        found = head(self._s3, key)
        if found and found.metadata.get(WRITTEN_BY) == metadata[WRITTEN_BY] and found.size == upload.size:
            self.record.uploads.pop(key.name)
            return found
        abort(self._s3, key, upload.id)
        self.record.confirm()
        if refused and refused not in (CONFLICT, "NoSuchUpload"):
            raise AirflowException(f"output_uri: somebody else has written {key.uri} meanwhile; it was left as it is")
        return None

    def remove_errors(self, state: Mapping[str, object]) -> None:
        """Delete the errors file that an earlier run left.

        Its header alone is written over it first: a delete that comes late can then only meet a file without errors.
        """
        uri = errors_uri(self._uri)
        with translate_s3_errors("deleted", uri):
            if head(self._s3, self._keys[1]) is None:
                return
        found = self.write(uri, lambda: [csv_line(ERROR_COLUMNS).encode()], state)
        with translate_s3_errors("deleted", uri), suppress(ConditionFailed):
            delete(self._s3, self._keys[1], found.etag)

    def clear(self) -> None:
        """Delete the parts of all tries so far and their unfinished uploads, and the record last."""
        with translate_s3_errors("deleted", self.record.folder.uri):
            keys, uploads = sorted(self._parts()), list(self._uploads())
            self.record.confirm()
            for start in range(0, len(keys), DELETED_AT_ONCE):
                self._delete(keys[start : start + DELETED_AT_ONCE])
            for key, upload_id in uploads:
                abort(self._s3, key, upload_id)
        self.record.delete()

    def parts(self) -> dict[str, str]:
        """Return the parts that are there, each name with its ETag."""
        with translate_s3_errors("listed", self._uri):
            return {name.removeprefix(self.record.folder.name): etag for name, etag in self._parts().items()}

    def _parts(self) -> dict[str, str]:
        folder = self.record.folder
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.name)
        found = {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", ())}
        return {name: etag for name, etag in found.items() if self._is_ours(name)}

    def _is_ours(self, name: str) -> bool:
        part = name.removeprefix(self.record.folder.name)
        return OUR_NAMES.fullmatch(part) is not None or any(key.name == name for key in self._keys)

    def _uploads(self) -> Iterator[tuple[Key, str]]:
        from botocore.exceptions import ClientError

        pages = self._s3.get_paginator("list_multipart_uploads")
        try:
            for page in pages.paginate(Bucket=self._keys[0].bucket, Prefix=self._keys[0].name):
                for item in page.get("Uploads", ()):
                    if self._is_ours(item["Key"]):
                        yield Key(self._keys[0].bucket, item["Key"]), item["UploadId"]
        except ClientError as error:
            if code(error) not in ACCESS_DENIED:
                raise
            log.info("Unfinished uploads of dead tries are left to the bucket's lifecycle rule: %s", error)

    def _delete(self, names: list[str]) -> None:
        some: list[ObjectIdentifierTypeDef] = [{"Key": name} for name in names]
        bucket = self.record.folder.bucket
        answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})
        for refused in answer.get("Errors", ()):
            raise AirflowException(
                f"output_uri: s3://{bucket}/{refused.get('Key')} cannot be deleted: {refused.get('Code')}"
            )


def _is_refused(write: Callable[[], object]) -> bool:
    try:
        write()
    except ConditionFailed:
        return True
    return False
