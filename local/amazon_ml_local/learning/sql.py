"""The rows of a data source, from a query on a database that stands in for Redshift or RDS."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.table import DataSource, Table, make_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import URL

    from amazon_ml_local.storage import Storage


def read_sql_table(source: DataSource, storage: Storage) -> Table:
    """Return the rows that a data source's query selects, its columns in the order of the schema's attributes.

    :param source: needs `query`, `database_url` (SQLAlchemy's form) and `schema` or `schema_location_s3`; a
        `location_s3` is the name under which batch predictions report these rows.
    :raises LearningError: what is wrong with the query, the schema or the data; never with a password in it.
    """
    out = StringIO()
    rows = _select(source["database_url"], source["query"])
    csv.writer(out, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return make_table({source.get("location_s3", "query"): out.getvalue().encode()}, source, storage, has_header=False)


def _select(database_url: str, query: str) -> Sequence[Iterable[object]]:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        url = make_url(database_url)
    except (SQLAlchemyError, ValueError):
        raise LearningError("The database is not mapped to an SQLAlchemy URL such as sqlite:///file.db.") from None
    try:
        with create_engine(url, poolclass=NullPool).connect() as connection:
            # The driver shall not look for parameters: a % or : belongs to the query.
            plain = connection.execution_options(no_parameters=True)
            return list(plain.exec_driver_sql(query).fetchall())
    except (SQLAlchemyError, ImportError, OSError, ValueError) as error:
        reason = getattr(error, "orig", None) or error
        where = f"The {url.get_backend_name()} database {url.database!r}"
        message = f"{where} did not answer the data source's query: {reason}"
        raise LearningError(_without_password(message, url)) from None


def _without_password(message: str, url: URL) -> str:
    """Return the message with every spelling of the URL's password blotted out."""
    for password in filter(None, (str(url.password or ""), str(url.query.get("password", "")))):
        for spelling in (password, quote(password), quote_plus(password)):
            message = message.replace(spelling, "***")
    return message


def _cell(value: object) -> str:
    return "" if value is None else " ".join(str(value).splitlines())
