"""The rows of a data source: CSV files by schema, or the answer of an SQL query."""

from __future__ import annotations

import csv
from array import array
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from io import StringIO
from itertools import accumulate, compress
from typing import TYPE_CHECKING, TypedDict, TypeVar
from urllib.parse import quote_plus

from airflow_ml_provider.local.learning.columns import Texts, numbers, texts
from airflow_ml_provider.local.learning.errors import LearningError
from airflow_ml_provider.local.learning.rearrangement import parse_rearrangement
from airflow_ml_provider.local.learning.schema import Schema, parse_schema
from airflow_ml_provider.local.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_ml_provider.local.storage import Storage

Column = TypeVar("Column")
# Our choice, AWS's limit is unknown: with more unreadable records than this the data source fails.
MOST_INVALID_SHARE = 0.1
MOST_INVALID = 10_000


class DataSource(TypedDict, total=False):
    """Where the rows are: AWS's members of a data source, flattened."""

    location_s3: str
    schema: str
    schema_location_s3: str
    rearrangement: str
    query: str
    database_url: str


@dataclass(frozen=True)
class File:
    """One input file: its URI and the range of the table's rows that came from it."""

    uri: str
    first: int
    last: int


@dataclass(frozen=True)
class Table:
    """The rows of a data source that its rearrangement takes, as text, in the files' order.

    An empty row is a record that could not be read (another number of values than attributes, a broken quote).
    """

    schema: Schema
    rows: list[list[str]]
    files: list[File]
    size_in_bytes: int
    fingerprint: str
    _texts: dict[str, Texts] = field(default_factory=dict, repr=False)
    _numbers: dict[str, array[float]] = field(default_factory=dict, repr=False)

    @property
    def number_of_files(self) -> int:
        """Return how many files the data came from."""
        return len(self.files)

    @cached_property
    def records(self) -> list[list[str]]:
        """Return the rows that could be read."""
        return [row for row in self.rows if row]

    def texts(self, name: str) -> Texts:
        """Return an attribute's values as texts, over the rows that could be read."""
        return self._read(self._texts, name, texts)

    def numbers(self, name: str) -> array[float]:
        """Return an attribute's values as numbers, NaN where there is none, over the rows that could be read."""
        return self._read(self._numbers, name, numbers)

    def prepare(self) -> None:
        """Read every column as its kind, which the creation of a data source pays so that its models need not."""
        for (name, kind), column in zip(self.schema.kinds.items(), zip(*self.records, strict=True), strict=False):
            if kind == "NUMERIC":
                self._numbers[name] = numbers(column)
            else:
                self._texts[name] = texts(column)

    def _read(self, known: dict[str, Column], name: str, read: Callable[[Sequence[str]], Column]) -> Column:
        if name not in known:
            place = self.schema.columns[name]
            known[name] = read([row[place] for row in self.records])
        return known[name]


def read_table(source: DataSource, storage: Storage) -> Table:
    """Return the rows of a data source whose files are in S3.

    :param source: needs `location_s3` (a file, or a folder of files) and `schema` or `schema_location_s3`.
    :raises LearningError: what is wrong with location, schema, rearrangement or data, and where.
    """
    location = source["location_s3"]
    try:
        uris = [uri for uri in storage.list(location) if not uri.endswith(("/", ".schema"))]
        files = {uri: storage.read(uri) for uri in uris}
    except StorageError as error:
        raise LearningError(str(error)) from error
    if not files:
        raise LearningError(f"No data file at {location}: upload one, or correct the location.")
    return _table(files, source, storage)


def read_sql_table(source: DataSource, storage: Storage) -> Table:
    """Return the rows that a data source's query selects, its columns in the order of the schema's attributes.

    :param source: needs `query`, `database_url` (SQLAlchemy's form) and `schema` or `schema_location_s3`; a
        `location_s3` is the name under which batch predictions report these rows.
    :raises LearningError: what is wrong with the query, the schema or the data; never with a password in it.
    """
    out = StringIO()
    rows = _select(source["database_url"], source["query"])
    csv.writer(out, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return _table({source.get("location_s3", "query"): out.getvalue().encode()}, source, storage, header=False)


def _select(database_url: str, query: str) -> Sequence[Iterable[object]]:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        url = make_url(database_url)
    except SQLAlchemyError:
        raise LearningError("The database is not mapped to an SQLAlchemy URL such as sqlite:///file.db.") from None
    try:
        with create_engine(url, poolclass=NullPool).connect() as connection:
            # The driver shall not look for parameters: a % or : belongs to the query.
            plain = connection.execution_options(no_parameters=True)
            return list(plain.exec_driver_sql(query).fetchall())
    except (SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error)
        for secret in filter(None, {url.password, quote_plus(str(url.password or ""))}):
            reason = reason.replace(str(secret), "***")
        raise LearningError(
            f"The {url.get_backend_name()} database {url.database!r} did not answer the data source's query: {reason}"
        ) from None


def _cell(value: object) -> str:
    return "" if value is None else " ".join(str(value).splitlines())


def _table(files: dict[str, bytes], source: DataSource, storage: Storage, header: bool | None = None) -> Table:
    schema_text = _schema_text(source, storage)
    schema, split = parse_schema(schema_text), parse_rearrangement(source.get("rearrangement"))
    digest = sha256(f"{schema_text}\0{source.get('rearrangement')}".encode())
    rows: list[list[str]] = []
    offsets: list[int] = []
    ends: list[int] = []
    start = 0
    for uri, body in files.items():
        digest.update(body)
        has_header = schema.has_header if header is None else header
        file_rows, file_offsets = _parse(uri, body, has_header, len(schema.kinds))
        rows += file_rows
        offsets += [start + offset for offset in file_offsets]
        start += len(body)
        ends.append(len(rows))
    if not rows:
        raise LearningError(f"No record in {', '.join(files)}: a data source needs at least one.")
    taken = split.takes(offsets)
    before = [0, *accumulate(taken)]
    ranges = zip(files, [0, *ends], ends, strict=False)
    table = Table(
        schema,
        list(compress(rows, taken)),
        [File(uri, before[first], before[last]) for uri, first, last in ranges],
        sum(map(len, files.values())),
        digest.hexdigest(),
    )
    table.prepare()
    return table


def _schema_text(source: DataSource, storage: Storage) -> str:
    if schema := source.get("schema"):
        return schema
    try:
        return storage.read(source.get("schema_location_s3", "")).decode()
    except (StorageError, UnicodeDecodeError) as error:
        raise LearningError(f"The data schema cannot be read. {error}") from error


def _parse(uri: str, body: bytes, has_header: bool, width: int) -> tuple[list[list[str]], list[int]]:
    """Return a file's rows and their byte offsets; blank lines are no records."""
    raw = body.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
    starts = list(accumulate(map(len, raw), initial=0))
    lines = _decode(uri, raw)
    numbers = [n for n, line in enumerate(lines) if line.strip() and not (has_header and n == 0)]
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
