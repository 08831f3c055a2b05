"""Read rows of CSV or JSON Lines, each with the place where the next one begins, so that reading can resume there.

A line is a row: AWS's format of CSV has no line break within a value, not even a quoted one (Developer Guide,
"Understanding the Data Format for Amazon ML"). So an unclosed quote spoils its own row only.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, cast

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.errors import RefusedRecord
from airflow_ml_provider.payloads import Format

if TYPE_CHECKING:
    import io

Values: TypeAlias = Mapping[str, "str | int | float | bool | None"]

MOST_LINE_BYTES = 8 * 1024 * 1024
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # JSON escapes some characters as two surrogates; one alone is no text
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row begins: the offset in the decompressed bytes, and the line number, from 1."""

    offset: int = 0
    line: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row: where it begins, where it ends, and its values or the reason why they cannot be read."""

    begins: Place
    ends: Place
    values: Values | RefusedRecord


class _Lines:
    """The lines of a stream; ``place`` is where the next one begins."""

    def __init__(self, stream: io.BufferedReader, uri: str, place: Place) -> None:
        self._stream = stream
        self._uri = uri
        self.place = place

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = self._stream.readline(MOST_LINE_BYTES)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise AirflowFailException(f"source_uri: {self._uri} cannot be unpacked: {error}") from None
        if not line:
            raise StopIteration
        self._check(line)
        encoding = "utf-8-sig" if self.place.line == 1 else "utf-8"  # the first line may begin with a byte order mark
        self.place = Place(self.place.offset + len(line), self.place.line + 1)
        # Bytes that are not UTF-8 become surrogates, so that only their own row is refused.
        return line.decode(encoding, "surrogateescape")

    def _check(self, line: bytes) -> None:
        """Raise AirflowFailException for a line that shows that the whole file is no text of UTF-8."""
        if self.place.offset == 0 and line.startswith(UTF_16_MARKS):
            raise AirflowFailException(f"source_uri: {self._uri} is UTF-16; it must be UTF-8")
        if len(line) == MOST_LINE_BYTES:
            raise AirflowFailException(
                f"source_uri: line {self.place.line} of {self._uri} has more than {MOST_LINE_BYTES} bytes; is it text?"
            )


def read(
    stream: io.BufferedReader, uri: str, format: Format, columns: Sequence[str], place: Place | None = None
) -> Iterator[Row]:
    """Yield the rows of a stream; empty lines are skipped.

    :param stream: bytes of UTF-8 that begin at ``place``, after a CSV header.
    :param uri: the URI for error messages.
    :param columns: the names of CSV columns.
    :param place: where the stream begins in the object.
    :raises AirflowFailException: when the whole file cannot be read: it is UTF-16, damaged gzip, or no text.
    """
    lines = _Lines(stream, uri, place or Place())
    return READERS[format](lines, columns)


def header(stream: io.BufferedReader, uri: str) -> tuple[list[str], Place]:
    """Read the CSV header, the first line that is not empty; return its names, and where the line after it begins.

    A file without any line has no columns.

    :raises AirflowFailException: when the header cannot be read, or a name is empty, repeated or not UTF-8.
    """
    lines = _Lines(stream, uri, Place())
    names = next((cells for cells in map(_cells, lines) if cells), [])
    if isinstance(names, RefusedRecord):
        raise AirflowFailException(f"source_uri: the header of {uri} cannot be read: {names}")
    check_columns(names, f"the header of {uri}")
    return names, lines.place


def check_columns(names: Sequence[str], where: str) -> None:
    """Raise AirflowFailException when a name is empty, repeated, or not UTF-8."""
    counts = Counter(names)
    for place, name in enumerate(names, start=1):
        if not name or counts[name] > 1 or not _is_utf_8(name):
            # The message omits the name: in a file without a header it is somebody's data.
            raise AirflowFailException(
                f"column_names: column {place} in {where} is empty, repeated or not UTF-8; is it a header?"
            )


def _csv(lines: _Lines, columns: Sequence[str]) -> Iterator[Row]:
    begins = lines.place
    for line in lines:
        if cells := _cells(line):
            yield Row(begins, lines.place, _by_column(cells, columns))
        begins = lines.place


def _cells(line: str) -> list[str] | RefusedRecord:
    """Return the cells of a line of CSV, none if it is empty, or the reason why they cannot be read."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        return RefusedRecord(f"it is no CSV: {error}")


def _by_column(cells: list[str] | RefusedRecord, columns: Sequence[str]) -> Values | RefusedRecord:
    """Return the cells of a row by the names of its columns, or the reason why they cannot be sent."""
    if isinstance(cells, RefusedRecord):
        return cells
    if len(cells) != len(columns):
        return RefusedRecord(f"it has {len(cells)} fields; the columns are {len(columns)}")
    if not all(map(_is_utf_8, cells)):
        return RefusedRecord("it is not UTF-8")
    # AWS reads an empty field of a CSV file as missing; in a record the variable is left out instead.
    return {name: cell or None for name, cell in zip(columns, cells, strict=True)}


def _json_lines(lines: _Lines, columns: Sequence[str]) -> Iterator[Row]:
    begins = lines.place
    for line in lines:
        if text := line.strip():
            yield Row(begins, lines.place, _parsed(text))
        begins = lines.place


def _parsed(line: str) -> Values | RefusedRecord:
    if not _is_utf_8(line):
        return RefusedRecord("it is not UTF-8")
    try:
        value = json.loads(line)
        if SURROGATE.search(line):
            json.dumps(value, ensure_ascii=False).encode()  # fails for one surrogate without the other
    except UnicodeEncodeError:
        return RefusedRecord("it is not Unicode: half a character is escaped in it")
    except (ValueError, RecursionError):
        return RefusedRecord("it is no JSON")
    if not isinstance(value, dict):
        return RefusedRecord("it is no JSON object")
    return cast("Values", value)


def _is_utf_8(text: str) -> bool:
    """Return whether the bytes of a text were UTF-8: ``_Lines`` has made surrogates of those that were not."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


READERS: dict[Format, Callable[[_Lines, Sequence[str]], Iterator[Row]]] = {"CSV": _csv, "JSON_LINES": _json_lines}
