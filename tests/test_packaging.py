"""What is installed: floors, versions, environments and the workflow agree with each other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from scripts.environments import CONSTRAINTS, REQUIREMENTS, read_environments
from tests.helpers.metadata import metadata

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = read_environments()
OLDEST = ENVIRONMENTS[-1]


PROVIDER, LOCAL = metadata("."), metadata("local")


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.split("\n") if line]


FLOORS = [
    *requirements(PROVIDER["options"]["install_requires"]),
    *requirements(LOCAL["options"]["install_requires"]),
    *requirements(LOCAL["options.extras_require"]["s3"]),
]


def pins(lock: str) -> dict[str, Version]:
    found = re.findall(r"^([\w.-]+)==([\w.]+)", (REQUIREMENTS / f"{lock}.txt").read_text(), re.MULTILINE)
    return {name: Version(version) for name, version in found}


@pytest.mark.parametrize("requirement", FLOORS, ids=str)
def test_each_floor_is_what_the_oldest_environment_has(requirement: Any) -> None:
    """A floor is a promise only where tests stand on it."""
    (floor,) = requirement.specifier
    assert floor.operator == ">="
    release = Version(floor.version).release
    assert pins(OLDEST.lock)[requirement.name].release[: len(release)] == release


def test_the_lowest_python_is_one_that_tests_run_on() -> None:
    wanted = {parser["options"]["python_requires"] for parser in (PROVIDER, LOCAL)}
    assert wanted == {f">={min(environment.python for environment in ENVIRONMENTS)}"}


@pytest.mark.parametrize("lock", [path.stem for path in sorted(CONSTRAINTS.glob("*.txt"))])
def test_locks_hold_the_official_pins(lock: Any) -> None:
    """Where Airflow's constraints have a package, the environment has that very version."""
    text = (CONSTRAINTS / f"{lock}.txt").read_text()
    official = {re.sub(r"[-_.]+", "-", name).lower(): pin for name, pin in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)}
    found = pins(lock)
    assert found["apache-airflow"] == Version(lock)
    assert {name: pin for name, pin in found.items() if name in official and pin != Version(official[name])} == {}


def test_both_distributions_and_the_changelog_have_one_version() -> None:
    """The provider's ``[local]`` asks for the very version that is built beside it."""
    version = PROVIDER["metadata"]["version"]
    assert LOCAL["metadata"]["version"] == version
    (local,) = requirements(PROVIDER["options.extras_require"]["local"])
    assert str(local) == f"amazon-ml-local[s3]=={version}"
    assert re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version


def test_make_prints_the_table() -> None:
    """The workflow's matrix is the table that ``make`` reads."""
    command = ["make", "--no-print-directory", "environments"]  # make names the folder where another make has called it
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(printed.stdout) == [environment._asdict() for environment in ENVIRONMENTS]


def test_the_workflow_runs_make_and_nothing_else() -> None:
    """Whoever has a clone can run what the workflow runs."""
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text()
    commands = re.findall(r"run: (.*)", text)
    targets = set(re.findall(r"^([a-z0-9.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    (matrix,) = re.findall(r"target: \[(.*)\]", text)
    assert {command for command in commands if not re.match(r"make ", command)} == {
        'echo "environments=$(make environments)" >> "$GITHUB_OUTPUT"'
    }
    assert set(re.findall(r"[a-z-]+", matrix)) <= targets


def test_an_environment_that_is_not_in_the_table_is_refused() -> None:
    """``make`` names those that are."""
    command = ["make", "install", "AIRFLOW=2.10.3"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert f"AIRFLOW=2.10.3 is none of: {' '.join(each.name for each in ENVIRONMENTS)}" in refused.stderr


def test_a_missing_interpreter_is_said(tmp_path: Path) -> None:
    """The environment is not made with another one, and nothing is downloaded."""
    table = tmp_path / "environments.txt"
    table.write_text("3.3.2 3.11 3.3.2\n3.0.6 3.99 3.0.6\n")
    command = ["make", "install", "AIRFLOW=3.0.6", f"TABLE={table}", f"VENV={tmp_path / 'venv'}"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert refused.returncode == 2
    assert "Airflow 3.0.6 is tested on Python 3.99, and uv found none" in refused.stdout


def test_the_plugin_loads_in_below_10_ms() -> None:
    """pytest loads it in every run, so it may cost next to nothing: the quickest of five, pytest loaded before."""
    code = (
        "import pytest, sys, time; began = time.perf_counter(); import amazon_ml_local.pytest_plugin; "
        "print(time.perf_counter() - began)"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(5)]
    assert min(map(float, runs)) < 0.010
