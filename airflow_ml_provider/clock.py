"""The clock of the package: everything that waits or measures time uses ``CLOCK``, unless it is passed another."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """A clock whose seconds never go back, and a way to let them pass."""

    def now(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


STEP = 0.05  # seconds; a smaller change of the offset between the clocks is noise of the measurement


class MachineClock:
    """The machine's clocks.

    ``now`` never jumps, but its seconds mean nothing to another process. ``wall`` counts from the epoch and means the
    same everywhere, but may be set back or forward at any time.
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
        return moment + self._measured_offset()

    def from_wall(self, moment: float) -> float:
        """Return a moment in seconds since the epoch as one of ``now``."""
        return moment - self._measured_offset()

    def _measured_offset(self) -> float:
        """Return the seconds from ``now`` to ``wall``.

        They stay exactly the same until a clock is set, so that ``from_wall(to_wall(moment))`` is the moment.
        """
        offset = self.wall() - self.now()
        if abs(offset - self._offset) > STEP:
            self._offset = offset
        return self._offset


CLOCK = MachineClock()
