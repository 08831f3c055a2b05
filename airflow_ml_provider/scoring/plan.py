"""Count the rows of the source, and divide them between workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.scoring import rows
from airflow_ml_provider.scoring.objects import ObjectVersion, find, open_at

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.payloads import Format, JSONObject
    from airflow_ml_provider.scoring.rows import Row


@dataclass(frozen=True)
class RowRange:
    """Consecutive rows of one version of an object, in plain JSON types.

    ``offset`` and ``end`` are positions in the decompressed bytes; ``end`` is None at the end of the object. ``line``
    is the line number of the first row, ``count`` the number of rows, ``columns`` the names of CSV columns.
    """

    uri: str
    etag: str
    size: int
    columns: list[str]
    offset: int
    line: int
    end: int | None
    count: int

    def to_json(self) -> JSONObject:
        """Return the row range in plain JSON types, for XCom."""
        return asdict(self)

    def read(self, s3: S3Client, format: Format, place: rows.Place | None = None) -> Iterator[Row]:
        """Yield its rows, from a place within it on."""
        place = place or rows.Place(self.offset, self.line)
        with closing(open_at(s3, ObjectVersion(self.uri, self.etag, self.size), place.offset)) as stream:
            for row in rows.read(stream, self.uri, format, self.columns, place):
                if self.end is not None and row.begins.offset >= self.end:
                    return
                yield row


class _Cutter:
    """Collect row ranges into shares of about the same number of bytes; a gzip object goes to one share as a whole.

    Whenever a share begins, the bytes that are left are divided evenly between the shares that are left, so that the
    shares after a large gzip object are not empty.
    """

    def __init__(self, most_shares: int, total_bytes: int) -> None:
        self._most_shares, self._total_bytes = most_shares, total_bytes
        self._share_begins = 0
        self.shares: list[list[RowRange]] = [[]]

    def is_full(self, place: int) -> bool:
        """Return whether the present share has its part of the bytes.

        :param place: the bytes of all objects up to here.
        """
        shares_left = self._most_shares - len(self.shares) + 1
        bytes_left = self._total_bytes - self._share_begins
        return shares_left > 1 and place - self._share_begins >= bytes_left / shares_left

    def add(self, row_range: RowRange, place: int) -> None:
        """Add a row range to the present share, and begin the next share if this one is full.

        :param place: the bytes of all objects up to the end of the row range.
        """
        if row_range.count:
            self.shares[-1].append(row_range)
        if self.shares[-1] and self.is_full(place):
            self.shares.append([])
            self._share_begins = place


def plan(
    s3: S3Client, uri: str, format: Format, column_names: Sequence[str] | None, shares: int = 1
) -> list[list[RowRange]]:
    """Read all rows, and divide them in order between up to ``shares`` shares, none of which is empty.

    :raises AirflowFailException: when there is no object, or no row.
    """
    sources = find(s3, uri)
    cutter, before = _Cutter(shares, sum(source.size for source in sources)), 0
    for source in sources:
        _cut(s3, source, format, column_names, cutter, before)
        before += source.size
    found = [share for share in cutter.shares if share]
    if not found:
        raise AirflowFailException(f"source_uri: {uri} has no rows: it is empty, or has nothing but headers")
    return found


def _cut(
    s3: S3Client,
    source: ObjectVersion,
    format: Format,
    column_names: Sequence[str] | None,
    cutter: _Cutter,
    before: int,
) -> None:
    """Read the rows of one object, and add them to the cutter as row ranges.

    :param before: the number of bytes of the objects before it.
    """
    columns, begins, count = list(column_names or ()), rows.Place(), 0
    with closing(open_at(s3, source)) as stream:
        if format == "CSV" and column_names is None:
            columns, begins = rows.header(stream, source.uri)
        for row in rows.read(stream, source.uri, format, columns, begins):
            here = row.begins.offset
            if count and not source.is_gzip and cutter.is_full(before + here):
                cutter.add(_row_range(source, columns, begins, here, count), before + here)
                begins, count = row.begins, 0
            count += 1
    cutter.add(_row_range(source, columns, begins, None, count), before + source.size)


def _row_range(source: ObjectVersion, columns: list[str], begins: rows.Place, end: int | None, count: int) -> RowRange:
    return RowRange(source.uri, source.etag, source.size, columns, begins.offset, begins.line, end, count)


def check_row_count(shares: Sequence[Sequence[RowRange]], max_predictions: int | None) -> None:
    """Raise AirflowFailException when there are more rows than ``max_predictions``."""
    total = sum(row_range.count for share in shares for row_range in share)
    if max_predictions is not None and total > max_predictions:
        raise AirflowFailException(f"max_predictions: there are {total:,} rows, allowed are {max_predictions:,}")
