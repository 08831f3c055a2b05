"""Read the records of a CSV file: one line each, by AWS's developer guide ("Input File Format Requirements").

numpy finds and checks the lines in pieces of the file, and Arrow reads them. Only a line that looks irregular (a stray
quote, another number of values) goes through Python's csv module, and is rewritten for Arrow.

The provider reads CSV too. This module shares no code with it on purpose: a service that tests the provider must not
repeat its bugs.
"""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from amazon_ml_local.learning.errors import LearningError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from numpy.typing import NDArray

Places: TypeAlias = "NDArray[np.intp]"
Flags: TypeAlias = "NDArray[np.bool_]"

# AWS's limit of an observation.
MOST_BYTES = 100 * 1024
# Our choice, AWS's limit is unknown: with more unreadable records than this the data source fails.
MOST_INVALID_SHARE = 0.1
MOST_INVALID = 10_000
PIECE_BYTES = 8 * 1024 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NEWLINE, QUOTE, COMMA, BLANK = b'\n",\x20'
AROUND_QUOTES = np.frombuffer(b'\n,"', np.uint8)


class Records(NamedTuple):
    """The records of a piece of a file.

    :ivar body: the readable records as CSV, in a form that Arrow and Python read alike.
    :ivar offsets: the offset in the file of each record, readable or not.
    :ivar readable: which of them are readable.
    """

    body: bytes
    offsets: Places
    readable: Flags


class LineReader:
    """Read the records of one CSV file, and count those that cannot be read.

    :param width: the number of values that a record must have.
    """

    def __init__(self, uri: str, file: IO[bytes], has_header: bool, width: int) -> None:
        self.uri, self.file, self.has_header, self.width = uri, file, has_header, width
        self.size = self.total = self.wrong = 0
        self._first_wrong: tuple[int, str] = (0, "")

    def __iter__(self) -> Iterator[Records]:
        """Yield the records piece by piece.

        :raises LearningError: when the file is not UTF-8 text, or too many records are unreadable.
        """
        header = self.has_header
        for start, piece in _pieces(self.file):
            self.size = start + len(piece)
            body = piece if piece.endswith((b"\n", b"\r")) else piece + b"\n"
            # Of CR LF this makes an empty line, which counts as no record, and no byte moves.
            body = body if b"\r" not in body else body.replace(b"\r", b"\n")
            self._check_text(start, body)
            if header:
                body, header = _without_header(body)
            if body and not body.isspace():
                yield self._records(start, body)
        self._raise_if_too_many_wrong()

    def _records(self, start: int, body: bytes) -> Records:
        """Return the records of a piece; irregular lines are rewritten, or cut out and counted as wrong."""
        starts, ends = _lines(body)
        irregular = _irregular(body, starts, ends, self.width)
        filled, readable = np.ones(len(starts), bool), np.ones(len(starts), bool)
        parts, copied = [], 0  # the new body, and up to where of the old one it is made
        for place in np.flatnonzero(irregular).tolist():
            first, end = int(starts[place]), int(ends[place])
            parts.append(body[copied:first])
            line, copied = body[first:end], end + 1
            filled[place] = bool(line.decode().strip())
            values = _values(line)
            readable[place] = len(values) == self.width and len(line) <= MOST_BYTES
            if readable[place] and filled[place]:
                parts.append(_plain(values))
            elif filled[place]:
                self._count_wrong(start + first, line, values)
        body = b"".join([*parts, body[copied:]]) if parts else body
        self.total += int(filled.sum())
        return Records(body, starts[filled] + start, readable[filled])

    def _check_text(self, start: int, body: bytes) -> None:
        try:
            if not body.isascii():
                body.decode()
        except UnicodeDecodeError as error:
            number = self._line_number(start + error.start)
            raise LearningError(f"{self.uri}, line {number}: not UTF-8 text. Save the file as UTF-8 CSV.") from None

    def _count_wrong(self, offset: int, line: bytes, values: list[str]) -> None:
        if not self.wrong:
            self._first_wrong = offset, self._problem(line, values)
        self.wrong += 1

    def _problem(self, line: bytes, values: list[str]) -> str:
        if len(line) > MOST_BYTES:
            return f"{len(line):,} bytes, more than the {MOST_BYTES:,} of an observation"
        if not values:  # csv cannot read the line
            return "a broken quote"
        return f"{len(values)} values where the schema has {self.width} attributes"

    def _raise_if_too_many_wrong(self) -> None:
        if self.wrong <= min(MOST_INVALID, MOST_INVALID_SHARE * self.total):
            return
        offset, what = self._first_wrong
        raise LearningError(
            f"{self.uri}, line {self._line_number(offset)}: {what}. {self.wrong} of {self.total} records cannot be "
            "read; correct the file, or the schema if all lines look like this."
        )

    def _line_number(self, offset: int) -> int:
        """Return the number, from 1, of the line with the byte at this offset."""
        self.file.seek(0)
        before = self.file.read(offset)
        return before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n") + 1


