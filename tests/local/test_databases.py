"""Data sources that are the answer of a query."""

from __future__ import annotations

import json
import logging
import sqlite3
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from amazon_ml_local import AmazonMLLocal, MemoryStorage
from amazon_ml_local.learning import sql
from tests.local.database_sources import COMMON, PASSWORD, RDS, REDSHIFT, ROLE


@pytest.fixture
def service(tmp_path: Path) -> Iterator[AmazonMLLocal]:
    """A service that knows the database ``shop``."""
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("create table samples (x integer, y integer)")
        database.executemany("insert into samples values (?, ?)", [(x, x >= 20) for x in range(40)])
        database.execute("insert into samples values (null, 1)")
    database.close()
    local = AmazonMLLocal(MemoryStorage(), databases={"shop": f"sqlite:///{tmp_path / 'shop.db'}"})
    local.clock.freeze()
    yield local
    local.close()


def create(client: Any, kind: str, **changes: Any) -> None:
    if kind == "redshift":
        client.create_data_source_from_redshift(
            DataSourceId="ds-1", DataSpec={**REDSHIFT, **changes}, RoleARN=ROLE, ComputeStatistics=True
        )
    else:
        client.create_data_source_from_rds(
            DataSourceId="ds-1", RDSData={**RDS, **changes}, RoleARN=ROLE, ComputeStatistics=True
        )


KINDS = pytest.mark.parametrize("kind", ["redshift", "rds"])


@KINDS
def test_a_model_learns_from_what_a_query_selects(kind: str, client: Any, service: Any) -> None:
    create(client, kind)
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    service.clock.advance(3600)
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "COMPLETED"


@KINDS
def test_get_tells_of_the_database_and_the_query(kind: str, client: Any, service: Any) -> None:
    """The query when it is asked for; the user, but not the password."""
    metadata = {"redshift": "RedshiftMetadata", "rds": "RDSMetadata"}[kind]
    create(client, kind)
    service.clock.advance(3600)
    found = client.get_data_source(DataSourceId="ds-1", Verbose=True)
    assert (found["Status"], found["RoleARN"]) == ("COMPLETED", ROLE)
    assert found["DataLocationS3"] == "s3://bucket/staging/"
    assert found[metadata]["DatabaseUserName"] == "reader"
    assert found[metadata]["SelectSqlQuery"] == COMMON["SelectSqlQuery"]
    assert "shop" in json.dumps(found[metadata])
    assert "SelectSqlQuery" not in client.get_data_source(DataSourceId="ds-1")[metadata]


@KINDS
def test_a_database_that_is_not_mapped_fails_and_says_how_to_map_it(kind: str, client: Any, service: Any) -> None:
    changes = {**(REDSHIFT if kind == "redshift" else RDS)["DatabaseInformation"], "DatabaseName": "other"}
    create(client, kind, DatabaseInformation=changes)
    service.clock.advance(3600)
    found = client.get_data_source(DataSourceId="ds-1")
    assert found["Status"] == "FAILED"
    assert "--database other=URL" in found["Message"]


@KINDS
def test_the_password_appears_in_no_answer_and_no_log(
    kind: str, client: Any, service: Any, caplog: Any, refused: Any
) -> None:
    caplog.set_level(logging.DEBUG, "amazon_ml_local")
    create(client, kind)
    create(client, kind)
    unchecked = service.client(config=Config(parameter_validation=False))
    short = {"DatabaseCredentials": {"Username": "u", "Password": "tiny!"}}
    refused("InvalidInputException", "Value **** at", create, client=unchecked, kind=kind, **short)
    service.clock.advance(3600)
    told = [client.get_data_source(DataSourceId="ds-1", Verbose=True), client.describe_data_sources()]
    told += [list(service.requests), caplog.text]
    assert PASSWORD not in str(told)
    assert "tiny!" not in str(told)


def test_a_bad_query_fails_with_the_databases_own_words(client: Any, service: Any) -> None:
    create(client, "redshift", SelectSqlQuery="select nothing from nowhere")
    service.clock.advance(3600)
    found = client.get_data_source(DataSourceId="ds-1")
    assert found["Status"] == "FAILED"
    assert "syntax error" in found["Message"]


@pytest.fixture
def message(client: Any, service: Any) -> Any:
    """Return the Message of a data source whose query is to fail: ``message(query)``."""

    def ask(query: str) -> str:
        create(client, "redshift", SelectSqlQuery=query)
        service.clock.advance(3600)
        found = client.get_data_source(DataSourceId="ds-1")
        assert found["Status"] == "FAILED"
        return str(found["Message"])

    return ask


