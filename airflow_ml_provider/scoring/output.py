"""Write the objects of one output, by the try that holds its record and by no other.

Three rules make every interleaving of two tries safe:

- The record names an upload before the upload can be completed, and a try that claims the record aborts the uploads
  that it names. So no upload of an earlier try can complete after the claim.
- The names of parts contain the id of their try, so that no try overwrites another one's parts.
- Objects are listed before the record is confirmed, and only then deleted. So none of them belongs to a later try.
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
from airflow_ml_provider.scoring.record import OutputRecord
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

OUR_NAMES = re.compile(r"(\d{6,}|probe)-[0-9a-f]{12}(\.errors)?")  # of parts and of the probe, with the id of a try
WRITE_ATTEMPTS = 3
DELETED_AT_ONCE = 1000  # S3's limit for DeleteObjects
WRITTEN_BY = "written-by"  # the metadata that identify a write: its try, and its number in that try
NO_SUCH_VERSION = '"00000000000000000000000000000000"'  # an ETag that no object has


class Output:
    """The objects of one output, and the record of which try may write them.

    :param s3: the client.
    :param output_uri: the URI of the output.
    """

    def __init__(self, s3: S3Client, output_uri: str) -> None:
        self._s3 = s3
        self._uri = output_uri
        self._writes = 0
        self.record = OutputRecord(s3, output_uri)
        self._key = Key(*split("output_uri", output_uri))
        self._errors_key = Key(*split("output_uri", errors_uri(output_uri)))

    def claim(self, state: Mapping[str, object]) -> None:
        """Claim the output: no try that began before can write it from now on.

        :raises AirflowFailException: when this S3 does not support conditional writes.
        :raises TakenOver: when another try claims the output at the same moment.
        """
        bucket = self._key.bucket
        earlier = [(Key(bucket, name), upload_id) for name, upload_id in self.record.uploads.items()]
        self.record.swap(state)  # which names the earlier uploads still: this try may end before it aborts them
        with translate_s3_errors("written", self._uri):
            earlier.extend(self._unfinished_uploads())
            self._check_conditional_writes()
            for key, upload_id in earlier:
                abort(self._s3, key, upload_id)
        self.record.uploads.clear()

    def _check_conditional_writes(self) -> None:
        """Raise AirflowFailException if S3 writes although a condition is not met."""
        try:
            unsupported = self._unsupported_conditions()
        finally:
            self.record.confirm()  # raises TakenOver: another try may have deleted the probe, and spoilt the result
        if unsupported:
            raise AirflowFailException(
                f"output_uri: the S3 of {self._uri} does not support conditional writes ({', '.join(unsupported)} "
                f"wrote although the condition was not met), and without them two tries could damage each other's "
                f"output. Amazon S3 supports them; use it, or a newer version of this S3."
            )

    def _unsupported_conditions(self) -> list[str]:
        """Return the conditional writes that this S3 makes although their condition is not met."""
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
        unsupported = [name for name, write in writes.items() if _try_write(write)]
        abort(self._s3, probe, upload.id)
        if found := head(self._s3, probe):
            delete(self._s3, probe, found.etag)
        return unsupported

    def find(self, uri: str) -> Found | None:
        """Return the version of the output, or of its errors file, that is there now, None if there is none."""
        with translate_s3_errors("read", uri):
            return head(self._s3, Key(*split("output_uri", uri)))

    def write(
        self,
        uri: str,
        pieces: Callable[[], Iterable[bytes]],
        state: Mapping[str, object],
        metadata: Mapping[str, str] | None = None,
    ) -> Found:
        """Write an object by a multipart upload, unless somebody else writes it at the same time.

        :param uri: the output or its errors file.
        :param pieces: returns the bytes in pieces; called once for each attempt.
        :param state: the caller's state, which the record keeps beside the upload that it names.
        :param metadata: the metadata of the object.
        :raises TakenOver: when another try has claimed the output.
        :raises AirflowException: when the object cannot be written.
        """
        key = Key(*split("output_uri", uri))
        for _ in range(WRITE_ATTEMPTS):
            self._writes += 1
            mark = f"{self.record.try_id}-{self._writes}"
            with translate_s3_errors("written", uri):
                if found := self._write_once(key, pieces, state, {**(metadata or {}), WRITTEN_BY: mark}):
                    return found
        raise AirflowException(
            f"output_uri: {uri} cannot be written: after {WRITE_ATTEMPTS} uploads the object is not there"
        )

    def _write_once(
        self,
        key: Key,
        pieces: Callable[[], Iterable[bytes]],
        state: Mapping[str, object],
        metadata: Mapping[str, str],
    ) -> Found | None:
        """Make one upload, which the record names before it can be completed; return None if it must be repeated."""
        seen = head(self._s3, key)
        upload = Upload(self._s3, key, metadata)
        refusal = ""
        try:
            self.record.uploads[key.name] = upload.id
            self.record.swap(state)
            upload.send(pieces())
            upload.complete(seen.etag if seen else None)
        except ConditionFailed as error:
            refusal = str(error)
        except BaseException:
            with suppress(Exception):
                abort(self._s3, key, upload.id)
            raise
        # The object decides, and not the answer, which may have been lost or come from a gateway.
        found = head(self._s3, key)
        if found and found.metadata.get(WRITTEN_BY) == metadata[WRITTEN_BY] and found.size == upload.size:
            self.record.uploads.pop(key.name)
            return found
        abort(self._s3, key, upload.id)
        self.record.confirm()  # raises TakenOver if it was another try that wrote the object or aborted the upload
        if refusal and refusal not in (CONFLICT, "NoSuchUpload"):  # after these two the next upload may succeed
            raise AirflowException(f"output_uri: somebody else has written {key.uri} meanwhile; it was left as it is")
        return None

    def remove_errors(self, state: Mapping[str, object]) -> None:
        """Delete the errors file of an earlier run, if there is one.

        It is overwritten with its header alone first, so that a delete that S3 executes late finds no errors to lose.
        """
        uri = errors_uri(self._uri)
        if self.find(uri) is None:
            return
        found = self.write(uri, lambda: [csv_line(ERROR_COLUMNS).encode()], state)
        with translate_s3_errors("deleted", uri), suppress(ConditionFailed):
            delete(self._s3, self._errors_key, found.etag)

    def clear(self) -> None:
        """Delete the parts of all tries so far and their unfinished uploads, and the record last."""
        with translate_s3_errors("deleted", self.record.folder.uri):
            names, uploads = sorted(self._etags()), list(self._unfinished_uploads())
            self.record.confirm()
            for start in range(0, len(names), DELETED_AT_ONCE):
                self._delete(names[start : start + DELETED_AT_ONCE])
            for key, upload_id in uploads:
                abort(self._s3, key, upload_id)
        self.record.delete()

    def parts(self) -> dict[str, str]:
        """Return the parts that exist: name of each object in their folder → ETag."""
        with translate_s3_errors("listed", self._uri):
            return {name.removeprefix(self.record.folder.name): etag for name, etag in self._etags().items()}

    def _etags(self) -> dict[str, str]:
        """Return key → ETag of all objects in the folder that tries have written there, of whichever try."""
        folder = self.record.folder
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.name)
        found = {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", ())}
        return {name: etag for name, etag in found.items() if self._is_ours(name)}

    def _is_ours(self, name: str) -> bool:
        """Return whether a key is one that tries write: the output, its errors file, a part, or the probe."""
        part = name.removeprefix(self.record.folder.name)
        return OUR_NAMES.fullmatch(part) is not None or name in (self._key.name, self._errors_key.name)

    def _unfinished_uploads(self) -> Iterator[tuple[Key, str]]:
        """Yield key and id of each unfinished upload of the output's objects; none if they may not be listed."""
        from botocore.exceptions import ClientError

        pages = self._s3.get_paginator("list_multipart_uploads")
        try:
            for page in pages.paginate(Bucket=self._key.bucket, Prefix=self._key.name):
                for item in page.get("Uploads", ()):
                    if self._is_ours(item["Key"]):
                        yield Key(self._key.bucket, item["Key"]), item["UploadId"]
        except ClientError as error:
            if code(error) not in ACCESS_DENIED:
                raise
            log.info("Unfinished uploads of dead tries are left to the bucket's lifecycle rule: %s", error)

    def _delete(self, names: list[str]) -> None:
        """Delete the objects with these keys, at most ``DELETED_AT_ONCE``."""
        some: list[ObjectIdentifierTypeDef] = [{"Key": name} for name in names]
        bucket = self.record.folder.bucket
        answer = self._s3.delete_objects(Bucket=bucket, Delete={"Objects": some, "Quiet": True})
        for refused in answer.get("Errors", ()):
            raise AirflowException(
                f"output_uri: s3://{bucket}/{refused.get('Key')} cannot be deleted: {refused.get('Code')}"
            )


def _try_write(write: Callable[[], object]) -> bool:
    """Make a conditional write, and return whether S3 accepted it."""
    try:
        write()
    except ConditionFailed:
        return False
    return True
