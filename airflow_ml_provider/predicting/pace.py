"""When the next call may go: evenly spaced, never above the limit, lower after throttling."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from airflow_ml_provider.clock import CLOCK, Clock
from airflow_ml_provider.errors import InvalidArgument

MARGIN = 0.001  # of a second: how much closer two calls may reach the service than they were sent
DRIFT = 0.00002  # seconds a call: so fast the quickest answer is forgotten, should the way to the service get longer
MADE_UP = 0.05  # seconds: a thread that woke up so late makes up for its slots; what is older is lost
LOWERED = 0.95
LOWER_AT_MOST_EVERY = 1.0
RAISED_PER_SECOND = 0.02  # of the limit: back from a halving in 25 seconds
LOWEST = 0.05  # of the limit


@dataclass(slots=True)
class Slot:
    """One call's place in time: when it may be sent, when it was, and in how many seconds it was answered."""

    at: float
    sent: float
    took: float = 0.0


class Pace:
    """Hand out slots to calls of any thread: no second holds more than ``limit``, and unused ones are lost.

    The service counts calls as they arrive, which is later than they were to be sent. So a call that was sent late, or
    took longer than the quickest ones and may have arrived late, holds up the one a second behind it.

    :param limit: calls per second, at least 1.
    :param clock: in whose seconds.
    :raises InvalidArgument: for a limit below 1.
    """

    def __init__(self, limit: int, clock: Clock = CLOCK) -> None:
        if limit < 1:
            raise InvalidArgument(f"max_requests_per_second: {limit}; it must be at least 1")
        self.limit = limit
        self.rate = float(limit)
        self.clock = clock
        self._lock = threading.Lock()
        self._next = self._raised = self.clock.now()
        self._lowered = self._next - LOWER_AT_MOST_EVERY
        self._quickest = float("inf")
        self._last: deque[Slot] = deque(maxlen=limit)

    def wait(self) -> Slot:
        """Wait for the next slot."""
        with self._lock:
            now = self.clock.now()
            slot = self._reserve(now)
        if slot.at > now:
            self.clock.sleep(slot.at - now)
            slot.sent = max(slot.at, self.clock.now())
        return slot

    def _reserve(self, now: float) -> Slot:
        self._next = max(self._next, now - MADE_UP)
        at = max(now, self._next)
        if len(self._last) == self.limit:
            at = max(at, self._arrived(self._last[0]) + 1 + MARGIN)
        self.rate = min(self.limit, self.rate + self.limit * RAISED_PER_SECOND * (now - self._raised))
        self._raised = now
        self._next += 1 / self.rate
        slot = Slot(at, at)
        self._last.append(slot)
        return slot

    def answered(self, slot: Slot) -> None:
        """Record that the call of a slot was answered; the quickest answers measure the network's latency."""
        with self._lock:
            slot.took = self.clock.now() - slot.sent
            self._quickest = min(slot.took, self._quickest + DRIFT)

    def _arrived(self, slot: Slot) -> float:
        """Return when a call reached the service at the latest, by the latency that is known now."""
        return slot.sent + min(max(slot.took - self._quickest, 0.0), 1.0)

    def throttled(self) -> None:
        """Lower the rate after a throttled call, at most once a second."""
        with self._lock:
            now = self.clock.now()
            if now - self._lowered >= LOWER_AT_MOST_EVERY:
                self.rate = max(self.rate * LOWERED, self.limit * LOWEST)
                self._lowered = self._raised = now
