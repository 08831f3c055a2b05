"""The service's clock as the prediction engine's: it stands still while a call is under way, so nothing comes late."""

from __future__ import annotations

import bisect
import functools
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from airflow_ml_provider.payloads import Prediction
    from airflow_ml_provider.predicting.pace import Pace, Slot
    from airflow_ml_provider.predicting.wire import Wire
    from amazon_ml_local.clock import Clock

LONGEST_WAIT = 60.0  # real seconds, until a test that hangs fails here


class Paced:
    """Wake sleepers in the order of their times, each when no call is under way: calls arrive when they were sent."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._changed = threading.Condition()
        self._wakings: list[float] = []
        self._calling: set[int] = set()

    def bind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Bind all paces of this process to the clock."""
        from airflow_ml_provider.clock import CLOCK
        from airflow_ml_provider.predicting.pace import Pace
        from airflow_ml_provider.predicting.wire import Wire

        monkeypatch.setattr(CLOCK, "sleep", self.sleep)
        monkeypatch.setattr(Pace, "wait", self._from_here(Pace.wait))
        monkeypatch.setattr(Wire, "predict", self._until_here(Wire.predict))

    def sleep(self, seconds: float) -> None:
        """Advance the clock to the end of the sleep, when it is the next to end."""
        me = threading.get_ident()
        with self._changed:
            calls = me in self._calling
            self._calling.discard(me)
            until = self.clock.now() + seconds
            bisect.insort(self._wakings, until)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._is_next(until), LONGEST_WAIT), "a call that is never answered"
            self._wakings.remove(until)
            self.clock.advance(max(until - self.clock.now(), 0.0))
            if calls:
                self._calling.add(me)
            self._changed.notify_all()

    def _is_next(self, until: float) -> bool:
        return not self._calling and self._wakings[0] == until

    def _from_here(self, wait: Callable[[Pace], Slot]) -> Callable[[Pace], Slot]:
        @functools.wraps(wait)
        def calling(pace: Pace) -> Slot:
            with self._changed:
                self._calling.add(threading.get_ident())
            return wait(pace)

        return calling

    def _until_here(self, predict: Callable[[Wire, bytes], Prediction]) -> Callable[[Wire, bytes], Prediction]:
        @functools.wraps(predict)
        def answered(wire: Wire, body: bytes) -> Prediction:
            try:
                return predict(wire, body)
            finally:
                with self._changed:
                    self._calling.discard(threading.get_ident())
                    self._changed.notify_all()

        return answered
