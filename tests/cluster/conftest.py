"""One cluster for all tests of this folder, beside the service, which the tests' own process serves."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from amazon_ml_local.fixture import AmazonMLLocalFixture
from scripts.processes import BIN, ROOT, Processes, airflow_environment, free_port
from tests.cluster.cluster import REDIS, Cluster, until_working
from tests.helpers.airflow import HEALTH, Airflow
from tests.helpers.postgres import data_folder

DAGS = Path(__file__).parent / "dags"
DAG_IDS = {"files", "lifecycle", "waits"}


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line among pytest's own, for docs/reliability.md."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", flush=True)

    return line


@pytest.fixture
def service(shared_service: AmazonMLLocalFixture) -> AmazonMLLocalFixture:
    """The service, with no faults and no requests from earlier tests."""
    shared_service.faults.clear()
    shared_service.requests.clear()
    return shared_service


@pytest.fixture(scope="session")
def cluster_and_api(
    shared_service: AmazonMLLocalFixture, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Airflow]]:
    """The running cluster, and its API."""
    assert REDIS, "Redis is missing: apt-get install redis-server"
    folder, port = tmp_path_factory.mktemp("cluster"), free_port()
    with data_folder() as data, Processes(folder / "logs") as processes:
        cluster = Cluster(processes, folder, data)
        cluster.start_stores()
        env = airflow_environment(folder / "airflow", shared_service.url, port) | cluster.settings()
        env |= {"AIRFLOW__CORE__DAGS_FOLDER": str(DAGS), "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}
        env |= {"PYTHONPATH": str(ROOT)}
        subprocess.run([BIN / "airflow", "db", "migrate"], env=env, check=True, capture_output=True, timeout=240)
        cluster.start_airflow(env)
        try:
            api = Airflow(processes, env, f"http://127.0.0.1:{port}")
            processes.wait_for("api-server", f"{api.url}{HEALTH}", 180)
            api.log_in()
            until_working(lambda: {dag["dag_id"] for dag in api.call("GET", "/dags")["dags"]} == DAG_IDS, 180)
            yield cluster, api
        finally:
            cluster.close()


@pytest.fixture
def cluster(cluster_and_api: tuple[Cluster, Airflow]) -> Cluster:
    """The cluster."""
    return cluster_and_api[0]


@pytest.fixture
def api(cluster_and_api: tuple[Cluster, Airflow]) -> Airflow:
    """The cluster's API."""
    return cluster_and_api[1]
