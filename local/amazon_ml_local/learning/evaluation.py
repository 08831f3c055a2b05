"""Evaluate a model on rows whose target is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from amazon_ml_local.learning.distributions import COUNTS
from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.log import silent
from amazon_ml_local.learning.target import Truth, read_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from amazon_ml_local.learning.distributions import Counts
    from amazon_ml_local.learning.log import Log
    from amazon_ml_local.learning.model import Model, ModelType
    from amazon_ml_local.learning.table import Table


class Evaluated(NamedTuple):
    """The result of an evaluation: AWS's metric by its name, and counts, None in one that an old version stored."""

    metrics: dict[str, str]
    counts: Counts | None


def evaluate(model: Model, table: Table, log: Log = silent) -> Evaluated:
    """Return AWS's metric of the model on the table's rows that have a target, and the counts for its page.

    BinaryAUC: area under the ROC curve. RegressionRMSE: root of the mean squared error. MulticlassAvgFScore: mean of
    the classes' F1, in which a class that the model does not know counts as 0.

    :raises LearningError: when the table has no target, or only one class of it.
    """
    truth = read_truth(table, model.target, model.model_type)
    known = ~np.isnan(truth.values)
    name, metric = METRICS[model.model_type]
    truth, scores = Truth(truth.labels, truth.values[known]), model.scores(table)[known]
    found = str(metric(model, truth, scores))
    log(f"{len(scores):,} records with a target: {name} {found}")
    return Evaluated({name: found}, COUNTS[model.model_type](model, truth, scores))


def _auc(model: Model, truth: Truth, scores: NDArray[np.float32]) -> float:
    from sklearn.metrics import roc_auc_score

    if len(truth.labels) == 1:
        raise LearningError(
            f"Every record's target {model.target!r} is {truth.labels[0]}: AUC needs both. Evaluate on other rows."
        )
    return float(roc_auc_score(truth.values, scores[:, 0]))


def _rmse(model: Model, truth: Truth, scores: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean((truth.values - scores[:, 0]) ** 2)))


def _f_score(model: Model, truth: Truth, scores: NDArray[np.float32]) -> float:
    """Return the mean F1 of all classes, those that only the model or only the rows know among them."""
    from sklearn.metrics import f1_score

    labels = list(dict.fromkeys([*model.labels, *truth.labels]))  # the model's first, in the order of its scores
    places = np.array([labels.index(label) for label in truth.labels])
    scored = f1_score(
        places[truth.values.astype(int)],
        scores.argmax(axis=1),
        labels=range(len(labels)),
        average="macro",
        zero_division=0,
    )
    return float(scored)


METRICS: Mapping[ModelType, tuple[str, Callable[..., float]]] = {
    "BINARY": ("BinaryAUC", _auc),
    "REGRESSION": ("RegressionRMSE", _rmse),
    "MULTICLASS": ("MulticlassAvgFScore", _f_score),
}
