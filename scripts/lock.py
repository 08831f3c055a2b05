"""Compile the locks in requirements/: one for each name in the last column of requirements/environments.txt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.environments import CONSTRAINTS, REQUIREMENTS, ROOT, Environment, read_environments

UV = Path(sys.executable).parent / "uv"
OURS = ("airflow-ml-provider", "amazon-ml-local")
# What Airflow's pins leave open stands at our floor in the oldest environment.
FLOORS = {"2.11.0": "matplotlib==3.9.0\n"}


def compile_lock(environment: Environment, extras: str) -> None:
    """Write an environment's lock: all dependencies of both packages with these extras, under Airflow's pins if any."""
    constraints = CONSTRAINTS / f"{environment.lock}.txt"
    wanted = f"-e .[{extras}]\n-e ./local[s3]\napache-airflow=={environment.lock}\n"
    wanted += FLOORS.get(environment.lock, "")
    command = [str(UV), "pip", "compile", "--quiet", "--universal", "--python-version", environment.python, "-"]
    command += ["--no-header", "--no-annotate", "--output-file", str(REQUIREMENTS / f"{environment.lock}.txt")]
    command += [option for name in OURS for option in ("--no-emit-package", name)]
    if constraints.exists():
        command += ["--constraint", str(constraints)]
    subprocess.run(command, cwd=ROOT, check=True, input=wanted, text=True)


def main() -> None:
    """Compile every lock once; style, types and builds are checked on the first alone."""
    environments = read_environments()
    # Of the environments that share a lock the first one's Python counts.
    for environment in {each.lock: each for each in reversed(environments)}.values():
        compile_lock(environment, "dev" if environment.lock == environments[0].lock else "test")


if __name__ == "__main__":
    main()
