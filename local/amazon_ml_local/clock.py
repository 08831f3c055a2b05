"""The clock of the service, which can be frozen, advanced and sped up."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LATEST_DATE = 253402300799.0  # the last second of the year 9999, after which a time has no text


class Clock:
    """A clock that follows real time until it is frozen, advanced or sped up. Safe to use from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # The time of the latest change by this clock, by the monotonic one, and by the wall's, which snapshot() needs.
        self._service_time, self._real_time = time.time(), time.monotonic()
        self._wall_time = self._service_time
        self._speed, self._frozen = 1.0, False

    @property
    def frozen(self) -> bool:
        """Return whether time stands still."""
        return self._frozen

    @property
    def speed(self) -> float:
        """Service seconds per real second while the clock runs."""
        return self._speed

    def now(self) -> float:
        """Return the service's time in seconds since the epoch."""
        with self._changed:
            return self._now()

    def freeze(self) -> None:
        """Stop the time; ``advance()`` moves it, ``resume()`` lets it run again."""
        self._change(frozen=True)

    def resume(self) -> None:
        """Run again, at the speed that was set."""
        self._change(frozen=False)

    def advance(self, seconds: float) -> None:
        """Jump forward by ``seconds``.

        :raises ValueError: when ``seconds`` is negative or infinite.
        """
        if not (seconds >= 0 and self.now() + seconds < float("inf")):
            raise ValueError(f"seconds must be 0 or more, not {seconds!r}: the clock never goes back")
        self._change(seconds=seconds)

    def set_speed(self, speed: float) -> None:
        """Set how many service seconds pass in a real one.

        :raises ValueError: when ``speed`` is not above zero; ``freeze()`` stops the clock.
        """
        if not 0 < speed < float("inf"):
            raise ValueError(f"speed must be above 0, not {speed!r}; freeze() stops the clock")
        self._change(speed=speed)

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds`` of the service's time; a frozen clock is advanced instead."""
        with self._changed:
            until = self._now() + seconds
            while (left := until - self._now()) > 0:
                if self._frozen:
                    self._set(self._service_time + left)
                else:
                    self._changed.wait(left / self._speed)

    def snapshot(self) -> dict[str, float]:
        """Return what ``restore()`` needs in another process.

        It stays the same until somebody changes the clock, so that a clock that just runs needs no saving.
        """
        with self._changed:
            times = {"service_time": self._service_time, "wall_time": self._wall_time}
            return {**times, "speed": self._speed, "frozen": self._frozen}

    def restore(self, snapshot: Mapping[str, float]) -> None:
        """Continue the clock of a snapshot, as if it had gone on while no process ran."""
        with self._changed:
            self._speed, self._frozen = snapshot["speed"], bool(snapshot["frozen"])
            passed = 0.0 if self._frozen else max(time.time() - snapshot["wall_time"], 0.0)
            self._set(snapshot["service_time"] + passed * self._speed)

    def reset(self) -> None:
        """Go back to real time, running at its speed."""
        with self._changed:
            self._speed, self._frozen = 1.0, False
            self._set(time.time())

    def _now(self) -> float:
        if self._frozen:
            return self._service_time
        return self._service_time + (time.monotonic() - self._real_time) * self._speed

    def _set(self, service_time: float) -> None:
        self._service_time, self._real_time = service_time, time.monotonic()
        self._wall_time = time.time()
        self._changed.notify_all()

    def _change(self, seconds: float = 0.0, speed: float | None = None, frozen: bool | None = None) -> None:
        with self._changed:
            now = self._now() + seconds
            self._speed = self._speed if speed is None else speed
            self._frozen = self._frozen if frozen is None else frozen
            self._set(now)
