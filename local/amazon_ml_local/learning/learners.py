"""How a model learns: stochastic gradient descent from scikit-learn over the recipe's features.

AWS names the learners: logistic, multinomial logistic and linear regression by SGD. BINARY and REGRESSION take
SGDClassifier and SGDRegressor. MULTICLASS takes LogisticRegression's SAGA, a stochastic gradient method too, because
SGDClassifier knows one class against the rest only; SAGA always draws rows at random, so sgd.shuffleType does not
matter to it. The learning rate, which AWS sets by the data in a way it does not tell, is a quarter of the inverse of
the loss's curvature: plain and binned data converge in a few passes, and weights are averaged over the steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from amazon_ml_local.learning.model import Learned

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from amazon_ml_local.learning.model import ModelType
    from amazon_ml_local.learning.parameters import TrainingParameters
    from amazon_ml_local.learning.steps import Floats

Matrix: TypeAlias = "csr_matrix | Floats"
SEED = 0
# Below it the inverse overflows.
LEAST = 1e-300
FILTERS = Lock()


def _linear(matrix: Matrix, values: Floats, weighing: Floats | None, settings: TrainingParameters) -> Learned:
    from sklearn.linear_model import SGDRegressor

    mean, deviation = values.mean(), values.std() or 1.0
    learner = SGDRegressor(**sgd_settings(matrix, settings, curvature=1.0))
    learner.fit(matrix, (values - mean) / deviation, sample_weight=weighing)
    return Learned(learner.coef_[:, np.newaxis] * deviation, learner.intercept_ * deviation + mean)


def _logistic(matrix: Matrix, values: Floats, weighing: Floats | None, settings: TrainingParameters) -> Learned:
    from sklearn.linear_model import SGDClassifier

    learner = SGDClassifier(loss="log_loss", **sgd_settings(matrix, settings, curvature=0.25))
    learner.fit(matrix, values, sample_weight=weighing)
    return Learned(learner.coef_.T, learner.intercept_)


def _multinomial(matrix: Matrix, values: Floats, weighing: Floats | None, settings: TrainingParameters) -> Learned:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    strength = settings.l1 + settings.l2
    # Below scikit-learn 1.8, which deprecates it, l1_ratio is ignored without this penalty.
    needed = {} if LogisticRegression().penalty == "deprecated" else {"penalty": "elasticnet"}
    learner = LogisticRegression(
        **needed,
        solver="saga",
        C=max(1 / (strength * len(values)), LEAST) if strength else np.inf,
        l1_ratio=1.0 if settings.l1 else 0.0,
        max_iter=settings.passes,
        random_state=SEED,
    )
    # To stop at sgd.maxPasses is what was asked for. The filters are the process's own, so one change at a time.
    with FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        learner.fit(matrix, values, sample_weight=weighing)
    weights, intercepts = learner.coef_.T, learner.intercept_
    if weights.shape[1] == 1:
        weights = np.hstack([np.zeros_like(weights), weights])
        intercepts = np.concatenate([[0.0], intercepts])
    return Learned(weights, intercepts)


Learner: TypeAlias = "Callable[[Matrix, Floats, Floats | None, TrainingParameters], Learned]"
LEARNERS: Mapping[ModelType, Learner] = {
    "REGRESSION": _linear,
    "BINARY": _logistic,
    "MULTICLASS": _multinomial,
}


def sgd_settings(matrix: Matrix, settings: TrainingParameters, curvature: float) -> dict[str, object]:
    """Return the arguments for scikit-learn's SGD learners.

    :param curvature: the greatest second derivative of the loss.
    """
    from sklearn.utils.extmath import row_norms

    squares = row_norms(matrix, squared=True) + 1
    # Beyond 1 / the largest curvature a step overshoots; a quarter of the mean one is enough where rows are alike.
    rate = 1 / (curvature * max(4 * float(squares.mean()), float(squares.max())))
    return {
        "penalty": "l1" if settings.l1 else "l2" if settings.l2 else None,
        "alpha": settings.l1 or settings.l2,
        "max_iter": settings.passes,
        "tol": None,
        "shuffle": settings.shuffle,
        "random_state": SEED,
        "learning_rate": "constant",
        "eta0": rate,
        # The mean of sparse weights over all steps isn't sparse.
        "average": not settings.l1,
    }
