"""Count how predictions compare with the true values, for the page of an evaluation.

The provider's evaluation report counts them too. This module shares no code with it on purpose: a service that tests
the provider must not repeat its bugs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from amazon_ml_local.learning.model import Model, ModelType
    from amazon_ml_local.learning.target import Truth

STEPS = 1000
BARS = 40  # of the residuals
OUTLIERS = 0.5  # percent of the residuals at either end, which the outermost bars take in


class AtThreshold(NamedTuple):
    """The numbers of right and wrong answers of a BINARY evaluation at one score threshold."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def measures(self) -> dict[str, float | None]:
        """Return AWS's measures at the threshold; None for a ratio with a denominator of 0."""
        right, positive = self.true_positives, self.true_positives + self.false_negatives
        negative = self.false_positives + self.true_negatives
        return {
            "Accuracy": _share(right + self.true_negatives, positive + negative),
            "Precision": _share(right, right + self.false_positives),
            "Recall": _share(right, positive),
            "False positive rate": _share(self.false_positives, negative),
            "F1": _share(2 * right, 2 * right + self.false_positives + self.false_negatives),
        }


class Scores(NamedTuple):
    """The number of records at each score from 0 to 1, in steps of a thousandth, of the true label 0 and of 1."""

    zeros: list[int]
    ones: list[int]

    def at(self, threshold: float) -> AtThreshold:
        """Return the numbers of right and wrong answers at a threshold in whole thousandths."""
        step = round(threshold * STEPS)
        right, wrong = sum(self.ones[step:]), sum(self.zeros[step:])
        return AtThreshold(right, wrong, sum(self.ones) - right, sum(self.zeros) - wrong)


class Confusion(NamedTuple):
    """The number of records by true label (rows) and answer (columns); the last row is for labels new to the model."""

    labels: list[str]
    rows: list[list[int]]


class Residuals(NamedTuple):
    """A histogram of the true values less the predicted ones; the outermost bars include everything beyond."""

    edges: list[float]
    counts: list[int]
    mean: float
    above: int
    below: int


Counts: TypeAlias = Scores | Confusion | Residuals


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _scores(model: Model, truth: Truth, scores: NDArray[np.float32]) -> Scores:
    """Count the rows at each score, apart by true label."""
    # Compared as Predict compares them: a 32-bit score widened, with the threshold as it is.
    edges = np.arange(STEPS + 1) / STEPS
    steps = np.searchsorted(edges, scores[:, 0].astype(np.float64), side="right") - 1
    is_one = np.array([label == "1" for label in truth.labels])[truth.values.astype(int)]
    zeros, ones = (np.bincount(steps[is_one == wanted], minlength=STEPS + 1).tolist() for wanted in (False, True))
    return Scores(zeros, ones)


def _confusion(model: Model, truth: Truth, scores: NDArray[np.float32]) -> Confusion:
    """Count the rows by true class and predicted class; a class that the model does not know counts in a last row."""
    size = len(model.labels)
    place_of = {label: place for place, label in enumerate(model.labels)}
    places = np.array([place_of.get(label, size) for label in truth.labels])
    true, predicted = places[truth.values.astype(int)], scores.argmax(axis=1)
    cells = np.bincount(true * size + predicted, minlength=size * (size + 1))
    return Confusion(list(model.labels), cells.reshape(size + 1, size).tolist())


def _residuals(model: Model, truth: Truth, scores: NDArray[np.float32]) -> Residuals:
    """Count the rows by residual, in bars of equal width between two outer percentiles."""
    residuals = truth.values - scores[:, 0]
    low, high = np.percentile(residuals, [OUTLIERS, 100 - OUTLIERS])
    if not low < high:  # all residuals are alike
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BARS + 1)
    counts = np.bincount(np.clip(np.searchsorted(edges, residuals, side="right") - 1, 0, BARS - 1), minlength=BARS)
    above, below = np.count_nonzero(residuals > 0), np.count_nonzero(residuals < 0)
    return Residuals(edges.tolist(), counts.tolist(), float(residuals.mean()), int(above), int(below))


COUNTS: Mapping[ModelType, Callable[[Model, Truth, NDArray[np.float32]], Counts]] = {
    "BINARY": _scores,
    "MULTICLASS": _confusion,
    "REGRESSION": _residuals,
}
