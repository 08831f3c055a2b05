"""From a CSV file to records: one line each, as AWS's developer guide asks ("Input File Format Requirements")."""

from __future__ import annotations

import csv
from itertools import accumulate

from amazon_ml_local.learning.errors import LearningError

# Our choice, AWS's limit is unknown: with more unreadable records than this the data source fails.
MOST_INVALID_SHARE = 0.1
MOST_INVALID = 10_000


def parse_csv(uri: str, body: bytes, has_header: bool, width: int) -> tuple[list[list[str]], list[int]]:
    """Return a file's records and their byte offsets. Blank lines are no records; an unreadable one has no values.

    :param width: how many values a record must have.
    :raises LearningError: the file is no UTF-8 text, or too many records are unreadable.
    """
    raw = body.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
    starts = list(accumulate(map(len, raw), initial=0))
    lines = _decode(uri, raw)
    numbers = [n for n, line in enumerate(lines) if line.strip()][has_header:]
    rows = _split([lines[n] for n in numbers])
    wrong = [place for place, row in enumerate(rows) if len(row) != width]
    if wrong:
        _judge(uri, wrong, rows, numbers, width)
        for place in wrong:
            rows[place] = []
    return rows, [starts[n] for n in numbers]


def _decode(uri: str, raw: list[bytes]) -> list[str]:
    try:
        return [line.decode() for line in raw]
    except UnicodeDecodeError:
        number = next(n for n, line in enumerate(raw, start=1) if not _is_text(line))
        raise LearningError(f"{uri}, line {number}: not UTF-8 text. Save the file as UTF-8 CSV.") from None


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _split(lines: list[str]) -> list[list[str]]:
    """Return each line's values; a line with a broken quote has none. No value reaches over a line's end."""
    try:
        rows = list(csv.reader(lines, strict=True))
    except csv.Error:
        rows = []
    return rows if len(rows) == len(lines) else [_values(line) for line in lines]


def _values(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return []


def _judge(uri: str, wrong: list[int], rows: list[list[str]], numbers: list[int], width: int) -> None:
    if len(wrong) <= min(MOST_INVALID, MOST_INVALID_SHARE * len(rows)):
        return
    first = rows[wrong[0]]
    what = f"{len(first)} values where the schema has {width} attributes" if first else "a broken quote"
    raise LearningError(
        f"{uri}, line {numbers[wrong[0]] + 1}: {what}. {len(wrong)} of {len(rows)} records cannot be read; "
        "correct the file, or the schema if all lines look like this."
    )
