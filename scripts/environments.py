"""Read requirements/environments.txt: which environments there are, on which Python, with which lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "requirements"
CONSTRAINTS = REQUIREMENTS / "constraints"


class Environment(NamedTuple):
    """A row of the table."""

    name: str
    python: str
    lock: str

    @property
    def interpreter(self) -> Path:
        """Where its Python is once ``make install AIRFLOW=<name>`` has made it."""
        newest = self == read_environments()[0]
        return ROOT / (".venv" if newest else f".venv-{self.name}") / "bin" / "python"


def read_environments() -> list[Environment]:
    """Return the rows of the table, the newest first."""
    lines = (REQUIREMENTS / "environments.txt").read_text().splitlines()
    return [Environment(*line.split()) for line in lines if line and not line.startswith("#")]


if __name__ == "__main__":
    print(json.dumps([environment._asdict() for environment in read_environments()]))
