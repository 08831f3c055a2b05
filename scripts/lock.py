"""Compile the lock files in requirements/: one per Airflow version, and one of the lowest versions supported."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).parent / "uv"

LOCKS = {
    "airflow-3.3": ("apache-airflow==3.3.2",),
    "airflow-2.11": ("apache-airflow==2.11.2",),
    "lowest": (
        "apache-airflow==2.11.0",
        "apache-airflow-providers-amazon==9.26.0",
        "apache-airflow-providers-common-compat==1.22.0",
    ),
}


def compile_lock(name: str, constraints: tuple[str, ...]) -> None:
    """Write requirements/<name>.txt: every dependency of the package and its extras, by these constraints."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(constraints))
        file.flush()
        command = [str(UV), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--no-header"]
        command += ["--all-extras", "--no-emit-package", "airflow-ml-provider", "--constraint", file.name]
        command += ["--no-annotate", "--output-file", f"requirements/{name}.txt", "setup.cfg"]
        subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    for lock, pins in LOCKS.items():
        compile_lock(lock, pins)
