"""The commands of the Makefile as processes: started as a user would, read, and looked for afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from scripts.processes import ROOT

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
            [sys.executable, ROOT / "scripts" / script, *arguments],
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


@contextmanager
def running(script: str, *arguments: str) -> Iterator[Command]:
    """Run a script until the end of the ``with`` block at the latest."""
    command = Command(script, *arguments)
    try:
        yield command
    finally:
        command.process.terminate()
        command.process.wait(60)
