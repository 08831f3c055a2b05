"""The record beside an output, changed by compare-and-swap: the try that claimed it last goes on, all others stop."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import MachineLearningError
from airflow_ml_provider.scoring.objects import PARTS, split, translate_s3_errors
from airflow_ml_provider.scoring.writing import ConditionFailed, Key, delete, get, put

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.payloads import JSONObject

log = logging.getLogger(__name__)

FORMAT_VERSION = 2
SWAP_ATTEMPTS = 5


class TakenOver(MachineLearningError):
    """Raised when another try or another task has claimed the output; this try has written nothing since."""


class OutputRecord:
    """The record of one output.

    A try claims the record before it writes anything, and changes it with every step. Each change is conditional on the
    version that this try wrote last. So a try that was suspended while another one claimed the record stops at its next
    step.

    :param output_uri: the output; the record is ``progress.json`` in the folder of its parts.
    """

    def __init__(self, s3: S3Client, output_uri: str) -> None:
        self._s3 = s3
        bucket, key = split("output_uri", output_uri)
        self.folder = Key(bucket, f"{key}{PARTS}")
        self.try_id = uuid.uuid4().hex[:12]
        self.uploads: dict[str, str] = {}  # key of an object → id of its upload that may still be completed
        self._key = Key(bucket, f"{self.folder.name}progress.json")
        self._uri = output_uri
        self._etag: str | None = None
        self._changes = 0  # so that no two versions have the same bytes, and with them the same ETag
        self._state: Mapping[str, object] = {}

    def read(self) -> JSONObject | None:
        """Return the state that the last try recorded; None if there is no record, or a damaged one."""
        with translate_s3_errors("read", self._uri):
            found = get(self._s3, self._key)
        self._etag, body = found or (None, b"")
        document = _document(body)
        if document is None:
            if found:
                log.warning("%s is damaged or of another version; restarting from the first row", self._key.uri)
            return None
        self.uploads = cast("dict[str, str]", document["uploads"])
        return cast("JSONObject", document["state"])

    def swap(self, state: Mapping[str, object]) -> None:
        """Write a state in place of the version that this try has read or written last.

        :raises TakenOver: when another try has written a version since.
        :raises AirflowException: when S3 refuses every attempt.
        """
        self._changes += 1
        body = _encoded(self.try_id, self._changes, self.uploads, state)
        with translate_s3_errors("written", self._uri):
            for _ in range(SWAP_ATTEMPTS):
                try:
                    self._etag = put(self._s3, self._key, body, self._etag)
                except ConditionFailed:
                    if not self._continue_from_present(body):
                        continue
                self._state = state
                return
        raise AirflowException(f"output_uri: {self._key.uri} cannot be written: its version changes each time")

    def _continue_from_present(self, body: bytes) -> bool:
        """After a refused write, continue from the version that is there.

        Return whether it is what was to be written: an earlier attempt had succeeded, and its answer was lost.

        :raises TakenOver: when it is another try's.
        """
        found = get(self._s3, self._key)
        if found is None and self._etag is None:  # S3 refused for another reason: two writes at once
            return False
        if found is None:
            raise TakenOver(
                f"output_uri: {self._key.uri} no longer exists: another try or task has finished {self._uri} "
                f"meanwhile, or somebody has deleted the record. This try stops; a retry continues from what is there."
            )
        etag, present = found
        author = _author(present)
        if author not in (self.try_id, None):  # None: a damaged record is nobody's, and is replaced
            raise TakenOver(
                f"output_uri: another try or task (its id in {self._key.uri} is {author}) has taken "
                f"{self._uri} over while this one ({self.try_id}) was suspended. This one stops."
            )
        self._etag = etag  # only now: after TakenOver, another swap of this try must be refused too
        return present == body

    def confirm(self) -> None:
        """Raise TakenOver unless this try still holds the record; find out by writing it once more."""
        self.swap(self._state)

    def mentions(self, name: str) -> bool:
        """Return whether the record that is there now, of whichever try, names a part."""
        with translate_s3_errors("read", self._uri):
            _, body = get(self._s3, self._key) or (None, b"")
        return name.encode() in body

    def delete(self) -> None:
        """Delete the record in the version that this try wrote last."""
        assert self._etag  # of the claim, at least
        with translate_s3_errors("deleted", self._uri):
            try:
                delete(self._s3, self._key, self._etag)
            except ConditionFailed:
                self.confirm()  # raises TakenOver, or gets the version that is there now
                delete(self._s3, self._key, self._etag)


def _encoded(try_id: str, changes: int, uploads: Mapping[str, str], state: Mapping[str, object]) -> bytes:
    document = {"version": FORMAT_VERSION, "try": try_id, "changes": changes, "uploads": dict(uploads), "state": state}
    return json.dumps({**document, "digest": _digest(document)}).encode()


def _digest(document: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _parsed(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _document(body: bytes) -> dict[str, object] | None:
    """Return the record if it is undamaged and of this format version, else None."""
    document = _parsed(body)
    digest = document.pop("digest", None)
    return document if document.get("version") == FORMAT_VERSION and digest == _digest(document) else None


def _author(body: bytes) -> str | None:
    """Return the id of the try that wrote a record, also one of another format version; None if it has none."""
    found = _parsed(body).get("try")
    return found if isinstance(found, str) else None
