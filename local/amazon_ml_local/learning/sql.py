"""Read the rows of a data source by a query on a local database in place of Redshift or RDS.

Whatever the query is, it can only read: it runs as one statement, as a subquery of ours, in a read-only transaction.
"""

from __future__ import annotations

import csv
import sqlite3
import time
from contextlib import closing
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, quote_plus

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.log import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from typing import IO

    from sqlalchemy.engine import URL, Connection

    from amazon_ml_local.learning.log import Log

Rows: TypeAlias = "Generator[Iterable[object], None, None]"

QUERY_SECONDS = 60
STEPS_BETWEEN_CHECKS = 10_000  # of SQLite's virtual machine
MOST_VALUE_BYTES = 16 * 1024 * 1024  # of a value or row in SQLite, which would let one grow to 1 GB
ROWS_AT_ONCE = 1_000  # from Postgres


def write_rows(database_url: str, query: str, file: IO[bytes], log: Log = silent) -> None:
    """Append the rows that a query selects to a file, as CSV without a header; only a few are in memory at a time.

    :param database_url: in SQLAlchemy's form.
    :raises LearningError: when the database does not answer the query; the message contains no password.
    :raises OSError: when the file cannot be written.
    """
    out, number = TextIOWrapper(file, "utf-8", newline=""), 0
    writer = csv.writer(out, lineterminator="\n")
    with closing(_select(database_url, query)) as rows:
        for number, row in enumerate(rows, 1):  # noqa: B007 - its last value is the number of rows
            writer.writerow([_cell(value) for value in row])
    out.detach()
    log(f"The database answered the query with {number:,} rows")


def _select(database_url: str, query: str) -> Rows:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = make_url(database_url)
    except (SQLAlchemyError, ValueError):
        raise LearningError("The database is not mapped to an SQLAlchemy URL such as sqlite:///file.db.") from None
    database = url.get_backend_name()
    if database not in READERS:
        raise LearningError(f"Amazon ML Local cannot read {database} safely; it reads {' and '.join(READERS)}.")
    try:
        yield from READERS[database](url, _subquery(query))
    except (SQLAlchemyError, sqlite3.Error, ImportError, OSError, ValueError) as error:
        reason = getattr(error, "orig", None) or error
        message = f"The {database} database {url.database!r} did not answer the data source's query: {reason}"
        raise LearningError(_without_password(message, url)) from None


def _subquery(query: str) -> str:
    """Return a SELECT with the query as its subquery: no other kind of statement can be one.

    A semicolon anywhere but at the end is refused, also within quotes and comments, since their syntax differs between
    databases.
    """
    statement = query.strip().removesuffix(";")
    if ";" in statement:
        raise ValueError("it is to be one statement: no semicolon but at its end, in a text chr(59), SQLite's char(59)")
    # The query may end with a comment, which the end of the line ends.
    return f"SELECT * FROM (\n{statement}\n) AS data_source"


def _select_from_postgres(url: URL, query: str) -> Rows:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    until = time.monotonic() + QUERY_SECONDS
    with create_engine(url, poolclass=NullPool).connect() as connection:
        # The driver shall not look for parameters: a % or : belongs to the query.
        plain = connection.execution_options(no_parameters=True)
        plain.exec_driver_sql("SET TRANSACTION READ ONLY")
        _limit_next_statement(plain, until)
        found = plain.exec_driver_sql(query, execution_options={"stream_results": True})
        while True:
            _limit_next_statement(plain, until)  # which the portion before may have lifted
            rows = found.fetchmany(ROWS_AT_ONCE)
            if not rows:
                return
            yield from rows


def _limit_next_statement(connection: Connection, until: float) -> None:
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(1000 * _seconds_left(until)))}")


def _select_from_sqlite(url: URL, query: str) -> Rows:
    until = time.monotonic() + QUERY_SECONDS
    with closing(sqlite3.connect(_sqlite_uri(url.database), uri=True)) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_VALUE_BYTES)
        connection.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_CHECKS)
        try:
            yield from connection.execute(query)
        except sqlite3.OperationalError:
            _seconds_left(until)
            raise


def _seconds_left(until: float) -> float:
    """Return how long a query may still take. Raises ValueError when that is over."""
    if (left := until - time.monotonic()) <= 0:
        raise ValueError(f"it took longer than {QUERY_SECONDS} seconds")
    return left


def _sqlite_uri(database: str | None) -> str:
    if not database or database == ":memory:":
        return "file::memory:"
    path = Path(database.removeprefix("file:")).absolute()
    return f"{path.as_uri()}?mode=ro"


READERS: Mapping[str, Callable[[URL, str], Rows]] = {
    "sqlite": _select_from_sqlite,
    "postgresql": _select_from_postgres,
}


def _without_password(message: str, url: URL) -> str:
    """Return the message with the URL's password replaced, however it is quoted."""
    for password in filter(None, (str(url.password or ""), str(url.query.get("password", "")))):
        for spelling in (password, quote(password), quote_plus(password)):
            message = message.replace(spelling, "***")
    return message


def _cell(value: object) -> str:
    """Return a value as the text of one line, which is what a record of a data source is; NULL is missing."""
    return "" if value is None else " ".join(str(value).splitlines())
