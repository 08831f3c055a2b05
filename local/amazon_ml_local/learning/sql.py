"""Read the rows of a data source by a query on a local database in place of Redshift or RDS.

Whatever the query is, it can only read: it runs as one statement, as a subquery of ours, in a read-only transaction.
"""

from __future__ import annotations

import csv
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.log import silent
from amazon_ml_local.learning.reading import make_table, schema_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.engine import URL

    from amazon_ml_local.learning.log import Log
    from amazon_ml_local.learning.table import DataSource, Table
    from amazon_ml_local.storage import Storage

Rows = Sequence[Iterable[object]]

QUERY_SECONDS = 60
STEPS_BETWEEN_CHECKS = 10_000  # of SQLite's virtual machine


def read_sql_table(source: DataSource, storage: Storage, log: Log = silent) -> Table:
    """Return the rows that a data source's query selects, its columns in the order of the schema's attributes.

    :param source: needs `query`, `database_url` (SQLAlchemy's form) and `schema` or `schema_location_s3`; a
        `location_s3` is the name under which batch predictions report these rows.
    :raises LearningError: when query, schema or data cannot be used; the message contains no password.
    """
    source = {**source, "schema": schema_text(source, storage)}
    file = BytesIO()
    out = TextIOWrapper(file, "utf-8", newline="")
    rows = _select(source["database_url"], source["query"])
    log(f"The database answered the query with {len(rows):,} rows")
    csv.writer(out, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    out.detach().seek(0)
    return make_table({source.get("location_s3", "query"): file}, source, has_header=False, log=log)


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
        return READERS[database](url, _subquery(query))
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

    with create_engine(url, poolclass=NullPool).connect() as connection:
        # The driver shall not look for parameters: a % or : belongs to the query.
        plain = connection.execution_options(no_parameters=True)
        plain.exec_driver_sql("SET TRANSACTION READ ONLY")
        plain.exec_driver_sql(f"SET LOCAL statement_timeout = {round(1000 * QUERY_SECONDS)}")
        return list(plain.exec_driver_sql(query).fetchall())


def _select_from_sqlite(url: URL, query: str) -> Rows:
    until = time.monotonic() + QUERY_SECONDS
    with closing(sqlite3.connect(_sqlite_uri(url.database), uri=True)) as connection:
        connection.set_progress_handler(lambda: time.monotonic() > until, STEPS_BETWEEN_CHECKS)
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise ValueError(f"it took longer than {QUERY_SECONDS} seconds") from None
            raise


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