@pytest.mark.parametrize(
    "query",
    [
        "drop table samples",
        "delete from samples returning x, y",
        "insert into samples values (1, 1)",
        "update samples set x = 0 returning x, y",
        "with gone as (select 1) delete from samples returning x, y",
        "with gone as (delete from samples returning x, y) select * from gone",
        "vacuum into 'stolen.db'",
        "attach 'stolen.db' as stolen",
        "pragma writable_schema = 1",
        "create table stolen as select * from samples",
        "select x, y from samples; drop table samples",
        "select x, y from samples) as a; drop table samples; --",
        "select x, y from samples) as a; vacuum into 'stolen.db'; select * from (select 1",
        "select x, y from samples) as a union select * from (delete from samples returning x, y",
        "select ';', x from samples",
        "select load_extension('stolen'), 1",
        "select writefile('stolen.db', 'x'), 1",
        "",
    ],
)
def test_a_query_can_do_nothing_but_read(query: str, message: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """The database and its folder are as they were, whatever the query says."""
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "shop.db").read_bytes()
    assert "did not answer the data source's query" in message(query or "--")
    assert [path.name for path in tmp_path.iterdir()] == ["shop.db"]
    assert (tmp_path / "shop.db").read_bytes() == before


@pytest.mark.parametrize(
    "query",
    [
        "select x, y from samples where x is not null order by x desc;",
        "select x, y from samples where x is not null -- all of them",
        "with some as (select x, y from samples) select * from some where x is not null",
        "values (1, 0), (2, 1)",
    ],
)
def test_whatever_selects_rows_is_a_query(query: str, client: Any, service: Any) -> None:
    """A semicolon or a comment at the end, a WITH clause or VALUES are as good as a plain SELECT."""
    create(client, "redshift", SelectSqlQuery=query)
    service.clock.advance(3600)
    assert client.get_data_source(DataSourceId="ds-1")["Status"] == "COMPLETED"


def test_a_query_that_runs_too_long_is_ended(message: Any, monkeypatch: Any) -> None:
    """No query keeps a worker for ever."""
    monkeypatch.setattr(sql, "QUERY_SECONDS", 0.2)
    endless = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*), 1 from n"
    assert "it took longer than 0.2 seconds" in message(endless)


def test_a_large_answer_is_read_in_a_process(client: Any, service: Any) -> None:
    """As a large file is; its columns are then in a file, and the rows are those that the query selects."""
    service.state.jobs.work.heavy_bytes = 0
    create(client, "redshift", SelectSqlQuery="select x, y from samples where x < 3 order by x desc")
    service.clock.advance(3600)
    assert client.get_data_source(DataSourceId="ds-1")["Status"] == "COMPLETED"
    (entity,) = service.state.region("us-east-1").all("DataSource")
    table = entity.job.result().table
    assert table.file is not None
    assert table.numbers("x").tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("first", "following", "reason"),
    [("1", "x + 1", "it took longer than 0.5 seconds"), ("'x'", "x || x", "string or blob too big")],
)
def test_an_endless_answer_does_not_fill_the_services_memory(
    first: str, following: str, reason: str, client: Any, service: Any, message: Any, monkeypatch: Any
) -> None:
    """Neither by its rows nor by a value that grows."""
    endless = f"with recursive n(x) as (select {first} union all select {following} from n) select x, 1 from n"
    create(client, "redshift")  # which imports what reads it
    service.clock.advance(3600)
    client.delete_data_source(DataSourceId="ds-1")
    monkeypatch.setattr(sql, "QUERY_SECONDS", 0.5)
    monkeypatch.setattr(sql, "MOST_VALUE_BYTES", 100_000)
    service.state.jobs.work.heavy_bytes = 100_000
    tracemalloc.start()
    try:
        said = message(endless)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert reason in said
    assert peak < 10 * 2**20


def test_a_database_file_that_is_missing_is_not_made(message: Any, tmp_path: Path) -> None:
    """SQLite would make an empty one."""
    (tmp_path / "shop.db").unlink()
    assert "unable to open database file" in message("select 1, 0")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_cannot_be_read_safely_is_refused() -> None:
    """What a query may do is known of SQLite and Postgres alone."""
    service = AmazonMLLocal(MemoryStorage(), databases={"shop": f"mysql+pymysql://admin:{PASSWORD}@127.0.0.1/shop"})
    service.clock.freeze()
    create(service.client(), "rds")
    service.clock.advance(3600)
    found = service.client().get_data_source(DataSourceId="ds-1")
    assert "cannot read mysql safely; it reads sqlite and postgresql" in found["Message"]
    service.close()
