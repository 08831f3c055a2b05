"""An Airflow cluster on this machine: CeleryExecutor on Postgres and Redis, two workers, two triggerers.

Every process is started again when it ends, as a supervisor such as systemd or Kubernetes does.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from scripts.processes import BIN, Processes, free_port
from tests.helpers import postgres
from tests.helpers.polling import until

REDIS = shutil.which("redis-server")
WORKERS = ("worker-1", "worker-2")
TRIGGERERS = ("triggerer-1", "triggerer-2")
STORES = ("postgres", "redis")
AIRFLOW = ("api-server", "scheduler", "dag-processor", *TRIGGERERS, *WORKERS)
TASKS_AT_ONCE = 6  # of one worker
QUEUES = {"triggerer-1": "default,alone", "triggerer-2": "default"}  # a worker serves all of them


class Cluster:
    """Start the processes of the cluster, and start each again when it ends.

    :param processes: where they run; leaving its ``with`` block ends them.
    :param folder: for the data of Redis, and for the workers' files.
    :param data: the data folder of Postgres.
    """

    def __init__(self, processes: Processes, folder: Path, data: Path) -> None:
        self._processes = processes
        self._folder, self._data = folder, data
        self._ports = {name: free_port() for name in STORES}
        self._env: dict[str, str] = {}
        self._closing = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def settings(self) -> dict[str, str]:
        """Return the environment variables that make Airflow a cluster of its own, which notices losses quickly."""
        database = f"{postgres.USER}@127.0.0.1:{self._ports['postgres']}/postgres"
        redis = f"redis://127.0.0.1:{self._ports['redis']}"
        return {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__PARALLELISM": "32",  # the queue holds the next tasks while the scheduler looks for more
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "1000",
            "AIRFLOW__CORE__DEFAULT_POOL_TASK_SLOT_COUNT": "1000",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
            "AIRFLOW__CELERY__BROKER_URL": f"{redis}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"{redis}/1",
            "AIRFLOW__CELERY__CELERY_CONFIG_OPTIONS": "tests.cluster.preloaded_celery.OPTIONS",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(TASKS_AT_ONCE),
            "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            # Only the scheduler that queued a task, or has adopted it, notices that its worker was killed.
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "40",  # a message that a killed worker took is lost
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
            "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "64",
            "AIRFLOW__TRIGGERER__QUEUES_ENABLED": "True",
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
        }

    def start_stores(self) -> None:
        """Start Postgres and Redis, and wait until they answer."""
        for name in STORES:
            self._start(name)
        for name in STORES:
            until_working(partial(is_open, self._ports[name]), 60, partial(self._processes.tail, name))

    def start_airflow(self, env: dict[str, str]) -> None:
        """Start every component of Airflow, and the supervisor."""
        self._env = env
        for name in AIRFLOW:
            self._start(name)
        self._supervisor.start()

    def close(self) -> None:
        """Stop the supervision, so that processes may end."""
        self._closing.set()
        if self._supervisor.is_alive():
            self._supervisor.join(30)
        for name in self._processes.running:
            self._signal(name, signal.SIGCONT)

    def kill(self, name: str) -> None:
        """Kill -9 a process and its children; the supervisor starts it again."""
        self._signal(name, signal.SIGKILL)

    def restart(self, store: str) -> None:
        """Stop a store as an operator would; the supervisor starts it again."""
        self._processes.running[store].send_signal(signal.SIGINT if store == "postgres" else signal.SIGTERM)

    def freeze(self, name: str, seconds: float) -> None:
        """Stop a process and its children where they are, as a paused virtual machine does; later they continue."""
        self._signal(name, signal.SIGSTOP)
        timer = threading.Timer(seconds, self._signal, (name, signal.SIGCONT))
        timer.daemon = True  # a test that has failed does not wait for it
        timer.start()

    def cpu_seconds(self, name: str) -> float:
        """Return the CPU time that a process and its children have used."""
        return sum(sum(one.cpu_times()[:2]) for one in self._family(name))

    def _family(self, name: str) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self._processes.running[name].pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _signal(self, name: str, number: signal.Signals) -> None:
        for one in self._family(name):
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)

    def _supervise(self) -> None:
        while not self._closing.wait(0.5):
            for name, process in list(self._processes.running.items()):
                if process.poll() is not None and not self._closing.is_set():
                    self._start(name)

    def _start(self, name: str) -> None:
        user = postgres.ACCOUNT if name == "postgres" else None
        with (self._processes.logs / f"{name}.log").open("ab") as log:
            self._processes.running[name] = subprocess.Popen(
                self._command(name),
                env=self._env or None,
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )

    def _command(self, name: str) -> list[str]:
        if name == "postgres":
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            return postgres.command(self._data, self._ports[name])
        if name == "redis":
            keeping = ["--appendonly", "yes", "--dir", str(self._folder)]
            return [str(REDIS), "--bind", "127.0.0.1", "--port", str(self._ports[name]), *keeping]
        component = name.partition("-")[0]
        airflow = str(BIN / "airflow")
        if component == "worker":
            pid = self._folder / f"{name}.pid"
            pid.unlink(missing_ok=True)
            options = ["--celery-hostname", f"{name}@%h", "--pid", str(pid), "--skip-serve-logs", "--without-mingle"]
            return [airflow, "celery", "worker", "--queues", QUEUES["triggerer-1"], *options]
        if component == "triggerer":
            return [airflow, "triggerer", "--queues", QUEUES[name], "--skip-serve-logs"]
        return [airflow, name, *(["--skip-serve-logs"] if name == "scheduler" else [])]


def is_open(port: int) -> bool:
    """Return whether somebody listens on a port of 127.0.0.1."""
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


# Errors of a service that is just starting again mean "not yet".
until_working = partial(until, ignored=(OSError,))
