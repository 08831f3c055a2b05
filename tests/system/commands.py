"""The commands of the Makefile as processes: started as a user would, read, and looked for afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import psutil

from scripts.processes import DIRECTLY, ROOT, free_port

if TYPE_CHECKING:
    from mypy_boto3_machinelearning import MachineLearningClient

BUTTONS = sorted(path.stem for path in (ROOT / "dags").glob("*.py") if path.stem != "example_data")

READING = timedelta(seconds=20)  # what it takes a person to read a form

# What a user may have set for other programs: a profile that is not there, and proxies that nobody runs.
DISTURBING = {
    "AWS_PROFILE": "nosuch",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


class Command:
    """A script of ours in a process; it and all that it starts carry a mark in their environment."""

    def __init__(self, script: str, *arguments: str) -> None:
        self.mark = uuid.uuid4().hex
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"scripts.{script}", *arguments],
            env=environment | DISTURBING | {"MARK_OF_TEST": self.mark},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_until(self, wanted: str, seconds: float = 240) -> str:
        """Return the output up to the line that holds a text."""
        deadline, lines = time.monotonic() + seconds, []
        assert self.process.stdout
        for line in self.process.stdout:
            lines.append(line)
            if wanted in line:
                return "".join(lines)
            assert time.monotonic() < deadline, lines
        raise AssertionError(f"{wanted!r} did not appear: {''.join(lines)}")

    def end(self, number: int) -> float:
        """Send a signal, and return the seconds until the end."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(60)
        return time.monotonic() - began

    def living(self) -> list[str]:
        """Return the command lines of all processes that carry the mark."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("MARK_OF_TEST") == self.mark:
                    found.append(" ".join(process.cmdline()))
            except (psutil.AccessDenied, psutil.NoSuchProcess):
                continue
        return found


class Up(Command):
    """``make up`` on ports of its own, and its API."""

    def __init__(self) -> None:
        self.port, self.service_port = free_port(), free_port()
        super().__init__("up", "--port", str(self.port), "--service-port", str(self.service_port))
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call Airflow's API as its UI does, and return the answer."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with DIRECTLY.open(request, timeout=60) as response:
            return json.load(response)

    def press(self, dag_id: str) -> str:
        """Press the play button, with the parameters as they are; return the path of the run."""
        self.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})
        run = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None})
        return f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}"

    def answer(self, path: str, task_id: str, option: str) -> None:
        """Answer the form of a task, as a person does who has read it, when it is shown and has no answer yet.

        Airflow 3.3 takes the task for lost when the answer comes before its scheduler has seen that the process which
        asked is over, and asks once more while there are retries. So a test answers until the run has ended.
        """
        if self.call("GET", f"{path}/taskInstances/{task_id}")["state"] == "awaiting_input":
            form = f"{path}/taskInstances/{task_id}/-1/hitlDetails"
            asked = datetime.fromisoformat(self.call("GET", form)["created_at"])
            if datetime.now(UTC) - asked > READING:
                with contextlib.suppress(urllib.error.HTTPError):  # 409: it has been answered
                    self.call("PATCH", form, {"chosen_options": [option]})

    def failed(self, path: str) -> dict[str, str]:
        """Return the state of each task of a run that is not success."""
        tasks = self.call("GET", f"{path}/taskInstances?limit=100")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks if task["state"] not in ("success", "skipped")}

    def service(self) -> MachineLearningClient:
        """Return a client of its Amazon ML."""
        return boto3.client(
            "machinelearning",
            endpoint_url=f"http://127.0.0.1:{self.service_port}",
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )


@contextmanager
def running(script: str, *arguments: str) -> Iterator[Command]:
    """Run a script until the end of the ``with`` block at the latest."""
    command = Command(script, *arguments)
    try:
        yield command
    finally:
        command.process.terminate()
        command.process.wait(60)
