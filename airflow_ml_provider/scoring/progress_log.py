"""Progress logging: how many rows are done, how fast, and what they cost."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from airflow_ml_provider.clock import CLOCK, Clock
from airflow_ml_provider.prices import PRICE_PER_PREDICTION

log = logging.getLogger(__name__)

LOG_EVERY = 10.0  # seconds


def cost(predictions: int) -> str:
    """Return the cost of so many predictions, in words."""
    return f"about ${predictions * PRICE_PER_PREDICTION:,.2f} at ${PRICE_PER_PREDICTION} a prediction"


class ProgressLog:
    """Log the progress of the rows.

    :param total: the number of rows.
    :param before: the number of rows that earlier tries have done.
    :param clock: measures the time.
    """

    def __init__(self, total: int, before: int, clock: Clock = CLOCK) -> None:
        self._clock = clock
        self._total = total
        self._before = before
        self._started = self._logged = self._lap = self._clock.now()

    def log_start(self, changed: Sequence[str]) -> None:
        """Log how many rows are left, and what they cost.

        :param changed: what has changed since the last try, so that its predictions cannot be used.
        """
        if changed:
            log.warning("Restarting from the first row, since this changed after the last try: %s", ", ".join(changed))
        left = self._total - self._before
        log.info("%s rows to predict, %s; an earlier try did %s", f"{left:,}", cost(left), f"{self._before:,}")

    def log_progress(self, rows: int, errors: int) -> None:
        """Log the progress, at most every ``LOG_EVERY`` seconds.

        :param rows: the number of rows that are done, by earlier tries too.
        :param errors: how many of them were refused.
        """
        now = self._clock.now()
        if now - self._logged < LOG_EVERY:
            return
        self._logged = now
        rate = (rows - self._before) / (now - self._started)
        left = (self._total - rows) / rate if rate else float("inf")
        log.info(
            "%s of %s rows (%.0f %%), %.1f/s, %d errors, %.0f s left",
            f"{rows:,}", f"{self._total:,}", 100 * rows / self._total, rate, errors, left,
        )  # fmt: skip

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        now, before = self._clock.now(), self._lap
        self._lap = now
        return now - before

    def log_end(self, predictions: str) -> None:
        """Log that all rows are done.

        :param predictions: a summary of the predictions, in words.
        """
        log.info("All %s rows are done. Predictions: %s", f"{self._total:,}", predictions)
