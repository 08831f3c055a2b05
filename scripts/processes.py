"""Start Amazon ML Local and Airflow's components, each in a process group of its own, and end them all."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
LOOPBACK = "127.0.0.1,localhost"
ENDING_SECONDS = 2.5  # what is left then is killed
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Opens URLs without the user's proxy.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def check_port(port: int, option: str) -> int:
    """Return the port when it is free.

    :param option: what the user may set to choose another.
    :raises SystemExit: when somebody listens on it.
    """
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            raise SystemExit(f"Port {port} of 127.0.0.1 is taken: choose another by {option}") from None
    return port


def service_environment() -> dict[str, str]:
    """Return the user's environment without AWS's and Airflow's settings, and with no proxy for this machine."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "AWS_", "BOTO"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # without bytecode every airflow command takes twice as long
    direct = ",".join(filter(None, [kept.get("no_proxy") or kept.get("NO_PROXY"), LOOPBACK]))
    return kept | {
        "NO_PROXY": direct,
        "no_proxy": direct,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def airflow_environment(home: Path, endpoint_url: str, port: int) -> dict[str, str]:
    """Return the environment of an Airflow whose ``aws_default`` reaches the service at ``endpoint_url``."""
    connection = {"conn_type": "aws", "login": "local", "password": "local", "extra": {"region_name": "us-east-1"}}
    return service_environment() | {
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout=60",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@contextlib.contextmanager
def only_one(home: Path, command: str, status: int = 1) -> Iterator[None]:
    """Lock a folder for this process, and end it and all its descendants on a signal.

    SIGINT, SIGTERM and SIGHUP become one KeyboardInterrupt; later ones are ignored, as the end is under way.

    :param status: the exit status after a signal.
    :raises SystemExit: when another process uses the folder, or after a signal.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SystemExit(f"{command} runs already here, as process {lock.read() or 'unknown'}.") from None
        lock.truncate(0)
        print(os.getpid(), file=lock, end="", flush=True)
        for number in SIGNALS:
            signal.signal(number, _interrupt)
        try:
            yield
        except KeyboardInterrupt:
            _kill(psutil.Process().children(recursive=True))
            print(f"{command} was interrupted, and everything it started has ended.", flush=True)
            raise SystemExit(status) from None
        finally:
            _kill(psutil.Process().children(recursive=True))


def _interrupt(number: int, frame: FrameType | None) -> None:
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


@dataclass
class Processes:
    """The processes that belong together; leaving the ``with`` block ends them and all their children."""

    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Processes:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(
        self, name: str, *command: str, env: dict[str, str] | None = None, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command in a process group of its own; its output goes to ``<logs>/<name>.log``.

        :param stdout: ``subprocess.PIPE`` to read its standard output.
        """
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log, start_new_session=True
            )
        self.running[name] = process
        return process

    def run(self, name: str, *command: str, env: dict[str, str] | None = None) -> None:
        """Run a command to its end.

        :raises SystemExit: when it fails; the end of its log is in the message.
        """
        self.start(name, *command, env=env)
        self.finish(name)

    def finish(self, name: str) -> None:
        """Wait until a command ends.

        :raises SystemExit: when it fails; the end of its log is in the message.
        """
        if status := self.running[name].wait():
            raise SystemExit(f"{name} ended with code {status}:\n{self.tail(name)}")
        del self.running[name]

    def wait_for(self, name: str, url: str, seconds: float) -> None:
        """Wait until a process answers at a URL.

        :raises SystemExit: when it ends first or takes longer; the end of its log is in the message.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.running[name].poll() is None:
            try:
                with DIRECTLY.open(url, timeout=5):
                    return
            except OSError:
                time.sleep(0.2)
        raise SystemExit(f"{name} did not answer at {url} within {seconds:.0f} s:\n{self.tail(name)}")

    def tail(self, name: str) -> str:
        """Return the last lines of a process's log."""
        return "\n".join((self.logs / f"{name}.log").read_text(errors="replace").splitlines()[-20:])

    def stop(self, seconds: float = ENDING_SECONDS) -> None:
        """End all processes and their children: SIGTERM, and SIGKILL for what is left after some seconds."""
        # Listed before their parents end: some are in process groups of their own, where no signal below finds them.
        ours = [one for process in self.running.values() for one in _with_children(process.pid)]
        for process in self.running.values():
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(_group_lives(process) for process in self.running.values()):
            time.sleep(0.05)
        for process in self.running.values():
            _signal_group(process, signal.SIGKILL)
        _kill(ours)
        for process in self.running.values():
            process.wait()
        self.running.clear()


def _with_children(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to a process's group, 0 only to look for it; return whether the group still exists."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _group_lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a child that ended is a zombie until somebody asks
    return _signal_group(process, 0)


def start_local_service(processes: Processes, *options: str, port: int | None = None) -> str:
    """Start Amazon ML Local, on a free port if none is given, and return its URL."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "amazon_ml_local", "--port", str(port), *options]
    processes.start("amazon-ml-local", *command, env=service_environment())
    processes.wait_for("amazon-ml-local", f"{url}/_local/health", 30)
    return url
