"""Format predictions as lines of the output, and count them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Format, Prediction
    from airflow_ml_provider.scoring.rows import Values

ERROR_COLUMNS = ("uri", "line", "reason")


def csv_line(cells: Sequence[object]) -> str:
    """Return one line of CSV; a cell that contains any kind of line break is quoted."""
    out = StringIO()
    # Before Python 3.13 the writer quotes a cell only for the characters of its own line terminator.
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()[:-2] + "\n"


def columns(prediction: Prediction) -> list[str]:
    """Return the output's columns for the predictions of a model, whose type the first prediction shows.

    A BINARY model has one score, that of class "1"; a MULTICLASS model has one score for each class.
    """
    if "predictedValue" in prediction:
        return ["predictedValue"]
    scores = prediction.get("predictedScores", {})
    if prediction.get("details", {}).get("PredictiveModelType") == "BINARY" or len(scores) <= 1:
        return ["predictedLabel", "predictedScore"]
    return ["predictedLabel", *(f"predictedScores.{label}" for label in sorted(scores))]


def _cell(prediction: Prediction, column: str) -> object:
    """Return what a prediction has for one of the ``columns``."""
    member, _, label = column.partition(".")
    scores = prediction.get("predictedScores", {})
    if member == "predictedScores":
        return scores.get(label)
    if member == "predictedScore":
        return next(iter(scores.values()), None)
    return prediction.get(member)


def line(format: Format, keys: Values, prediction: Prediction, names: Sequence[str]) -> str:
    """Return the output's line for one row: its key columns, then its prediction.

    :param names: the columns of the prediction, for CSV.
    """
    if format == "CSV":
        return csv_line([*keys.values(), *(_cell(prediction, name) for name in names)])
    members: dict[str, object] = {name: value for name, value in sorted(prediction.items()) if name != "details"}
    if "predictedScores" in prediction:
        members["predictedScores"] = dict(sorted(prediction["predictedScores"].items()))
    return json.dumps({**keys, **members}, ensure_ascii=False) + "\n"


class Tally(TypedDict):
    """Counts of the predicted labels, or statistics of the predicted values, as the progress record holds them."""

    labels: dict[str, int]
    count: int
    total: float
    least: float | None
    most: float | None


def new_tally() -> Tally:
    """Return a tally of no predictions."""
    return Tally(labels={}, count=0, total=0.0, least=None, most=None)


def count(tally: Tally, prediction: Prediction) -> None:
    """Add one prediction to a tally."""
    if "predictedLabel" in prediction:
        label = prediction["predictedLabel"]
        tally["labels"][label] = tally["labels"].get(label, 0) + 1
    if "predictedValue" in prediction:
        value = prediction["predictedValue"]
        tally["count"] += 1
        tally["total"] += value
        tally["least"] = value if tally["least"] is None else min(tally["least"], value)
        tally["most"] = value if tally["most"] is None else max(tally["most"], value)


def in_words(tally: Tally) -> str:
    """Return a tally in words, for the log."""
    if tally["labels"]:
        return ", ".join(f"{label}: {number:,}" for label, number in sorted(tally["labels"].items()))
    if tally["count"]:
        return f"min {tally['least']:g}, mean {tally['total'] / tally['count']:g}, max {tally['most']:g}"
    return "none"
