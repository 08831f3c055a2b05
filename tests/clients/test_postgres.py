"""A Redshift data source reads a real Postgres database that the user maps to its name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from amazon_ml_local import AmazonMLLocal, MemoryStorage
from amazon_ml_local.learning import sql
from tests.helpers.postgres import postgres_server
from tests.helpers.three_targets import schema

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

PASSWORD = "not-for-your-eyes"


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """The URL of a Postgres server of its own."""
    with postgres_server(PASSWORD) as url:
        yield url


@pytest.fixture
def service(database_url: str) -> Iterator[AmazonMLLocal]:
    """The service, which knows the server as the database ``warehouse``."""
    service = AmazonMLLocal(MemoryStorage(), databases={"warehouse": database_url})
    service.clock.freeze()
    yield service
    service.close()


def create(service: AmazonMLLocal, query: str) -> dict[str, Any]:
    client = service.client()
    client.create_data_source_from_redshift(
        DataSourceId="ds-1",
        DataSpec={
            "DatabaseInformation": {"DatabaseName": "warehouse", "ClusterIdentifier": "cluster"},
            "DatabaseCredentials": {"Username": "admin", "Password": "another-password"},
            "SelectSqlQuery": query,
            "S3StagingLocation": "s3://staging/",
            "DataSchema": schema("sign"),
        },
        RoleARN="arn:aws:iam::123456789012:role/redshift",
        ComputeStatistics=True,
    )
    service.clock.advance(3600)
    return {**client.get_data_source(DataSourceId="ds-1")}


def test_the_query_runs_on_the_mapped_database(service: AmazonMLLocal) -> None:
    """The rows that the query selects are the data source's rows, and a model learns from them."""
    columns = "n::float AS x, CASE WHEN n > 0 THEN 1 ELSE 0 END AS sign, 2 * n AS double, 'low' AS third"
    found = create(service, f"SELECT {columns} FROM generate_series(-50, 49) n")
    assert found["Status"] == "COMPLETED", found.get("Message")
    client = service.client()
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    service.clock.advance(3600)
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "COMPLETED"


def test_a_bad_query_says_what_postgres_says(service: AmazonMLLocal) -> None:
    """FAILED carries the database's own words, and no password."""
    found = create(service, "SELECT * FROM nowhere")
    assert found["Status"] == "FAILED"
    assert "nowhere" in found["Message"]
    assert PASSWORD not in str(found)


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    """Run one statement on the server, as its owner does: ``run(statement)`` gives its rows, if it has any."""
    from sqlalchemy import create_engine

    def execute(statement: str) -> list[tuple[Any, ...]]:
        with create_engine(database_url, isolation_level="AUTOCOMMIT").connect() as connection:
            found = connection.exec_driver_sql(statement)
            return [tuple(row) for row in found] if found.returns_rows else []

    return execute


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO PROGRAM 'touch {stolen}'",
        "SELECT 1, 2; COPY (SELECT 1) TO PROGRAM 'touch {stolen}'",
        "SELECT 1, 2) AS a; COMMIT; COPY (SELECT 1) TO PROGRAM 'touch {stolen}'; --",
        "SELECT 1, 2) AS a; COMMIT; DROP TABLE kept; SELECT * FROM (SELECT 1",
        "SELECT $$'$$; DROP TABLE kept; --'",
        "SELECT E'\\'; DROP TABLE kept; --'",
        "WITH gone AS (DELETE FROM kept RETURNING n) SELECT n, n FROM gone",
        "DELETE FROM kept RETURNING n, n",
        "SELECT n, n FROM kept FOR UPDATE",
        "SELECT nextval('numbers'), 1",
        "SELECT 1, 2 INTO stolen",
        "SELECT * FROM query_to_xml('DELETE FROM kept RETURNING n', true, true, '')",
        "SELECT set_config('transaction_read_only', 'off', true), 1",
        "TRUNCATE kept",
        "DO $$ BEGIN DELETE FROM kept$$",
        "CREATE TABLE stolen AS SELECT 1",
    ],
)
def test_a_query_can_do_nothing_but_read(query: str, service: AmazonMLLocal, run: Any, tmp_path: Path) -> None:
    """No program runs and nothing changes on the server, though the mapped user is its superuser."""
    stolen = tmp_path / "stolen"
    tmp_path.chmod(0o777)
    run("CREATE TABLE IF NOT EXISTS kept (n int)")
    run("CREATE SEQUENCE IF NOT EXISTS numbers")
    run("INSERT INTO kept VALUES (1)")
    before = run("SELECT count(*), (SELECT last_value FROM numbers) FROM kept")
    found = create(service, query.format(stolen=stolen))
    assert found["Status"] == "FAILED"
    assert "did not answer the data source's query" in str(found["Message"])
    assert run("SELECT count(*), (SELECT last_value FROM numbers) FROM kept") == before
    assert run("SELECT to_regclass('stolen')") == [(None,)]
    assert not stolen.exists()


@pytest.mark.parametrize(
    "query", ["SELECT pg_sleep(60), 1", "SELECT pg_sleep(60), set_config('statement_timeout', '0', false)"]
)
def test_a_query_that_runs_too_long_is_ended(
    query: str, service: AmazonMLLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit is the server's; a query cannot lift its own."""
    monkeypatch.setattr(sql, "QUERY_SECONDS", 0.5)
    started = time.monotonic()
    assert "statement timeout" in str(create(service, query)["Message"])
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("lifted", ["1", "set_config('statement_timeout', '0', false)"])
def test_an_endless_answer_is_ended(lifted: str, service: AmazonMLLocal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit is of all portions of the rows together; a query cannot lift that of the next one."""
    monkeypatch.setattr(sql, "QUERY_SECONDS", 0.5)
    rows = "WITH RECURSIVE rows(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows)"
    started = time.monotonic()
    message = str(create(service, f"{rows} SELECT n, {lifted} FROM rows")["Message"])
    assert "statement timeout" in message or "longer than 0.5 seconds" in message
    assert time.monotonic() - started < 30


def test_rows_come_in_the_order_that_the_query_asks_for(
    service: AmazonMLLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sequential split takes the first rows, so the order counts, also over several portions."""
    monkeypatch.setattr(sql, "ROWS_AT_ONCE", 7)
    columns = "n AS x, CASE WHEN n > 20 THEN 1 ELSE 0 END AS sign, n AS double, 'low' AS third"
    query = f"SELECT {columns} FROM generate_series(1, 40) n ORDER BY n DESC; "
    assert create(service, query)["Status"] == "COMPLETED"
    (entity,) = service.state.region("us-east-1").all("DataSource")
    values = list(entity.job.result().table.numbers("x"))
    assert values == list(range(40, 0, -1))
