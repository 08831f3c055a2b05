"""A Redshift data source reads a real Postgres database that the user maps to its name."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from amazon_ml_local import AmazonMLLocal, MemoryStorage
from scripts.processes import free_port
from tests.local.conftest import schema

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

PASSWORD = "not-for-your-eyes"
BINARIES = (*Path("/usr/lib/postgresql").glob("*/bin"),)


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Postgres server of its own, which runs as Debian's user ``postgres``."""
    assert BINARIES, "Postgres is missing: apt-get install postgresql"
    folder, port = tmp_path_factory.mktemp("postgres") / "data", free_port()
    for parent in (folder.parent, folder.parent.parent, folder.parent.parent.parent):
        parent.chmod(0o755)
    folder.mkdir()
    shutil.chown(folder, "postgres")
    (folder.parent / "password").write_text(PASSWORD)

    def run(command: str, *arguments: str) -> None:
        subprocess.run([BINARIES[-1] / command, *arguments], user="postgres", check=True, timeout=120, cwd="/")

    run("initdb", "-D", str(folder), "-U", "admin", "-A", "scram-sha-256", f"--pwfile={folder.parent / 'password'}")
    options = f"-p {port} -h 127.0.0.1 -k {folder}"
    run("pg_ctl", "-D", str(folder), "-o", options, "-l", str(folder / "log"), "-w", "start")
    yield f"postgresql+psycopg2://admin:{PASSWORD}@127.0.0.1:{port}/postgres"
    run("pg_ctl", "-D", str(folder), "-m", "immediate", "stop")


@pytest.fixture
def service(database_url: str) -> Iterator[AmazonMLLocal]:
    """The service, which knows the server as the database ``warehouse``."""
    service = AmazonMLLocal(MemoryStorage(), databases={"warehouse": database_url})
    service.clock.freeze()
    yield service
    service.close()


def create(service: AmazonMLLocal, query: str) -> dict[str, object]:
    client = service.client()
    credentials = {"Username": "admin", "Password": "another-password"}
    client.create_data_source_from_redshift(
        DataSourceId="ds-1",
        DataSpec={
            "DatabaseInformation": {"DatabaseName": "warehouse", "ClusterIdentifier": "cluster"},
            "DatabaseCredentials": credentials,
            "SelectSqlQuery": query,
            "S3StagingLocation": "s3://staging/",
            "DataSchema": schema("sign"),
        },
        RoleARN="arn:aws:iam::123456789012:role/redshift",
        ComputeStatistics=True,
    )
    service.clock.advance(3600)
    return client.get_data_source(DataSourceId="ds-1")


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
