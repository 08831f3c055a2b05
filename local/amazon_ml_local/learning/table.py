"""The rows of a data source, column by column."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, BinaryIO, TypedDict

if TYPE_CHECKING:
    import pyarrow as pa

    from amazon_ml_local.learning.columns import Floats, Texts
    from amazon_ml_local.learning.schema import Schema


class DataSource(TypedDict, total=False):
    """The members of a data source that say where its rows are, flattened."""

    location_s3: str
    schema: str
    schema_location_s3: str
    rearrangement: str


@dataclass(frozen=True)
class File:
    """One input file: its URI and the range of the table's rows that came from it."""

    uri: str
    first: int
    last: int


@dataclass
class Table:
    """The rows of a data source that its rearrangement takes, in the files' order.

    The number of rows includes unreadable ones (another number of values than attributes, an unclosed quote); columns
    hold the readable rows only. The columns are in memory, or in a file that is mapped into memory while a column is
    used. An unnamed temporary file ends with the last process that has it open.

    :ivar unreadable: the places of the unreadable rows.
    """

    schema: Schema
    files: list[File]
    size_in_bytes: int
    unreadable: list[int]
    _columns: pa.Table | None = field(default=None, repr=False)
    _file: BinaryIO | None = field(default=None, repr=False)

    def __len__(self) -> int:
        """Return how many rows could be read."""
        return self.number_of_rows - len(self.unreadable)

    @property
    def number_of_rows(self) -> int:
        """Return how many rows there are, readable or not."""
        return self.files[-1].last

    @property
    def number_of_files(self) -> int:
        """Return how many files the data came from."""
        return len(self.files)

    def numbers(self, name: str) -> Floats:
        """Return an attribute's values as numbers, NaN where there is none, over the rows that could be read."""
        from amazon_ml_local.learning.columns import numbers_of

        columns = self._open_columns()
        if f"number:{name}" in columns.column_names:
            numbers: Floats = _array(columns, f"number:{name}").to_numpy()
            return numbers
        return numbers_of(_array(columns, f"text:{name}"))

    def texts(self, name: str) -> Texts:
        """Return an attribute's values as texts, over the rows that could be read."""
        from amazon_ml_local.learning.columns import Distinct, Texts, texts_of

        columns = self._open_columns()
        if f"text:{name}" not in columns.column_names:
            return texts_of(self.numbers(name))
        texts = _array(columns, f"text:{name}")
        return Texts(Distinct(texts.dictionary), texts.indices.to_numpy())

    def write_columns(self, file: IO[bytes]) -> None:
        """Write the columns into a file, from which ``with_columns`` reads them."""
        import pyarrow as pa

        columns = self._open_columns()
        with pa.ipc.new_file(file, columns.schema) as writer:
            writer.write_table(columns)
        file.flush()

    @property
    def file(self) -> BinaryIO | None:
        """The file that holds the columns, None while they are in memory."""
        return self._file

    def with_columns(self, file: BinaryIO) -> Table:
        """Return this table with the columns that ``write_columns`` wrote into a file, also in another process."""
        return replace(self, _columns=None, _file=file)

    def without_columns(self) -> Table:
        """Return this table without its columns."""
        return replace(self, _columns=None, _file=None)

    def __getstate__(self) -> dict[str, object]:
        """Return the state for another process of this machine; columns in a file are not copied."""
        return {**vars(self), "_columns": None} if self._file else vars(self)

    def _open_columns(self) -> pa.Table:
        """Return the columns; those in a file are mapped into memory for as long as the caller uses them."""
        import pyarrow as pa

        if self._columns is not None:
            return self._columns
        if self._file is None:
            raise ValueError("This table has no columns.")
        return pa.ipc.open_file(pa.memory_map(f"/dev/fd/{self._file.fileno()}")).read_all()


def _array(columns: pa.Table, name: str) -> pa.Array:
    """Return a column as one array, which it already is unless it has no rows."""
    return columns[name].chunk(0) if columns[name].num_chunks else columns[name].combine_chunks()
