"""Finished parts and the record of progress beside the output, until the whole can be put together."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypedDict, cast

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.scoring.answers import ERROR_COLUMNS, Tally, csv_line, new_tally
from airflow_ml_provider.scoring.objects import failures, persistently, split, upload

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

    from airflow_ml_provider.payloads import Description

RECORD = "progress.json"
DELETED_AT_ONCE = 1000


class Progress(TypedDict):
    """What is done: everything up to the place ``offset`` in the stretch number ``stretch``.

    ``pins`` is what the predictions depend on: when it changes, they begin anew. ``offset`` is None until then.
    """

    pins: Description
    parts: int
    error_parts: list[int]
    rows: int
    errors: int
    stretch: int
    offset: int | None
    line: int
    columns: list[str]
    tally: Tally
    seconds: float
    whole: bool


class Parts:
    """The parts of one output, and how far they go.

    :param s3: the client.
    :param output_uri: where the whole will be; the parts stand under the same name with ``.parts/`` behind it.
    :param pins: what the predictions depend on.
    :raises AirflowException: when nothing can be written there.
    """

    def __init__(self, s3: S3Client, output_uri: str, pins: Description) -> None:
        self._s3 = s3
        self._uri = output_uri
        self._bucket, key = split("output_uri", output_uri)
        self._folder = f"{key}.parts/"
        self.errors_uri = f"{output_uri}.errors.csv"
        self.changed: list[str] = []
        self.progress = self._resumed(pins) or self._begun(pins)

    def _resumed(self, pins: Description) -> Progress | None:
        found = next(self._keys(f"{self._folder}{RECORD}"), None)
        if found is None:
            return None
        progress = cast("Progress", json.loads(self._get(found)))
        self.changed = [name for name in pins if progress["pins"].get(name) != pins[name]]
        return None if self.changed else progress

    def _begun(self, pins: Description) -> Progress:
        self.forget()
        progress = Progress(
            pins=pins, parts=0, error_parts=[], rows=0, errors=0, stretch=0, offset=None, line=1,
            columns=[], tally=new_tally(), seconds=0.0, whole=False,
        )  # fmt: skip
        self._put(RECORD, json.dumps(progress))
        return progress

    def write(self, progress: Progress, lines: str, errors: str) -> None:
        """Write the next part, and then how far it goes: with that it counts."""
        number = progress["parts"]
        self._put(f"{number:06d}", lines)
        if errors:
            self._put(f"{number:06d}.errors", errors)
            progress["error_parts"].append(number)
        progress["parts"] += 1
        self._put(RECORD, json.dumps(progress))
        self.progress = progress

    def write_errors(self) -> None:
        """Put the errors file together; without errors there is none, not even that of an earlier run."""
        if self.progress["error_parts"]:
            names = [f"{number:06d}.errors" for number in self.progress["error_parts"]]
            upload(self._s3, self.errors_uri, self._pieces(csv_line(ERROR_COLUMNS), names))
            return
        with failures("deleted", self.errors_uri):
            self._s3.delete_object(Bucket=self._bucket, Key=split("output_uri", self.errors_uri)[1])

    def finish(self, header: str) -> None:
        """Put the whole together, and delete the parts."""
        if not self.progress["whole"]:
            self.write_errors()
            names = [f"{number:06d}" for number in range(self.progress["parts"])]
            upload(self._s3, self._uri, self._pieces(header, names))
            self.progress["whole"] = True
            self._put(RECORD, json.dumps(self.progress))
        self.forget()

    def forget(self) -> None:
        """Delete the parts, and the record of them last."""
        keys = sorted(self._keys(self._folder))
        for start in range(0, len(keys), DELETED_AT_ONCE):
            some: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys[start : start + DELETED_AT_ONCE]]
            with failures("deleted", f"s3://{self._bucket}/{self._folder}"):
                answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": some, "Quiet": True})
            for refused in answer.get("Errors", ()):
                raise AirflowException(
                    f"output_uri: s3://{self._bucket}/{refused['Key']} cannot be deleted: {refused['Code']}"
                )

    def _pieces(self, header: str, names: list[str]) -> Iterator[bytes]:
        yield header.encode()
        for name in names:
            yield self._get(f"{self._folder}{name}")

    def _keys(self, prefix: str) -> Iterator[str]:
        with failures("listed", self._uri):
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                yield from (item["Key"] for item in page.get("Contents", ()))

    def _get(self, key: str) -> bytes:
        with failures("read", f"s3://{self._bucket}/{key}"):
            return persistently(lambda: self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())

    def _put(self, name: str, text: str) -> None:
        with failures("written", self._uri):
            self._s3.put_object(Bucket=self._bucket, Key=f"{self._folder}{name}", Body=text.encode())
