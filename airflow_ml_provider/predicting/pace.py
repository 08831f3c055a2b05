"""Assign a time to each call: evenly spaced, never more a second than the limit, and fewer after throttling."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from airflow_ml_provider.clock import CLOCK, Clock
from airflow_ml_provider.values import check_whole

MARGIN = 0.001  # seconds by which two calls may arrive closer to each other than they were sent
MIN_LATENCY_GROWTH = 0.00002  # seconds a call: how fast the minimum latency grows, in case the network gets slower
MAX_CATCH_UP = 0.05  # seconds: the slots that a thread which woke up late may still use; older ones are lost
LOWERED = 0.95  # of the rate, after throttling
LOWER_AT_MOST_EVERY = 1.0  # seconds
RAISED_PER_SECOND = 0.02  # of the limit: 25 seconds to recover from half of it
LOWEST = 0.05  # of the limit


@dataclass(slots=True)
class Slot:
    """The time of one call: when it may be sent, when it was sent, and the seconds until its answer."""

    at: float
    sent: float
    took: float = 0.0


class Pace:
    """Assign slots to calls of any thread: at most ``limit`` in any second; slots that nobody takes are lost.

    The service counts calls when they arrive, which may be later than they were meant to be sent. A call that was sent
    late, or whose answer took longer than the fastest ones, may have arrived late: it delays the call that comes
    ``limit`` calls after it, so that the service never counts more than ``limit`` in a second.

    :param limit: calls per second, at least 1.
    :param clock: measures all times.
    :raises InvalidArgument: unless it is a whole number of at least 1.
    """

    def __init__(self, limit: int, clock: Clock = CLOCK) -> None:
        check_whole("max_requests_per_second", limit, 1)
        self.limit = limit
        self.rate = float(limit)
        self.clock = clock
        self._lock = threading.Lock()
        self._next = self._raised_at = self.clock.now()
        self._lowered_at = self._next - LOWER_AT_MOST_EVERY
        self._min_latency = float("inf")
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
        """Return the next slot, and move the one after it.

        ``_next`` advances by one interval a call whatever the clock says, so that a late call does not shift those
        after it; only what lies further back than ``MAX_CATCH_UP`` is given up. The call ``limit`` calls ago must have
        arrived at least a second before this one. The rate has grown since the last call, up to the limit.
        """
        self._next = max(self._next, now - MAX_CATCH_UP)
        at = max(now, self._next)
        if len(self._last) == self.limit:
            at = max(at, self._latest_arrival(self._last[0]) + 1 + MARGIN)
        self.rate = min(self.limit, self.rate + self.limit * RAISED_PER_SECOND * (now - self._raised_at))
        self._raised_at = now
        self._next += 1 / self.rate
        slot = Slot(at, at)
        self._last.append(slot)
        return slot

    def record_answer(self, slot: Slot) -> None:
        """Record that the call of a slot was answered; the fastest answers give the minimum latency."""
        with self._lock:
            slot.took = self.clock.now() - slot.sent
            self._min_latency = min(slot.took, self._min_latency + MIN_LATENCY_GROWTH)

    def _latest_arrival(self, slot: Slot) -> float:
        """Return the latest moment at which a call may have reached the service.

        All that its answer took beyond the minimum latency may have been spent on the way there. Only a second of it
        counts, so that one very slow answer does not hold up all calls.
        """
        return slot.sent + min(max(slot.took - self._min_latency, 0.0), 1.0)

    def lower_rate(self) -> None:
        """Lower the rate after a throttled call, at most once a second."""
        with self._lock:
            now = self.clock.now()
            if now - self._lowered_at >= LOWER_AT_MOST_EVERY:
                self.rate = max(self.rate * LOWERED, self.limit * LOWEST)
                self._lowered_at = self._raised_at = now  # from which it grows again