def _pieces(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines of a file, some megabytes at a time, with their offset; only the last line may lack its end."""
    start, rest = 0, b""
    while block := file.read(PIECE_BYTES):
        if start == 0 and not rest and block.startswith(BYTE_ORDER_MARK):
            start, block = len(BYTE_ORDER_MARK), block.removeprefix(BYTE_ORDER_MARK)
        end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if end:
            piece, rest = rest + block[:end], block[end:]
            yield start, piece
            start += len(piece)
        else:
            rest += block
    if rest:
        yield start, rest


def _without_header(body: bytes) -> tuple[bytes, bool]:
    """Return the lines without the header, which is the first that is not blank, and whether the header is yet to come.

    Its bytes become blank lines, so that offsets stay the same.
    """
    starts, ends = _lines(body)
    for first, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if body[first:end].decode().strip():
            return b"\n" * end + body[end:], False
    return b"", True


def _lines(body: bytes) -> tuple[Places, Places]:
    """Return the starts and the ends of the lines that are not empty."""
    ends = np.flatnonzero(np.frombuffer(body, np.uint8) == NEWLINE)
    starts = np.concatenate(([0], ends[:-1] + 1))
    filled = ends > starts
    return starts[filled], ends[filled]


def _irregular(body: bytes, starts: Places, ends: Places, width: int) -> Flags:
    """Return which lines need Python's csv module: for a quote, the number of values, the size or a leading blank.

    A line of blanks alone is one with a leading blank. Quotes are paired across the piece after the lines with an odd
    number of them are set aside; then a comma is inside quotes if it follows an odd number of them.
    """
    text = np.frombuffer(body, np.uint8)
    commas = np.flatnonzero(text == COMMA)
    irregular = (ends - starts > MOST_BYTES) | (text[starts] <= BLANK)
    if b'"' in body:
        quotes = np.flatnonzero(text == QUOTE)
        has_bad_quotes = _between(quotes, starts, ends) % 2 == 1
        quotes = quotes[~has_bad_quotes[np.searchsorted(ends, quotes)]]
        opening, closing = quotes[0::2], quotes[1::2]
        # A regular quote is at the start or the end of a value, or doubled within one.
        before = np.where(opening > 0, text[opening - 1], NEWLINE)
        stray = ~np.isin(before, AROUND_QUOTES) | ~np.isin(text[closing + 1], AROUND_QUOTES)
        has_bad_quotes[np.searchsorted(ends, opening[stray])] = True
        irregular |= has_bad_quotes
        commas = commas[np.searchsorted(quotes, commas) % 2 == 0]
    irregular |= _between(commas, starts, ends) != width - 1
    return irregular


def _between(places: Places, starts: Places, ends: Places) -> Places:
    """Return for each line how many of the places are in it."""
    return np.searchsorted(places, ends) - np.searchsorted(places, starts)


def _values(line: bytes) -> list[str]:
    """Return the values of a line; none if a quote in it is not closed."""
    try:
        return next(csv.reader([line.decode()], strict=True))
    except csv.Error:
        return []


def _plain(values: list[str]) -> bytes:
    """Return values as a line of CSV that Arrow reads as Python does."""
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue().encode()
