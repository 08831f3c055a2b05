"""The time that the package lives by: everything that waits or measures uses ``CLOCK``, unless it is passed another."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What pauses are measured by: seconds that never go back, and a way to let them pass."""

    def now(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


STEP = 0.05  # seconds by which the clocks differ from one measurement to the next without either being set


class MachineClock:
    """The machine's clocks.

    ``now`` counts the seconds that really pass, and means nothing to another process; ``wall`` counts from the epoch,
    means the same everywhere, and may be set back or forward at any time.
    """

    _offset = 0.0

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds)

    def to_wall(self, moment: float) -> float:
        """Return a moment of ``now`` in seconds since the epoch, for another process."""
        return moment + self._between()

    def from_wall(self, moment: float) -> float:
        """Return a moment in seconds since the epoch as one of ``now``."""
        return moment - self._between()

    def _between(self) -> float:
        """Return the seconds between both clocks; the last measured ones, so that a moment comes back to the digit."""
        offset = self.wall() - self.now()
        if abs(offset - self._offset) > STEP:
            self._offset = offset
        return self._offset


CLOCK = MachineClock()
