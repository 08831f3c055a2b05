"""Data sources that are the answer of a query."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from amazon_ml_local import AmazonMLLocal, MemoryStorage

PASSWORD = "hunter2-and-more"
SCHEMA = json.dumps(
    {
        "version": "1.0",
        "targetAttributeName": "y",
        "dataFormat": "CSV",
        "dataFileContainsHeader": False,
        "attributes": [
            {"attributeName": "x", "attributeType": "NUMERIC"},
            {"attributeName": "y", "attributeType": "BINARY"},
        ],
    }
)
COMMON = {
    "SelectSqlQuery": "select x, y from samples where x is not null",
    "DatabaseCredentials": {"Username": "reader", "Password": PASSWORD},
    "S3StagingLocation": "s3://bucket/staging/",
    "DataSchema": SCHEMA,
}
ROLE = "arn:aws:iam::123456789012:role/reader"
REDSHIFT = {**COMMON, "DatabaseInformation": {"DatabaseName": "shop", "ClusterIdentifier": "cluster"}}
RDS = {
    **COMMON,
    "DatabaseInformation": {"DatabaseName": "shop", "InstanceIdentifier": "instance"},
    "ResourceRole": "DataPipelineDefaultResourceRole",
    "ServiceRole": "DataPipelineDefaultRole",
    "SubnetId": "subnet-1",
    "SecurityGroupIds": ["sg-1"],
}


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


@pytest.mark.parametrize(("kind", "metadata"), [("redshift", "RedshiftMetadata"), ("rds", "RDSMetadata")])
def test_a_model_learns_from_what_a_query_selects(kind: str, metadata: str, client: Any, service: Any):
    create(client, kind)
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    service.clock.advance(3600)
    found = client.get_data_source(DataSourceId="ds-1", Verbose=True)
    assert (found["Status"], found["RoleARN"]) == ("COMPLETED", ROLE)
    assert found["DataLocationS3"] == "s3://bucket/staging/"
    assert found[metadata]["DatabaseUserName"] == "reader"
    assert found[metadata]["SelectSqlQuery"] == COMMON["SelectSqlQuery"]
    assert "shop" in json.dumps(found[metadata])
    assert "SelectSqlQuery" not in client.get_data_source(DataSourceId="ds-1")[metadata]
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "COMPLETED"


@pytest.mark.parametrize("kind", ["redshift", "rds"])
def test_a_database_that_is_not_mapped_fails_and_says_how_to_map_it(kind: str, client: Any, service: Any):
    changes = {**(REDSHIFT if kind == "redshift" else RDS)["DatabaseInformation"], "DatabaseName": "other"}
    create(client, kind, DatabaseInformation=changes)
    service.clock.advance(3600)
    found = client.get_data_source(DataSourceId="ds-1")
    assert found["Status"] == "FAILED"
    assert "--database other=URL" in found["Message"]


@pytest.mark.parametrize("kind", ["redshift", "rds"])
def test_the_password_appears_in_no_answer_and_no_log(kind: str, client: Any, service: Any, caplog: Any, refused: Any):
    caplog.set_level(logging.DEBUG, "airflow_ml_provider")
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


def test_a_bad_query_fails_with_the_databases_own_words(client: Any, service: Any):
    create(client, "redshift", SelectSqlQuery="select nothing from nowhere")
    service.clock.advance(3600)
    found = client.get_data_source(DataSourceId="ds-1")
    assert found["Status"] == "FAILED"
    assert "syntax error" in found["Message"]
