"""The lines of a part: of its predictions, and of its errors file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from airflow_ml_provider.errors import RefusedRecord
from airflow_ml_provider.scoring import answers

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Prediction
    from airflow_ml_provider.scoring.plan import RowRange
    from airflow_ml_provider.scoring.progress import Kind, Progress
    from airflow_ml_provider.scoring.rows import Row, Values
    from airflow_ml_provider.scoring.settings import Settings


@dataclass(frozen=True, slots=True)
class AnsweredRow:
    """One row with the values of its key columns alone, and its prediction or the reason why there is none.

    ``row_range`` is the number of the range that it is from.
    """

    row_range: int
    row: Row
    answer: Prediction | RefusedRecord


class Lines:
    """Format answered rows, by the settings.

    :param settings: the output's format and key columns.
    :param row_ranges: where the rows come from, for the errors file.
    """

    def __init__(self, settings: Settings, row_ranges: Sequence[RowRange]) -> None:
        self._settings, self._row_ranges = settings, row_ranges

    def texts(self, answered: Sequence[AnsweredRow], progress: Progress, is_new: bool) -> dict[Kind, list[str]]:
        """Return the lines of each kind.

        :param progress: gets the columns of the first prediction, if it has none.
        :param is_new: whether the rows are new, so that its tally counts their predictions.
        """
        texts: dict[Kind, list[str]] = {"lines": [], "errors": []}
        for item in answered:
            if isinstance(item.answer, RefusedRecord):
                texts["errors"].append(self._error(item, item.answer))
                continue
            progress["columns"] = progress["columns"] or answers.columns(item.answer)
            keys = cast("Values", item.row.values)  # a row that cannot be read has no prediction
            texts["lines"].append(answers.line(self._settings.output_format, keys, item.answer, progress["columns"]))
            if is_new:
                answers.count(progress["tally"], item.answer)
        return texts

    def _error(self, item: AnsweredRow, refused: RefusedRecord) -> str:
        reason = f"{refused}: {refused.said}" if refused.said else str(refused)
        return answers.csv_line([self._row_ranges[item.row_range].uri, item.row.begins.line, reason])

    def header(self, columns: Sequence[str]) -> str:
        """Return the header of the output; empty for JSON Lines, or where no row has a prediction.

        :param columns: those of the predictions.
        """
        if self._settings.output_format != "CSV" or not columns:
            return ""
        return answers.csv_line([*self._settings.key_columns, *columns])
