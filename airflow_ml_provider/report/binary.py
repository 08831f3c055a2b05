"""Measure a BINARY model: curves, distributions, thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.report.thresholds import AtThreshold, Counts, Goal, best_threshold

if TYPE_CHECKING:
    from airflow_ml_provider.report.results import Results
    from airflow_ml_provider.report.thresholds import Floats

CURVE_POINTS = 300
BINS = 40
CALIBRATION_BINS = 10
SHOWN_THRESHOLDS = [round(step * 0.05, 2) for step in range(1, 20)]


class Curve(TypedDict):
    """Points of a curve."""

    X: list[float]
    Y: list[float]


class Distribution(TypedDict):
    """The number of rows of each class whose score is between two edges."""

    Edges: list[float]
    Class0: list[int]
    Class1: list[int]


class Binary(TypedDict):
    """The measurements of a BINARY model; a second model may have no threshold that reaches the goal."""

    Metrics: dict[str, float]
    AtScoreThreshold: AtThreshold
    AtBestThreshold: NotRequired[AtThreshold]
    BestThreshold: NotRequired[float]
    BestBy: str
    Thresholds: list[AtThreshold]
    RocCurve: Curve
    PrecisionRecallCurve: Curve
    Scores: Distribution
    Calibration: Curve


def binary(results: Results, goal: Goal, must_reach: bool = True) -> Binary:
    """Measure a BINARY model.

    :param must_reach: whether it is an error if no threshold reaches the goal.
    :raises AirflowFailException: when all rows have one class, or no threshold reaches the goal.
    """
    truth, scores = results.truth, results.predicted
    if truth.min() == truth.max():
        raise AirflowFailException(
            f"true_label_column: each of the {len(truth):,} rows at {', '.join(results.source.uris)} has the true "
            f"label {truth[0]:.0f}; a report needs rows of both classes"
        )
    counts = Counts.of(truth, scores, goal.costs)
    model_threshold = results.source.model.score_threshold
    best = _best_threshold(counts, goal, must_reach)
    shown = {*SHOWN_THRESHOLDS, model_threshold}
    if best is not None:
        shown.add(best)
    found = Binary(
        Metrics={
            "BinaryAUC": float(roc_auc_score(truth, scores)),
            "AveragePrecision": float(average_precision_score(truth, scores)),
            "LogLoss": float(log_loss(truth, scores)),
            "BrierScore": float(brier_score_loss(truth, scores)),
        },
        AtScoreThreshold=counts.at(model_threshold),
        BestBy=str(goal),
        Thresholds=[counts.at(threshold) for threshold in sorted(shown)],
        RocCurve=_thin(counts.false_positive_rate, counts.recall),
        # At the first threshold nothing is predicted 1, and there is no precision.
        PrecisionRecallCurve=_thin(counts.recall[1:], counts.precision[1:]),
        Scores=_distribution(truth, scores),
        Calibration=_calibration(truth, scores),
    )
    if best is not None:
        found["BestThreshold"], found["AtBestThreshold"] = best, counts.at(best)
    return found


def _best_threshold(counts: Counts, goal: Goal, must_reach: bool) -> float | None:
    try:
        return best_threshold(counts, goal)
    except AirflowFailException:
        if must_reach:
            raise
        return None


def _thin(x: Floats, y: Floats) -> Curve:
    """Return points of a curve at about equal distances along it."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    places = np.unique(np.searchsorted(length, np.linspace(0, length[-1], CURVE_POINTS)))
    return Curve(X=x[places].tolist(), Y=y[places].tolist())


def _distribution(truth: Floats, scores: Floats) -> Distribution:
    edges = np.linspace(0, 1, BINS + 1)
    class_0, class_1 = (np.histogram(scores[truth == label], edges)[0].tolist() for label in (0, 1))
    return Distribution(Edges=edges.tolist(), Class0=class_0, Class1=class_1)


def _calibration(truth: Floats, scores: Floats) -> Curve:
    actual, predicted = calibration_curve(truth, scores, n_bins=CALIBRATION_BINS)
    return Curve(X=predicted.tolist(), Y=actual.tolist())
