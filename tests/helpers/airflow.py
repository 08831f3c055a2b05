"""A real Airflow: 3.3's api-server, scheduler, Dag processor, two triggerers and LocalExecutor, or 2.11's webserver,
scheduler, triggerers and SequentialExecutor; SQLite in both."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from http import HTTPStatus
from typing import Any

import psutil
from airflow import __version__ as airflow_version

from scripts.processes import BIN, ROOT, Processes

DAGS = ROOT / "tests" / "system" / "dags"
ON_AIRFLOW_2 = airflow_version.startswith("2.")
API = "/api/v1" if ON_AIRFLOW_2 else "/api/v2"
WEB, HEALTH = ("webserver", "/health") if ON_AIRFLOW_2 else ("api-server", "/api/v2/monitor/health")
COMPONENTS = ("scheduler", "triggerer") if ON_AIRFLOW_2 else ("scheduler", "dag-processor", "triggerer")
OPTIONS = ["--skip-serve-logs"] if ON_AIRFLOW_2 else []  # of scheduler and triggerer: they would meet on one port
USER = "admin"


class Airflow:
    """Airflow's processes, and its API."""

    def __init__(self, processes: Processes, env: dict[str, str], url: str) -> None:
        self.processes, self.env, self.url = processes, env, url
        self.authorization = ""

    def start(self, name: str) -> None:
        """Start a component; ``triggerer-2`` is a second triggerer."""
        options = OPTIONS if name != WEB else []
        self.processes.start(name, str(BIN / "airflow"), name.partition("-2")[0], *options, env=self.env)

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

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the API, and return its answer; the path is below the API's version."""
        headers = {"Content-Type": "application/json", "Authorization": self.authorization}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{API}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=150) as response:  # SQLite's lock is waited for 60 s
            return json.load(response)

    def log_in(self) -> None:
        """Become an admin, as everybody is in Airflow 3 here."""
        if ON_AIRFLOW_2:
            self.authorization = f"Basic {base64.b64encode(f'{USER}:{USER}'.encode()).decode()}"
            return
        with urllib.request.urlopen(f"{self.url}/auth/token", timeout=60) as response:
            self.authorization = f"Bearer {json.load(response)['access_token']}"

    def run(self, dag_id: str, *models: str, **conf: object) -> Run:
        """Start a run of a Dag for the endpoints of models, with more in its conf."""
        body = {"conf": {"models": models, **conf}} | ({} if ON_AIRFLOW_2 else {"logical_date": None})
        answer = self.call("POST", f"/dags/{dag_id}/dagRuns", body)
        return Run(self, dag_id, answer["dag_run_id"])


def is_over(run: Run) -> bool:
    """Return whether a run has ended, well or not."""
    return run.state in {"success", "failed"}


class Run:
    """One run of a Dag."""

    def __init__(self, airflow: Airflow, dag_id: str, run_id: str) -> None:
        self.airflow, self.dag_id = airflow, dag_id
        self.path = f"/dags/{dag_id}/dagRuns/{run_id}"
        self.run_id = run_id

    @property
    def state(self) -> str:
        return str(self.airflow.call("GET", self.path)["state"])

    @property
    def instances(self) -> list[dict[str, Any]]:
        """All task instances, which the API returns by the hundred."""
        found: list[dict[str, Any]] = []
        total = 1
        while len(found) < total:
            page = self.airflow.call("GET", f"{self.path}/taskInstances?limit=100&offset={len(found)}")
            found, total = [*found, *page["task_instances"]], page["total_entries"]
        return found

    @property
    def tasks(self) -> dict[str, tuple[str, int]]:
        """State and number of the try, by task."""
        return {one["task_id"]: (one["state"], one["try_number"]) for one in self.instances}

    @property
    def creates(self) -> list[dict[str, Any]]:
        """The task instances that make endpoints."""
        return self.of("create")

    def of(self, task_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a task, which may be mapped."""
        return [instance for instance in self.instances if instance["task_id"] == task_id]

    @property
    def states(self) -> Counter[str]:
        """How many of the task instances that make endpoints are in each state."""
        return Counter(instance["state"] for instance in self.creates)

    def mark(self, state: str, task_id: str = "create", map_index: int = 0) -> None:
        """Mark the task, of a mapped one this instance, as failed or success, as a user does."""
        body = {"new_state": state} | ({"dry_run": False} if ON_AIRFLOW_2 else {})
        place = f"/{map_index}" if self.of(task_id)[0]["map_index"] >= 0 else ""
        try:
            self.airflow.call("PATCH", f"{self.path}/taskInstances/{task_id}{place}", body)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.CONFLICT:  # it is in that state already, by itself
                raise

    def clear(self, task_id: str = "create") -> None:
        """Clear the task alone, as a user may: Airflow's form has "downstream" chosen, and 3.0 to 3.2 heed it."""
        body = {
            "dry_run": False,
            "task_ids": [task_id],
            "dag_run_id": self.run_id,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.airflow.call("POST", f"/dags/{self.dag_id}/clearTaskInstances", body)


def settings(port: int) -> dict[str, str]:
    """Return the environment variables that make Airflow notice quickly, and serve its API."""
    ours = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS / "any" if ON_AIRFLOW_2 else DAGS),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    }
    if ON_AIRFLOW_2:
        return ours | {
            "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "20",
            "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "5",
            "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
            "AIRFLOW__WEBSERVER__WORKERS": "1",
        }
    return ours | {
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    }


def prepare(env: dict[str, str]) -> None:
    """Make the database, and the user that Airflow 2 wants."""
    commands = ["db migrate"]
    if ON_AIRFLOW_2:
        commands += [f"users create -r Admin -u {USER} -p {USER} -e {USER}@example.org -f {USER} -l {USER}"]
    for command in commands:
        subprocess.run([BIN / "airflow", *command.split()], env=env, check=True, capture_output=True, timeout=180)
