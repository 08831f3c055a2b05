"""Convert cells to numbers: scores, values, and the labels of classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from airflow_ml_provider.compat import AirflowFailException

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_ml_provider.report.cells import Chunk

# Amazon Machine Learning developer guide, "Creating a Data Schema for Amazon ML": the values of a BINARY attribute.
BINARY_LABELS = {
    **dict.fromkeys(("0", "n", "no", "f", "false"), 0.0),
    **dict.fromkeys(("1", "y", "yes", "t", "true"), 1.0),
}
MOST_CLASSES = 1000  # AWS has models of up to 100


def numbers(chunk: Chunk, places: list[int], column: str, cells: list[object]) -> NDArray[np.float64]:
    """Return cells as finite numbers.

    :param places: the places in the chunk of the cells' rows.
    :raises AirflowFailException: naming the place of a cell that is missing or is no number.
    """
    try:
        found = np.array(cells, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):  # numpy does not say which cell is wrong
        found = np.array([_number(cell) for cell in cells], dtype=np.float64)
    wrong = np.flatnonzero(~np.isfinite(found))
    if len(wrong):
        index = int(wrong[0])
        raise chunk.bad(places[index], column, "it is missing" if _is_missing(cells[index]) else "it is no number")
    return found


def _number(cell: object) -> float:
    """Return a cell as a number; NaN if it is not a number."""
    try:
        return float(cell)  # type: ignore[arg-type]  # TypeError means that it is no number
    except (ValueError, TypeError, OverflowError):
        return np.nan


def _is_missing(cell: object) -> bool:
    return cell is None or not str(cell).strip()


def scores(chunk: Chunk, places: list[int], column: str, cells: list[object]) -> NDArray[np.float64]:
    """Return cells as numbers from 0 to 1.

    :raises AirflowFailException: naming the place of a cell that is no score.
    """
    found = numbers(chunk, places, column, cells)
    wrong = np.flatnonzero((found < 0) | (found > 1))
    if len(wrong):
        raise chunk.bad(places[int(wrong[0])], column, "it is no score from 0 to 1")
    return found


def text(cell: object) -> str:
    """Return a label as text; a boolean of JSON becomes "1" or "0", as for Predict."""
    return str(int(cell)) if isinstance(cell, bool) else str(cell)


class Labels:
    """The labels of the classes, each with a number; several results share them."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._codes = {name: number for number, name in enumerate(names)}

    @property
    def names(self) -> list[str]:
        """The labels by number."""
        return list(self._codes)

    def codes(self, chunk: Chunk, places: list[int], column: str, cells: list[object]) -> NDArray[np.float64]:
        """Return the numbers of labels; a new label gets a new number.

        :raises AirflowFailException: naming the place of a label that is missing or not UTF-8.
        """
        labels = [text(cell) for cell in cells]
        for label in set(labels) - self._codes.keys():
            index = labels.index(label)
            if not label or cells[index] is None:
                raise chunk.bad(places[index], column, "it is missing")
            try:
                label.encode()
            except UnicodeEncodeError:
                raise chunk.bad(places[index], column, "it is not UTF-8") from None
        return np.array([self.code(chunk, label) for label in labels], dtype=np.float64)

    def code(self, chunk: Chunk, label: str) -> int:
        """Return the number of a label; a new label gets a new number."""
        found = self._codes.setdefault(label, len(self._codes))
        if found >= MOST_CLASSES:
            raise AirflowFailException(
                f"true_label_column: up to {chunk.uri} there are more than {MOST_CLASSES:,} different labels; does the "
                f"column hold classes?"
            )
        return found

    def binary(self, chunk: Chunk, places: list[int], column: str, cells: list[object]) -> NDArray[np.float64]:
        """Return labels of a BINARY model as 0 and 1.

        :raises AirflowFailException: naming the place of a cell that is no label of a BINARY model.
        """
        found = np.array([BINARY_LABELS.get(text(cell).lower(), np.nan) for cell in cells], dtype=np.float64)
        wrong = np.flatnonzero(np.isnan(found))
        if len(wrong):
            spellings = ", ".join(BINARY_LABELS)
            raise chunk.bad(places[int(wrong[0])], column, f"it is no label of a BINARY model ({spellings})")
        return found
