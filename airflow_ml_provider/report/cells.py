"""Read rows of predictions in S3, in chunks that know their place in the object."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.scoring.objects import find, open_at

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.payloads import Format
    from airflow_ml_provider.scoring.objects import ObjectVersion

Cells: TypeAlias = "Sequence[object]"
# Takes the first object of JSON Lines, and returns the header, and a function from any of its objects to a row.
JSONColumns: TypeAlias = "Callable[[dict[str, object]], tuple[list[str], Callable[[dict[str, object]], Cells]]]"

CHUNK_ROWS = 10_000  # with 100 classes some 60 MB of text


class Chunk(NamedTuple):
    """Consecutive rows of one object; a row without cells is a record that got no prediction.

    ``first`` is the number of its first row in the object, from 1, without a CSV header.
    """

    uri: str
    first: int
    header: Sequence[str]
    rows: list[Cells]

    def bad(self, index: int, column: str, problem: str) -> AirflowFailException:
        """Return the error for one cell; its message omits the value, which is somebody's data."""
        return AirflowFailException(f"row {self.first + index:,} of {self.uri}, column {column!r}: {problem}")


def find_results(s3: S3Client, argument: str, uri: str) -> list[ObjectVersion]:
    """Return the object, or the objects under a prefix that ends in a slash.

    :raises AirflowFailException: naming the argument, when no object exists.
    """
    try:
        with _reading(uri):
            return find(s3, uri)
    except AirflowFailException:
        raise AirflowFailException(f"{argument}: the results are gone, there is no object at {uri}") from None


def read_chunks(s3: S3Client, source: ObjectVersion, format: Format, json_columns: JSONColumns) -> Iterator[Chunk]:
    """Yield the rows of an object.

    :raises AirflowFailException: when the object is cut or has another format; the message names the line.
    """
    with _reading(source.uri):
        # Bytes that are not UTF-8 are kept until ``Labels`` reports their row and column.
        stream = TextIOWrapper(open_at(s3, source), encoding="utf-8-sig", errors="surrogateescape", newline="")
        with stream:
            lines = _whole_lines(stream, source)
            header, rows = _csv_rows(lines, source) if format == "CSV" else _json_rows(lines, source, json_columns)
            first = 1
            while chunk := list(islice(rows, CHUNK_ROWS)):
                yield Chunk(source.uri, first, header, chunk)
                first += len(chunk)


@contextmanager
def _reading(uri: str) -> Iterator[None]:
    """Raise errors of the block that reads an object with the object's URI.

    A damaged object raises AirflowFailException, an error of S3 AirflowException, since another try may read it.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise AirflowFailException(f"{uri} is cut or damaged, it cannot be unpacked: {error}") from None
    except (BotoCoreError, ClientError) as error:
        raise AirflowException(f"{uri} cannot be read: {error}") from None


def _whole_lines(stream: TextIOWrapper, source: ObjectVersion) -> Iterator[str]:
    """Yield the lines, and raise AirflowFailException if the last one has no line break: then the object is cut.

    A gzip object has a checksum of its own.
    """
    line = "\n"
    for line in stream:
        yield line
    if not line.endswith("\n") and not source.is_gzip:
        raise AirflowFailException(f"{source.uri} is cut: its last line has no end")


def _csv_rows(lines: Iterator[str], source: ObjectVersion) -> tuple[list[str], Iterator[Cells]]:
    rows = _csv_cells(lines, source)
    header = next(rows, [])
    if not header:
        raise AirflowFailException(f"{source.uri} is empty: it has no header")
    return header, _of_equal_length(rows, len(header), source)


def _csv_cells(lines: Iterator[str], source: ObjectVersion) -> Iterator[list[str]]:
    reader = csv.reader(lines, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise AirflowFailException(f"line {reader.line_num:,} of {source.uri} is no CSV: {error}") from None


def _of_equal_length(rows: Iterator[list[str]], length: int, source: ObjectVersion) -> Iterator[Cells]:
    """Yield rows, and raise AirflowFailException at one that is neither empty nor of this length."""
    for number, cells in enumerate(rows, start=1):
        if cells and len(cells) != length:
            raise AirflowFailException(
                f"row {number:,} of {source.uri} has {len(cells)} fields, the columns are {length}: "
                f"it is cut or damaged"
            )
        yield cells


def _json_rows(
    lines: Iterator[str], source: ObjectVersion, json_columns: JSONColumns
) -> tuple[list[str], Iterator[Cells]]:
    """Return the columns, and the rows; a row is empty where its line is."""
    objects = (_json_object(line, number, source) for number, line in enumerate(lines, start=1))
    first = next(objects, None)
    if first is None:
        raise AirflowFailException(f"{source.uri} is empty: its first line holds no prediction")
    header, to_row = json_columns(first)

    def rows() -> Iterator[Cells]:
        yield to_row(first)
        for found in objects:
            yield () if found is None else to_row(found)

    return header, rows()


def _json_object(line: str, number: int, source: ObjectVersion) -> dict[str, object] | None:
    """Return the object in a line; None for an empty line, which stands for a record without a prediction."""
    if not line.strip():
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise AirflowFailException(f"line {number:,} of {source.uri} is no JSON object")
    return found
