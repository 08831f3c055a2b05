"""Finished parts and the record of progress, stored beside the output until it is complete.

A part is the predictions for ``rows_per_part`` consecutive rows, and the reasons for those without one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from airflow_ml_provider.errors import MachineLearningError
from airflow_ml_provider.scoring.answers import ERROR_COLUMNS, csv_line
from airflow_ml_provider.scoring.objects import (
    BLOCK_BYTES,
    ChangedObject,
    ObjectVersion,
    errors_uri,
    open_at,
    translate_s3_errors,
)
from airflow_ml_provider.scoring.output import Output
from airflow_ml_provider.scoring.progress import (
    SUFFIXES,
    End,
    Kind,
    Part,
    Piece,
    Progress,
    Whole,
    from_metadata,
    new_progress,
    object_name,
    row_count,
    to_metadata,
)
from airflow_ml_provider.scoring.record import TakenOver
from airflow_ml_provider.scoring.writing import Key, head, put_part

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.payloads import JSONObject


class DamagedPart(MachineLearningError):
    """Raised when a part differs from the record: it is missing, cut, or another object."""

    def __init__(self, number: int, name: str) -> None:
        super().__init__(f"part {name} is missing or damaged")
        self.number = number


class Parts:
    """The parts of one output, and the record of its progress.

    :param s3: the client.
    :param output_uri: the URI of the output; the parts are stored under ``<output_uri>.parts/``.
    :param depends_on: what the predictions depend on: if any of it differs from the record, scoring restarts.
    :raises AirflowException: when nothing can be written there.
    :raises AirflowFailException: when this S3 does not support conditional writes.
    """

    def __init__(self, s3: S3Client, output_uri: str, depends_on: JSONObject) -> None:
        self._s3 = s3
        self._uri = output_uri
        self._output = Output(s3, output_uri)
        self._suspects: set[int] = set()  # the numbers of parts that were damaged when they were read
        self.changed: list[str] = []  # what differs from the record, so that scoring restarts
        self.progress = self._resume(depends_on) or new_progress(depends_on)
        self._output.claim(self.progress)
        complete = None if self.count else self._complete()
        self.was_complete = complete is not None  # written by an earlier try or run
        if complete:
            self.progress, self.changed = complete, []

    def _complete(self) -> Progress | None:
        """Return the progress of an output that is complete although no record says so, else None.

        The try that wrote it may have been killed before Airflow knew of its success. It is looked for after the claim,
        since from then on no other try can replace it.
        """
        found, errors = (self._output.find(uri) for uri in (self._uri, errors_uri(self._uri)))
        return from_metadata(self.progress, found, errors.etag if errors else None) if found else None

    def _resume(self, depends_on: JSONObject) -> Progress | None:
        """Return the progress of the last try, or None if scoring must start from the first row."""
        progress = cast("Progress | None", self._output.record.read())
        if progress is None or "depends_on" not in progress:  # the latter is the record of a join
            return None
        self.changed = [name for name in depends_on if progress["depends_on"].get(name) != depends_on[name]]
        if (whole := progress["whole"]) and not self.changed:
            found = self._output.find(self._uri)
            self.changed = [] if found and found.etag == whole["etag"] else ["the output"]
        return None if self.changed else progress

    @property
    def row_count(self) -> int:
        """The number of rows that are written, refused ones among them."""
        if whole := self.progress["whole"]:
            return whole["rows"]
        return sum(row_count(part, kind) for part in self.progress["parts"] for kind in SUFFIXES)

    @property
    def error_count(self) -> int:
        """The number of refused rows that are written."""
        if whole := self.progress["whole"]:
            return whole["errors"]
        return sum(row_count(part, "errors") for part in self.progress["parts"])

    @property
    def count(self) -> int:
        """The number of parts."""
        whole = self.progress["whole"]
        return whole["parts"] if whole else len(self.progress["parts"])

    def write(self, progress: Progress, texts: Mapping[Kind, list[str]], end: End, number: int | None = None) -> None:
        """Write a part, and then record it; a part that is not recorded does not count.

        :param progress: the record's other changes with this part.
        :param texts: the lines of the part, by kind.
        :param end: where its rows end.
        :param number: the number of the part that it replaces; None for the next part.
        """
        place = len(progress["parts"]) if number is None else number
        name = f"{place:06d}-{self._output.record.try_id}"
        pieces = {kind: self._put(name, kind, lines) for kind, lines in texts.items() if lines}
        part = Part(name=name, pieces=pieces, end=end)
        parts = [*progress["parts"][:place], part, *progress["parts"][place + 1 :]]
        try:
            self._record({**progress, "parts": parts})
        except TakenOver:
            self._delete_unrecorded(name, pieces)
            raise
        self._suspects.discard(place)

    def damaged(self) -> list[int]:
        """Return the numbers of the parts that differ from the record."""
        etags = self._output.parts()
        found = set(self._suspects)
        for number, part in enumerate(self.progress["parts"]):
            for kind, piece in part["pieces"].items():
                if etags.get(object_name(part, kind)) != piece["etag"]:
                    found.add(number)
        return sorted(found)

    def write_errors(self) -> str | None:
        """Write the errors file from the parts, and return its ETag; without errors, delete that of an earlier run.

        The errors file of a complete output is there already, and its parts may not be.
        """
        if whole := self.progress["whole"]:
            return whole["errors_etag"]
        if not self.error_count:
            self._output.remove_errors(self.progress)
            return None
        header = csv_line(ERROR_COLUMNS)
        return self._output.write(errors_uri(self._uri), lambda: self._bytes("errors", header), self.progress).etag

    def finish(self, header: str) -> None:
        """Write the output from the parts, unless an earlier try has done so, and delete the parts.

        :param header: the first line of the output.
        :raises DamagedPart: when a part must be predicted again first.
        """
        if not self.progress["whole"]:
            errors_etag = self.write_errors()  # first, so that whoever finds the output finds its errors file too
            whole = Whole(
                etag="", errors_etag=errors_etag, rows=self.row_count, errors=self.error_count, parts=self.count
            )
            found = self._output.write(
                self._uri,
                lambda: self._bytes("lines", header),
                self.progress,
                metadata=to_metadata(self.progress, whole),
            )
            self._record({**self.progress, "parts": [], "whole": {**whole, "etag": found.etag}})
        self.clear()

    def clear(self) -> None:
        """Delete the parts and the record, so that a next try starts from the first row."""
        self._output.clear()

    def _record(self, progress: Progress) -> None:
        self._output.record.swap(progress)
        self.progress = progress

    def _bytes(self, kind: Kind, header: str) -> Iterator[bytes]:
        """Yield a header, and then the bytes of all parts, each checked against the record."""
        yield header.encode()
        for number, part in enumerate(self.progress["parts"]):
            if kind in part["pieces"]:
                yield from self._blocks(number, part, kind)

    def _blocks(self, number: int, part: Part, kind: Kind) -> Iterator[bytes]:
        """Yield the bytes of one object of a part in blocks.

        :raises DamagedPart: at the end, when they are not those that the record names; they must not be used then.
        """
        key, piece = self._key(object_name(part, kind)), part["pieces"][kind]
        digest = hashlib.sha256()
        with translate_s3_errors("read", key.uri), suppress(ChangedObject):
            if found := head(self._s3, key):
                with open_at(self._s3, ObjectVersion(key.uri, piece["etag"], found.size)) as stream:
                    while block := stream.read(BLOCK_BYTES):
                        digest.update(block)
                        yield block
        if digest.hexdigest() != piece["digest"]:
            self._suspects.add(number)
            raise DamagedPart(number, key.uri)

    def _put(self, name: str, kind: Kind, lines: list[str]) -> Piece:
        key, body = self._key(f"{name}{SUFFIXES[kind]}"), "".join(lines).encode()
        with translate_s3_errors("written", self._uri):
            return Piece(etag=put_part(self._s3, key, body), digest=_digest(body), rows=len(lines))

    def _delete_unrecorded(self, name: str, pieces: Mapping[Kind, Piece]) -> None:
        """Delete a part that this try has written and could not record."""
        if self._output.record.mentions(name):
            return  # recorded after all, only that answer was lost: the try that claimed the record since uses it
        for kind in pieces:
            key = self._key(f"{name}{SUFFIXES[kind]}")
            with translate_s3_errors("deleted", key.uri):
                self._s3.delete_object(Bucket=key.bucket, Key=key.name)

    def _key(self, name: str) -> Key:
        folder = self._output.record.folder
        return Key(folder.bucket, f"{folder.name}{name}")


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
