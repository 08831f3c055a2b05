"""How many calls there are in a second."""

from __future__ import annotations

from collections.abc import Collection


def busiest_second(times: Collection[float]) -> int:
    """Return the most calls within one second, from when on ever it is counted."""
    return max(sum(start <= at < start + 1 for at in times) for start in times)
