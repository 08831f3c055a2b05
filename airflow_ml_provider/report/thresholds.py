"""Choose the score threshold of a BINARY model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, NotRequired, TypedDict, cast

import numpy as np
from sklearn.metrics import roc_curve

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.errors import InvalidArgument

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class AtThreshold(TypedDict):
    """The measurements of a model that predicts 1 for scores of at least ``Threshold``.

    A ratio with a denominator of 0 is 0. ``Cost`` is there if the costs of errors are known.
    """

    Threshold: float
    TruePositives: int
    FalsePositives: int
    FalseNegatives: int
    TrueNegatives: int
    Accuracy: float
    Precision: float
    Recall: float
    F1: float
    FalsePositiveRate: float
    Cost: NotRequired[float]


class Goal(NamedTuple):
    """The goal by which the best threshold is chosen.

    :param measure: ``F1``, ``Precision``, ``Recall`` or ``Cost``.
    :param wanted: the lowest allowed precision or recall.
    :param costs: the costs of a false positive and of a false negative.
    """

    measure: str = "F1"
    wanted: float = 0.0
    costs: tuple[float, float] | None = None

    @classmethod
    def of(
        cls,
        wanted_precision: float | None,
        wanted_recall: float | None,
        false_positive_cost: float | None,
        false_negative_cost: float | None,
    ) -> Goal:
        """Return the goal for the arguments of the operator; F1 if all are None.

        :raises InvalidArgument: naming the argument and what is allowed.
        """
        costs = [false_positive_cost, false_negative_cost]
        if costs.count(None) == 1:
            raise InvalidArgument("false_positive_cost, false_negative_cost: both of them must be given, or none")
        given = [value for value in (wanted_precision, wanted_recall, false_positive_cost) if value is not None]
        if len(given) > 1:
            raise InvalidArgument(
                "wanted_precision, wanted_recall, false_positive_cost: at most one of them can be given"
            )
        if wanted_precision is not None:
            return cls("Precision", _share("wanted_precision", wanted_precision))
        if wanted_recall is not None:
            return cls("Recall", _share("wanted_recall", wanted_recall))
        if false_positive_cost is None or false_negative_cost is None:
            return cls()
        if not (0 <= false_positive_cost < np.inf and 0 <= false_negative_cost < np.inf) or costs == [0, 0]:
            raise InvalidArgument(
                f"false_positive_cost, false_negative_cost: {costs}; at least 0, and one of them above it"
            )
        return cls("Cost", costs=(false_positive_cost, false_negative_cost))

    def __str__(self) -> str:
        if self.costs:
            return f"the lowest cost, at {self.costs[0]:g} a false positive and {self.costs[1]:g} a false negative"
        return {
            "F1": "the highest F1",
            "Precision": f"the highest recall with a precision of at least {self.wanted:g}",
            "Recall": f"the highest precision with a recall of at least {self.wanted:g}",
        }[self.measure]


@dataclass(frozen=True)
class Counts:
    """True and false positives at every distinct score as the threshold, the highest first.

    The first threshold is infinite, at which nothing is predicted 1.
    """

    thresholds: Floats
    true_positives: Floats
    false_positives: Floats
    positives: int
    negatives: int
    costs: tuple[float, float] | None = None

    @classmethod
    def of(cls, truth: Floats, scores: Floats, costs: tuple[float, float] | None = None) -> Counts:
        """Return the counts for true labels (0 or 1) and scores.

        :param costs: the costs of a false positive and of a false negative.
        """
        positives = int(truth.sum())
        negatives = len(truth) - positives
        false, true, thresholds = roc_curve(truth, scores, drop_intermediate=False)
        return cls(thresholds, np.rint(true * positives), np.rint(false * negatives), positives, negatives, costs)

    @cached_property
    def precision(self) -> Floats:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @cached_property
    def recall(self) -> Floats:
        return self.true_positives / self.positives

    @cached_property
    def false_positive_rate(self) -> Floats:
        return self.false_positives / self.negatives

    @cached_property
    def f1(self) -> Floats:
        return 2 * self.true_positives / (self.true_positives + self.false_positives + self.positives)

    def at(self, threshold: float) -> AtThreshold:
        """Return the measurements at any threshold: those at the lowest of ``thresholds`` that is not below it."""
        # Negated, as searchsorted needs ascending numbers.
        place = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        true, false = int(self.true_positives[place]), int(self.false_positives[place])
        found = AtThreshold(
            Threshold=float(threshold),
            TruePositives=true,
            FalsePositives=false,
            FalseNegatives=self.positives - true,
            TrueNegatives=self.negatives - false,
            Accuracy=(true + self.negatives - false) / (self.positives + self.negatives),
            Precision=float(self.precision[place]),
            Recall=float(self.recall[place]),
            F1=float(self.f1[place]),
            FalsePositiveRate=float(self.false_positive_rate[place]),
        )
        if self.costs:
            found["Cost"] = float(self.cost[place])
        return found

    @cached_property
    def cost(self) -> Floats:
        """The cost at every threshold; without ``costs`` the number of errors."""
        false_positive, false_negative = self.costs or (1.0, 1.0)
        return false_positive * self.false_positives + false_negative * (self.positives - self.true_positives)

    def between(self, place: int) -> float:
        """Return a threshold with the same predictions as the one at this place, but not close to any score.

        Another prediction of the same rows may round scores differently. So the threshold lies in the middle half of
        the gap to the next lower score, with as few digits as possible there.
        """
        upper = min(float(self.thresholds[place]), 1.0)
        lower = float(self.thresholds[place + 1]) if place + 1 < len(self.thresholds) else 0.0
        middle, margin = (lower + upper) / 2, (upper - lower) / 4
        rounded = (round(middle, digits) for digits in range(1, 16))
        return next((found for found in rounded if lower + margin < found < upper - margin), upper)


def _share(argument: str, value: float) -> float:
    if not 0 < value <= 1:
        raise InvalidArgument(f"{argument}: {value:g}; it must be above 0 and at most 1")
    return value


def _ratio(some: Floats, of: Floats) -> Floats:
    """Return ``some`` / ``of``, and 0 where ``of`` is 0."""
    return np.divide(some, of, out=np.zeros_like(some), where=of > 0)


# Measure of a goal → how good each threshold is; minus infinity means that it does not reach the goal.
GOALS: Mapping[str, Callable[[Counts, Goal], Floats]] = {
    "F1": lambda counts, goal: counts.f1,
    "Precision": lambda counts, goal: np.where(counts.precision >= goal.wanted, counts.recall, -np.inf),
    "Recall": lambda counts, goal: np.where(counts.recall >= goal.wanted, counts.precision, -np.inf),
    "Cost": lambda counts, goal: -counts.cost,
}


def best_threshold(counts: Counts, goal: Goal) -> float:
    """Return the best threshold, and of several equally good ones the highest.

    :raises AirflowFailException: when no threshold reaches the goal.
    """
    good = GOALS[goal.measure](counts, goal).copy()  # since ``counts`` keeps the array
    if counts.thresholds[1] >= 1:  # then no threshold from 0 to 1, which AWS allows, is above every score
        good[0] = -np.inf
    place = int(np.argmax(good))
    if good[place] == -np.inf:
        reached = cast("Floats", getattr(counts, goal.measure.lower()))
        most = int(np.argmax(reached))
        raise AirflowFailException(
            f"wanted_{goal.measure.lower()}: no threshold has a {goal.measure.lower()} of {goal.wanted:g}; the highest "
            f"is {reached[most]:.6g}, at {counts.between(most):g}"
        )
    return counts.between(place)
