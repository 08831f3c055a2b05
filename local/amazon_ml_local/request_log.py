"""The log of the requests that reached the service."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amazon_ml_local.protocol import Parameters


@dataclass(frozen=True)
class Received:
    """One request that reached the service, and how it was answered.

    ``at`` is the service's time, ``status`` the HTTP status, or 0 for a connection that was reset.
    """

    operation: str
    parameters: Parameters
    at: float
    status: int
    error_code: str | None
    access_key: str | None
    region: str | None


class RequestLog:
    """The latest ``keep`` requests, the oldest first."""

    def __init__(self, keep: int) -> None:
        self._received: deque[Received] = deque(maxlen=keep)

    def add(self, received: Received) -> None:
        """Add a request."""
        self._received.append(received)

    def count(self, operation: str) -> int:
        """Return the number of requests for ``operation``."""
        return sum(received.operation == operation for received in self)

    def clear(self) -> None:
        """Remove all requests."""
        self._received.clear()

    def __iter__(self) -> Iterator[Received]:
        return iter(self._received.copy())

    def __len__(self) -> int:
        return len(self._received)

    def __getitem__(self, position: int) -> Received:
        return self._received[position]
