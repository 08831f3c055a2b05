"""The threshold that a report recommends, beside all there are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.report.thresholds import Counts, Goal, best_threshold

SEEDS = range(25)


def rows(seed: Any) -> tuple[Any, ...]:
    """Return the truth and scores of some rows; scores tie, and sometimes reach 0 and 1."""
    random = np.random.default_rng(seed)
    truth = (random.random(200) < random.uniform(0.1, 0.9)).astype(float)
    truth[:2] = 0, 1
    scores = np.clip(random.normal(0.3 + 0.4 * truth, 0.3), 0, 1).round(int(random.integers(1, 8)))
    return truth, scores


def candidates(scores: Any) -> list[Any]:
    """Return every threshold that can make a difference: the scores, between and beyond them."""
    ends = sorted({0.0, 1.0, *scores})
    return [*ends, *((one + two) / 2 for one, two in pairwise(ends))]


def measured(truth: Any, scores: Any, threshold: Any) -> tuple[Any, ...]:
    """Return precision, recall and F1, and the counts of both errors, by counting rows."""
    predicted = scores >= threshold
    true_positives = int((predicted & (truth == 1)).sum())
    false_positives, false_negatives = int(predicted.sum()) - true_positives, int(truth.sum()) - true_positives
    precision = true_positives / max(int(predicted.sum()), 1)
    f1 = 2 * true_positives / (2 * true_positives + false_positives + false_negatives)
    return precision, true_positives / truth.sum(), f1, false_positives, false_negatives


def brute_force(truth: Any, scores: Any, good: Any) -> Any:
    """Return how good the best threshold is, by trying every one."""
    return max(good(*measured(truth, scores, threshold)) for threshold in candidates(scores))


GOALS: dict[str, tuple[Goal, Callable[..., float]]] = {
    "F1": (Goal.of(None, None, None, None), lambda precision, recall, f1, fp, fn: f1),
    "Precision": (Goal.of(0.6, None, None, None), lambda precision, recall, f1, fp, fn: recall * (precision >= 0.6)),
    "Recall": (Goal.of(None, 0.9, None, None), lambda precision, recall, f1, fp, fn: precision * (recall >= 0.9)),
    "Cost": (Goal.of(None, None, 1, 5), lambda precision, recall, f1, fp, fn: -(1 * fp + 5 * fn)),
    "Cost of false positives": (Goal.of(None, None, 50, 1), lambda precision, recall, f1, fp, fn: -(50 * fp + fn)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("goal", GOALS)
def test_the_threshold_is_the_best_by_brute_force(goal: str, seed: int) -> None:
    """Of every threshold that there is, none is better than the one chosen; AWS takes it, as it is from 0 to 1."""
    truth, scores = rows(seed)
    wanted, good = GOALS[goal]
    threshold = best_threshold(Counts.of(truth, scores, wanted.costs), wanted)
    assert 0 <= threshold <= 1
    assert good(*measured(truth, scores, threshold)) == pytest.approx(brute_force(truth, scores, good), abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_measures_at_a_threshold_are_those_of_the_rows(seed: int) -> None:
    """Counts, ratios and cost at every threshold, on a score or between two."""
    truth, scores = rows(seed)
    counts = Counts.of(truth, scores, (1.0, 5.0))
    for threshold in candidates(scores):
        at = counts.at(threshold)
        precision, recall, f1, false_positives, false_negatives = measured(truth, scores, threshold)
        assert (at["Precision"], at["Recall"], at["F1"]) == pytest.approx((precision, recall, f1), abs=1e-12)
        assert (at["FalsePositives"], at["FalseNegatives"]) == (false_positives, false_negatives)
        assert at["FalsePositiveRate"] == pytest.approx(false_positives / (truth == 0).sum())
        assert at["Cost"] == false_positives + 5 * false_negatives


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.77, 1.0])
def test_measures_at_a_threshold_are_scikit_learns(threshold: float) -> None:
    """Precision, recall, F1, accuracy and the confusion matrix, also where nothing is predicted 1."""
    truth, scores = rows(0)
    at, predicted = Counts.of(truth, scores).at(threshold), (scores >= threshold).astype(float)
    assert at["Precision"] == pytest.approx(metrics.precision_score(truth, predicted, zero_division=0))
    assert at["Recall"] == pytest.approx(metrics.recall_score(truth, predicted))
    assert at["F1"] == pytest.approx(metrics.f1_score(truth, predicted))
    assert at["Accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    counts = [[at["TrueNegatives"], at["FalsePositives"]], [at["FalseNegatives"], at["TruePositives"]]]
    assert counts == metrics.confusion_matrix(truth, predicted).tolist()


def test_the_threshold_lies_between_two_scores() -> None:
    """It predicts the same when a score comes back rounded otherwise, as those of files and of endpoints do."""
    truth, scores = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.36127, 0.73912, 0.9])
    assert best_threshold(Counts.of(truth, scores), Goal()) == 0.6


def test_neighbouring_scores_have_a_threshold_too() -> None:
    """With no number between two scores it is the higher one itself."""
    low = 0.5
    high = float(np.nextafter(low, 1))
    assert best_threshold(Counts.of(np.array([0.0, 1.0]), np.array([low, high])), Goal()) == high


def test_of_equally_good_thresholds_the_highest_is_chosen() -> None:
    """Predicting 1 less often is the careful choice."""
    truth, scores = np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.8, 0.6, 0.4, 0.2])
    found = best_threshold(Counts.of(truth, scores, (1.0, 1.0)), Goal.of(None, None, 1, 1))
    assert 0.6 < found < 0.8


def test_predicting_no_1_at_all_may_be_cheapest() -> None:
    """Where a false positive costs much, the best is to predict no 1 at all; a score of 1 leaves no such threshold."""
    goal = Goal.of(None, None, 100, 1)
    truth, scores = np.array([1.0, 0.0]), np.array([0.3, 0.9])
    assert 0.9 < best_threshold(Counts.of(truth, scores, goal.costs), goal) <= 1
    assert best_threshold(Counts.of(truth, np.array([1.0, 0.3]), goal.costs), goal) < 1


def test_a_precision_that_no_threshold_has_is_refused() -> None:
    """The message says what can be had, and where."""
    truth, scores = np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.2])
    with pytest.raises(
        AirflowFailException,
        match=r"wanted_precision: no threshold has a precision of 0.9; the highest is 0.666667, at 0.1",
    ):
        best_threshold(Counts.of(truth, scores), Goal.of(0.9, None, None, None))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.9, 0.9, None, None), "wanted_precision, wanted_recall, false_positive_cost: at most one"),
        ((0.9, None, 1, 1), "wanted_precision, wanted_recall, false_positive_cost: at most one"),
        ((None, None, 1, None), "false_positive_cost, false_negative_cost: both of them"),
        ((None, None, -1, 1), r"false_positive_cost, false_negative_cost: \[-1, 1\]; at least 0"),
        ((None, None, 0, 0), r"false_positive_cost, false_negative_cost: \[0, 0\]; at least 0, and one of them above"),
        ((None, None, float("nan"), 1), r"false_positive_cost, false_negative_cost: \[nan, 1\]; at least 0"),
        ((0, None, None, None), "wanted_precision: 0; it must be above 0 and at most 1"),
        ((None, 1.1, None, None), "wanted_recall: 1.1; it must be above 0 and at most 1"),
    ],
)
def test_goals_that_make_no_sense_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    """The argument is named, and what is allowed."""
    with pytest.raises(InvalidArgument, match=message):
        Goal.of(*arguments)
