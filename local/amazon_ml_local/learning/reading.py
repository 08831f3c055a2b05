"""Read CSV files in S3 into the table of a data source."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from amazon_ml_local.learning.columns import Columns
from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.lines import LineReader
from amazon_ml_local.learning.log import silent
from amazon_ml_local.learning.rearrangement import parse_rearrangement
from amazon_ml_local.learning.schema import parse_schema
from amazon_ml_local.learning.table import File, Table
from amazon_ml_local.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import IO

    from amazon_ml_local.learning.lines import Flags, Places
    from amazon_ml_local.learning.log import Log
    from amazon_ml_local.learning.rearrangement import Split
    from amazon_ml_local.learning.schema import Schema
    from amazon_ml_local.learning.table import DataSource
    from amazon_ml_local.storage import Storage


def read_table(source: DataSource, storage: Storage, log: Log = silent) -> Table:
    """Return the rows of a data source whose files are in S3.

    :param source: needs `location_s3` (a file, or a folder of files) and `schema` or `schema_location_s3`.
    :raises LearningError: when location, schema, rearrangement or data cannot be used.
    """
    files = {uri: BytesIO(_read(storage, uri)) for uri in data_files(source["location_s3"], storage)}
    return make_table(files, {**source, "schema": schema_text(source, storage)}, log=log)


def data_files(location: str, storage: Storage) -> list[str]:
    """Return the URIs of the data files at a location. Raises LearningError when there is none."""
    try:
        uris = [uri for uri in storage.list(location) if not uri.endswith(("/", ".schema"))]
    except StorageError as error:
        raise LearningError(str(error)) from error
    if not uris:
        raise LearningError(f"No data file at {location}: upload one, or correct the location.")
    return uris


def schema_text(source: DataSource, storage: Storage) -> str:
    """Return a data source's schema, from S3 if it is there. Raises LearningError."""
    if schema := source.get("schema"):
        return schema
    try:
        return storage.read(source.get("schema_location_s3", "")).decode()
    except (StorageError, UnicodeDecodeError) as error:
        raise LearningError(f"The data schema cannot be read. {error}") from error


def make_table(
    files: Mapping[str, IO[bytes]], source: DataSource, has_header: bool | None = None, log: Log = silent
) -> Table:
    """Return the rows of a data source from its CSV files, given by URI.

    :param source: needs `schema`, may have `rearrangement`.
    :param has_header: whether each file begins with a header; None means by the schema.
    :raises LearningError: when schema, rearrangement or data cannot be used.
    """
    schema, split = parse_schema(source["schema"]), parse_rearrangement(source.get("rearrangement"))
    header = schema.has_header if has_header is None else has_header
    columns, size = Columns(schema), 0
    offsets, readable = [], []  # of the records: where they begin in all files together, and whether they can be read
    ends = [0]  # the number of records up to the end of each file
    for uri, file in files.items():
        reader = LineReader(uri, file, header, len(schema.kinds))
        for records in reader:
            offsets.append(records.offsets + size)
            readable.append(records.readable)
            columns.add(records.body)
        size += reader.size
        ends.append(ends[-1] + reader.total)
        log(f"{uri}: {reader.size:,} bytes, {reader.total:,} records, {reader.wrong:,} of them cannot be read")
    if not ends[-1]:
        raise LearningError(f"No record in {', '.join(files)}: a data source needs at least one.")
    return _table_of_split(split, schema, columns, files, ends, np.concatenate(offsets), np.concatenate(readable), size)


def _table_of_split(
    split: Split,
    schema: Schema,
    columns: Columns,
    uris: Iterable[str],
    ends: list[int],
    offsets: Places,
    readable: Flags,
    size: int,
) -> Table:
    """Return the table of the rows that a split takes.

    :param ends: 0, and the number of records up to the end of each file.
    :param offsets: where each record begins, in all files together.
    :param readable: whether each record can be read.
    :param size: the number of bytes of all files.
    """
    taken = split.takes(offsets)
    before = np.concatenate(([0], np.cumsum(taken)))  # how many rows are taken before each record
    ranges = zip(uris, pairwise(ends), strict=True)
    return Table(
        schema,
        [File(uri, int(before[first]), int(before[last])) for uri, (first, last) in ranges],
        size,
        np.flatnonzero(~readable[taken]).tolist(),
        columns.finish(None if taken.all() else taken[readable]),
    )


def _read(storage: Storage, uri: str) -> bytes:
    try:
        return storage.read(uri)
    except StorageError as error:
        raise LearningError(str(error)) from error
