"""Count the refused rows, and keep the first reasons."""

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

    :param count: the refused rows of earlier tries.
    :param most: how many rows may be refused.
    :param output_uri: the output, whose errors file lists them.
    """

    def __init__(self, count: int, most: int, output_uri: str) -> None:
        self.count = count
        self._most = most
        self._uri = errors_uri(output_uri)
        self._reasons: dict[str, str] = {}  # a reason → the first row with it, in words

    @property
    def are_too_many(self) -> bool:
        return self.count > self._most

    def add(self, uri: str, line: int, reason: RefusedRecord) -> None:
        """Count one refused row, and keep its reason if it is among the first different ones.

        The reason is kept without the service's message, which may quote the record.
        """
        self.count += 1
        if len(self._reasons) < FIRST_REASONS:
            self._reasons.setdefault(str(reason), f"line {line} of {uri}: {reason}")

    def subtract(self, errors: Piece | None) -> None:
        """Subtract the refused rows of a part that is predicted again."""
        self.count -= errors["rows"] if errors else 0

    def error_for_too_many(self) -> AirflowFailException:
        """Return the error for more refused rows than are allowed."""
        return AirflowFailException(
            f"max_errors: {self.count} rows got no prediction, allowed are {self._most}; {self._uri} says which and "
            f"why{self._first_reasons()}. What was done is kept: with a higher max_errors the next try continues after "
            f"it."
        )

    def error_for_all(self) -> AirflowFailException:
        """Return the error for a source of which every row was refused."""
        return AirflowFailException(
            f"source_uri: all {self.count} rows got no prediction; {self._uri} says why{self._first_reasons()}"
        )

    def _first_reasons(self) -> str:
        return "".join(f"; {reason}" for reason in self._reasons.values())
