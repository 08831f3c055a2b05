"""How predictions are written, and what they come to."""

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
    """Return one line of CSV; a cell with any end of line in it is quoted."""
    out = StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(cells)  # Python before 3.13 quotes for the terminator's own alone
    return out.getvalue()[:-2] + "\n"


def columns(prediction: Prediction) -> list[str]:
    """Return the columns that hold a model's predictions: its type shows in the first one.

    A BINARY model has the one score of its class "1", a MULTICLASS model one for each class.
    """
    if "predictedValue" in prediction:
        return ["predictedValue"]
    scores = prediction.get("predictedScores", {})
    if prediction.get("details", {}).get("PredictiveModelType") == "BINARY" or len(scores) <= 1:
        return ["predictedLabel", "predictedScore"]
    return ["predictedLabel", *(f"predictedScores.{label}" for label in sorted(scores))]


def _cell(prediction: Prediction, column: str) -> object:
    kind, _, label = column.partition(".")
    scores = prediction.get("predictedScores", {})
    if kind == "predictedScores":
        return scores.get(label)
    if kind == "predictedScore":
        return next(iter(scores.values()), None)
    return prediction.get(kind)


def line(format: Format, keys: Values, prediction: Prediction, names: Sequence[str]) -> str:
    """Return the line of one row: its keys, then its prediction."""
    if format == "CSV":
        return csv_line([*keys.values(), *(_cell(prediction, name) for name in names)])
    said: dict[str, object] = {name: found for name, found in sorted(prediction.items()) if name != "details"}
    if "predictedScores" in prediction:
        said["predictedScores"] = dict(sorted(prediction["predictedScores"].items()))
    return json.dumps({**keys, **said}, ensure_ascii=False) + "\n"


class Tally(TypedDict):
    """What the predictions come to, as the progress record holds it."""

    labels: dict[str, int]
    count: int
    total: float
    least: float | None
    most: float | None


def new_tally() -> Tally:
    """Begin to count."""
    return Tally(labels={}, count=0, total=0.0, least=None, most=None)


def count(tally: Tally, prediction: Prediction) -> None:
    """Count one prediction."""
    if "predictedLabel" in prediction:
        label = prediction["predictedLabel"]
        tally["labels"][label] = tally["labels"].get(label, 0) + 1
    if "predictedValue" in prediction:
        value = prediction["predictedValue"]
        tally["count"] += 1
        tally["total"] += value
        tally["least"] = value if tally["least"] is None else min(tally["least"], value)
        tally["most"] = value if tally["most"] is None else max(tally["most"], value)


def summary(tally: Tally) -> str:
    """Return in words what the predictions come to."""
    if tally["labels"]:
        return ", ".join(f"{label}: {number:,}" for label, number in sorted(tally["labels"].items()))
    if tally["count"]:
        return f"min {tally['least']:g}, mean {tally['total'] / tally['count']:g}, max {tally['most']:g}"
    return "none"
