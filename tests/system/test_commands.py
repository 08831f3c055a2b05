"""The commands that README.md names, as a user types them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


def descendants_of_up() -> list[str]:
    """Give the command lines of all processes whose Airflow or service is that of ``make up``."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment, command = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if f"AIRFLOW_HOME={ROOT / '.up' / 'airflow'}".encode() in environment:
            found.append(command.decode(errors="replace"))
    return found


def read_until(process: subprocess.Popen[str], wanted: str, seconds: float) -> str:
    """Read a process's output up to the line that holds a text, and return that line."""
    deadline = time.monotonic() + seconds
    lines = []
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            return line
        if time.monotonic() > deadline:
            break
    raise AssertionError(f"{wanted!r} did not appear: {''.join(lines)}")


def test_make_up_ends_cleanly_on_ctrl_c():
    """The UI answers while it runs; Ctrl-C ends everything, and no process stays behind."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    process = subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "up.py"], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        url = read_until(process, "Airflow: http", 240).split()[1]
        with urllib.request.urlopen(url, timeout=30) as page:
            assert page.status == 200
        assert len(descendants_of_up()) >= 4
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=60)
    assert code == 0
    assert descendants_of_up() == []
