"""The rows of a data source, from CSV files by schema."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import accumulate, compress
from typing import TYPE_CHECKING, TypedDict, TypeVar

from amazon_ml_local.learning.columns import Texts, numbers, texts
from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.lines import parse_csv
from amazon_ml_local.learning.rearrangement import parse_rearrangement
from amazon_ml_local.learning.schema import Schema, parse_schema
from amazon_ml_local.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from amazon_ml_local.storage import Storage

Column = TypeVar("Column")
FEW_ROWS = 1_000


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
    _orders: dict[str, NDArray[np.intp]] = field(default_factory=dict, repr=False)

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

    def order(self, name: str) -> NDArray[np.intp]:
        """Return the places of the readable rows by growing number of an attribute, missing ones last."""
        import numpy as np

        if name not in self._orders:
            self._orders[name] = np.argsort(np.asarray(self.numbers(name), dtype=np.float64), kind="stable")
        return self._orders[name]

    def prepare(self) -> None:
        """Read every column as its kind and sort the numbers: a data source pays that once, and no model again.

        Few rows are sorted when first needed, so that a small data source needs no numpy.
        """
        for (name, kind), column in zip(self.schema.kinds.items(), zip(*self.records, strict=True), strict=False):
            if kind == "NUMERIC":
                self._numbers[name] = numbers(column)
                if len(self.records) > FEW_ROWS:
                    self.order(name)
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
    return make_table(files, source, storage)


def make_table(files: dict[str, bytes], source: DataSource, storage: Storage, has_header: bool | None = None) -> Table:
    """Return the rows that a data source takes of these CSV files, by URI.

    :param has_header: whether each file begins with one; None asks the schema.
    """
    schema_text = _schema_text(source, storage)
    schema, split = parse_schema(schema_text), parse_rearrangement(source.get("rearrangement"))
    header = schema.has_header if has_header is None else has_header
    digest = sha256(f"{schema_text}\0{source.get('rearrangement')}".encode())
    rows: list[list[str]] = []
    offsets: list[int] = []
    ends: list[int] = []
    start = 0
    for uri, body in files.items():
        digest.update(body)
        file_rows, file_offsets = parse_csv(uri, body, header, len(schema.kinds))
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
