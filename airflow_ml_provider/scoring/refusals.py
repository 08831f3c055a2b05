"""How many rows are refused, and the first reasons why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.scoring.objects import errors_uri

if TYPE_CHECKING:
    from airflow_ml_provider.errors import RefusedRecord
    from airflow_ml_provider.scoring.progress import Piece

FIRST_REASONS = 3


class Refusals:
    """Count the refused rows.

    :param count: those of earlier tries.
    :param most: how many there may be.
    :param output_uri: the output, beside which the errors file stands.
    """

    def __init__(self, count: int, most: int, output_uri: str) -> None:
        self.count = count
        self._most = most
        self._uri = errors_uri(output_uri)
        self._reasons: dict[str, str] = {}

    @property
    def are_too_many(self) -> bool:
        return self.count > self._most

    def add(self, uri: str, line: int, reason: RefusedRecord) -> None:
        """Count one; its reason is kept without the service's words, which may quote the record."""
        self.count += 1
        if len(self._reasons) < FIRST_REASONS:
            self._reasons.setdefault(str(reason), f"line {line} of {uri}: {reason}")

    def forgive(self, errors: Piece | None) -> None:
        """Discount the rows of a part that is made again."""
        self.count -= errors["rows"] if errors else 0

    def too_many(self) -> AirflowFailException:
        """Return the error for more refused rows than are allowed."""
        return AirflowFailException(
            f"max_errors: {self.count} rows got no prediction, allowed are {self._most}; {self._uri} says which and "
            f"why{self._first_reasons()}. What was done is kept: with a higher max_errors the next try goes on behind "
            f"it."
        )

    def all_refused(self) -> AirflowFailException:
        """Return the error for a file without one row that could be predicted."""
        return AirflowFailException(
            f"source_uri: all {self.count} rows got no prediction; {self._uri} says why{self._first_reasons()}"
        )

    def _first_reasons(self) -> str:
        return "".join(f"; {reason}" for reason in self._reasons.values())
