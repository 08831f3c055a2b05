"""Memory of this process."""

from __future__ import annotations

import resource


def most_memory() -> float:
    """Return the most that this process has ever held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
