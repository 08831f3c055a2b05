"""A Postgres server of a test's own, by Debian's programs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.processes import free_port
from tests.helpers.polling import until

USER = "admin"
ACCOUNT = "postgres" if os.geteuid() == 0 else None  # Postgres refuses to run as root; anybody else runs it himself
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@contextmanager
def data_folder(password: str = "") -> Iterator[Path]:
    """Make the data folder of a server that lets ``USER`` in, by a password if there is one.

    It does not lie below pytest's folder, which each new run of pytest closes to other users.
    """
    assert BINARIES, "Postgres is missing: apt-get install postgresql"
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        parent, data = Path(name), Path(name) / "data"
        parent.chmod(0o755)
        data.mkdir()
        (parent / "password").write_text(password or "unused")
        if ACCOUNT:
            for path in (data, parent / "password"):
                shutil.chown(path, ACCOUNT)
        way = ["-A", "scram-sha-256" if password else "trust", f"--pwfile={parent / 'password'}"]
        initdb: list[str | Path] = [BINARIES[-1] / "initdb", "-D", data, "-U", USER, "-N", *way]
        subprocess.run(initdb, user=ACCOUNT, check=True, timeout=120, cwd="/", stdout=subprocess.DEVNULL)
        yield data


def command(data: Path, port: int) -> list[str]:
    """Return the command that serves a data folder; a crash of the machine may lose what it holds."""
    options = ["-c", "fsync=off", "-c", "max_connections=300"]
    return [str(BINARIES[-1] / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-k", "", "-p", str(port), *options]


@contextmanager
def postgres_server(password: str = "") -> Iterator[str]:
    """Run a server, and yield its SQLAlchemy URL."""
    port = free_port()
    with data_folder(password) as data, (data.parent / "log").open("wb") as log:
        server = subprocess.Popen(command(data, port), user=ACCOUNT, cwd="/", stdout=log, stderr=log)
        try:
            is_ready: list[str | Path] = [BINARIES[-1] / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"]
            until(lambda: subprocess.run(is_ready, timeout=30).returncode == 0, 60, pause=0.1)
            yield f"postgresql+psycopg2://{USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(60)
