"""A real Airflow (api-server, scheduler, Dag processor, two triggerers; LocalExecutor, SQLite) beside the service."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from airflow_ml_provider.local.fixture import served
from scripts.processes import BIN, Processes, airflow_environment, free_port
from tests.conftest import ROWS, SCHEMA

DAGS = Path(__file__).parent / "dags"


class Airflow:
    """Airflow's processes, and its API."""

    def __init__(self, processes: Processes, env: dict[str, str], url: str) -> None:
        self.processes, self.env, self.url = processes, env, url
        self.token = ""

    def start(self, name: str) -> None:
        """Start a component; ``triggerer-2`` is a second triggerer."""
        self.processes.start(name, str(BIN / "airflow"), name.partition("-2")[0], env=self.env)

    def kill(self, name: str) -> None:
        """Kill -9 a component and its children."""
        process = self.processes.running.pop(name)
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        process.wait()

    def kill_worker(self) -> None:
        """Kill -9 the executor's process that runs a task, and the task's own."""
        scheduler = psutil.Process(self.processes.running["scheduler"].pid)
        workers = [worker for worker in scheduler.children(recursive=True) if worker.children()]
        lowest = [worker for worker in workers if not any(child.children() for child in worker.children())]
        assert lowest, "no worker runs a task"
        for worker in lowest:
            for one in [*worker.children(), worker]:
                one.kill()

    def call(self, method: str, path: str, body: object = None):
        """Call the API, and return its answer."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def log_in(self) -> None:
        """Get a token: everybody is an admin here."""
        with urllib.request.urlopen(f"{self.url}/auth/token", timeout=60) as response:
            self.token = json.load(response)["access_token"]

    def run(self, dag_id: str, *models: str) -> Run:
        """Start a run of a Dag for the endpoints of models."""
        body = {"logical_date": None, "conf": {"models": models}}
        answer = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        return Run(self, dag_id, answer["dag_run_id"])


class Run:
    """One run of a Dag."""

    def __init__(self, airflow: Airflow, dag_id: str, run_id: str) -> None:
        self.airflow, self.dag_id = airflow, dag_id
        self.path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
        self.run_id = run_id

    @property
    def state(self) -> str:
        return self.airflow.call("GET", self.path)["state"]

    @property
    def creates(self) -> list[dict]:
        """The task instances that make endpoints."""
        found = self.airflow.call("GET", f"{self.path}/taskInstances?limit=100")["task_instances"]
        return [instance for instance in found if instance["task_id"] == "create"]

    @property
    def states(self) -> Counter:
        return Counter(instance["state"] for instance in self.creates)

    def mark(self, state: str) -> None:
        """Mark the task as failed or success, as a user does."""
        self.airflow.call("PATCH", f"{self.path}/taskInstances/create", {"new_state": state})

    def clear(self) -> None:
        """Clear the task, as a user does."""
        body = {"dry_run": False, "task_ids": ["create"], "dag_run_id": self.run_id, "only_failed": False}
        self.airflow.call("POST", f"/api/v2/dags/{self.dag_id}/clearTaskInstances", body)


def until(condition: Callable[[], bool], seconds: float = 90, what: Callable[[], object] = lambda: "") -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.5)
    raise AssertionError(f"not so within {seconds} s: {what()}")


@pytest.fixture(scope="session")
def shared_service() -> Iterator:
    with served() as service:
        service.storage.write("s3://bucket/train.csv", ROWS.encode())
        location = {"DataLocationS3": "s3://bucket/train.csv", "DataSchema": json.dumps(SCHEMA)}
        service.client().create_data_source_from_s3(DataSourceId="ds", DataSpec=location, ComputeStatistics=True)
        yield service


@pytest.fixture
def service(shared_service):
    """The service, with no faults and no requests from earlier tests."""
    shared_service.faults.clear()
    shared_service.requests.clear()
    return shared_service


@pytest.fixture
def models(service, request) -> Callable[[int], list[str]]:
    """Make so many trained models, of names that no other test has."""

    def make(count: int) -> list[str]:
        client = service.client()
        names = [f"{request.node.name.replace('[', '-').rstrip(']')[:50]}-{number}" for number in range(count)]
        for name in names:
            client.create_ml_model(MLModelId=name, MLModelType="BINARY", TrainingDataSourceId="ds")
        trained = lambda: all(client.get_ml_model(MLModelId=n)["Status"] == "COMPLETED" for n in names)  # noqa: E731
        until(trained)
        service.requests.clear()
        return names

    return make


@pytest.fixture(scope="session")
def airflow(shared_service, tmp_path_factory) -> Iterator[Airflow]:
    home, port = tmp_path_factory.mktemp("airflow"), free_port()
    env = airflow_environment(home, shared_service.url, port) | {
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    }
    subprocess.run([BIN / "airflow", "db", "migrate"], env=env, check=True, capture_output=True, timeout=120)
    with Processes(home / "logs") as processes:
        one = Airflow(processes, env, f"http://127.0.0.1:{port}")
        one.start("api-server")
        for component in ("scheduler", "dag-processor", "triggerer"):
            one.start(component)
        processes.wait_for("api-server", f"{one.url}/api/v2/monitor/health", 120)
        one.log_in()
        until(lambda: one.call("GET", "/api/v2/dags")["total_entries"] == 5, 120)
        yield one
