"""The log of a job."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

Log: TypeAlias = Callable[[str], None]


class JobLog:
    """Collect lines of text, each with the seconds since the log was made, which is when its entity was created."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._start = time.monotonic()

    def __call__(self, text: str) -> None:
        """Add a line."""
        self.lines.append(f"{time.monotonic() - self._start:10.3f} s  {text}")


def silent(text: str) -> None:
    """Log nothing."""
