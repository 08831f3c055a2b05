"""Learn by stochastic gradient descent from scikit-learn over the recipe's features.

AWS documents logistic, multinomial logistic and linear regression with SGD. BINARY and REGRESSION use SGDClassifier and
SGDRegressor. Five learners are tried, as in a recorded log of AWS, with 0.01 to 100 times the steady rate, which falls
with the root of the number of steps. Every tenth row is held back from them. The rate with the least loss on those rows
is then used to learn from all rows; how AWS chooses is unknown.

MULTICLASS uses LogisticRegression's SAGA, also a stochastic gradient method, because SGDClassifier only compares one
class with the rest. SAGA sets its rate itself and always draws rows at random, so it ignores sgd.shuffleType.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from amazon_ml_local.learning.model import Learned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from amazon_ml_local.learning.features import Matrix
    from amazon_ml_local.learning.log import Log
    from amazon_ml_local.learning.model import ModelType
    from amazon_ml_local.learning.parameters import TrainingParameters
    from amazon_ml_local.learning.steps import Floats

SEED = 0
RATES = (0.01, 0.1, 1.0, 10.0, 100.0)
# With fewer rows than this none are held back: the learners are compared on the rows that they have learned from.
FEW_ROWS, HELD_BACK = 200, 10
LEAST_C = 1e-300  # of LogisticRegression, below which its inverse overflows
WARNING_FILTERS = Lock()


class Rows(NamedTuple):
    """The features, targets and weights of the training rows."""

    matrix: Matrix
    values: Floats
    weights: Floats


class Loss(NamedTuple):
    """The loss that a learner minimizes: scikit-learn's name, the function, and its greatest second derivative."""

    name: str
    value: Callable[[Floats, Floats], Floats]
    curvature: float


SQUARED = Loss("squared_error", lambda raw, values: (raw - values) ** 2, 1.0)
LOGISTIC = Loss("log_loss", lambda raw, values: np.logaddexp(0.0, raw) - values * raw, 0.25)


def _linear(rows: Rows, settings: TrainingParameters, log: Log) -> Learned:
    from sklearn.linear_model import SGDRegressor

    # Scaled, so that no steps are spent on the mean, and an amount of regularization means the same at every scale.
    mean, deviation = rows.values.mean(), rows.values.std() or 1.0
    scaled = rows._replace(values=(rows.values - mean) / deviation)
    weights, intercepts = _best(partial(SGDRegressor, loss=SQUARED.name), SQUARED, scaled, settings, log)
    return Learned(weights * deviation, intercepts * deviation + mean)


def _logistic(rows: Rows, settings: TrainingParameters, log: Log) -> Learned:
    from sklearn.linear_model import SGDClassifier

    return _best(partial(SGDClassifier, loss=LOGISTIC.name), LOGISTIC, rows, settings, log)


def _best(learner: Callable[..., Any], loss: Loss, rows: Rows, settings: TrainingParameters, log: Log) -> Learned:
    """Return the weights learned at the best of several rates; weights of 0 if they overflow at every rate."""
    steady = steady_rate(rows.matrix, loss.curvature, settings.l2)
    holds_back = len(rows.values) >= FEW_ROWS
    judged = np.arange(0, len(rows.values), HELD_BACK if holds_back else 1)
    weights = rows.weights.copy()
    if holds_back:
        weights[judged] = 0.0  # so that no step learns from them
    best_rate, least_loss, best = 0.0, np.inf, Learned(np.zeros((rows.matrix.shape[1], 1)), np.zeros(1))
    for number, rate in enumerate(RATES, start=1):
        learned = _fit(learner(**sgd_settings(settings, rate * steady)), rows._replace(weights=weights))
        mean_loss = _mean_loss(loss, learned, rows, judged) if learned else np.inf
        log(f"Learner {number} of {len(RATES)}, rate {rate:g} x {steady:.4g}: {loss.name} {mean_loss:.6g}")
        if learned and mean_loss < least_loss:
            best_rate, least_loss, best = rate, mean_loss, learned
    log(f"The rate {best_rate:g} x {steady:.4g} is kept")
    if not holds_back or not best_rate:
        return best
    return _fit(learner(**sgd_settings(settings, best_rate * steady)), rows) or best


def _fit(learner: Any, rows: Rows) -> Learned | None:
    """Return the weights that a learner finds, or None if they overflow."""
    try:
        learner.fit(rows.matrix, rows.values, sample_weight=rows.weights)
    except ValueError as error:
        if "overflow" not in str(error):
            raise
        return None
    return Learned(learner.coef_.reshape(-1, 1), learner.intercept_)


def _mean_loss(loss: Loss, learned: Learned, rows: Rows, judged: NDArray[np.intp]) -> float:
    """Return the mean loss over the judged rows, by weight unless all weights are 0; infinite if it overflows."""
    weights = rows.weights[judged]
    with np.errstate(over="ignore", invalid="ignore"):
        raw = (rows.matrix @ learned.weights + learned.intercepts)[judged, 0]
        mean = np.average(loss.value(raw, rows.values[judged]), weights=weights if weights.any() else None)
    return float(mean) if np.isfinite(mean) else np.inf


def _multinomial(rows: Rows, settings: TrainingParameters, log: Log) -> Learned:
    """Return the weights of each class; scikit-learn has one column for two classes, the first then gets zeros."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    strength = settings.l1 + settings.l2
    learner = LogisticRegression(
        solver="saga",
        C=max(1 / (strength * len(rows.values)), LEAST_C) if strength else np.inf,
        l1_ratio=1.0 if settings.l1 else 0.0,
        max_iter=settings.passes,
        random_state=SEED,
        **_mixed_penalty(LogisticRegression),
    )
    # The warning would say that learning stopped at sgd.maxPasses, as it should. Filters belong to the process: the
    # lock allows one change at a time.
    with WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        learner.fit(rows.matrix, rows.values, sample_weight=rows.weights)
    weights, intercepts = learner.coef_.T, learner.intercept_
    log(f"One learner that sets its rate itself: {int(learner.n_iter_.max())} passes")
    if weights.shape[1] == 1:
        weights = np.hstack([np.zeros_like(weights), weights])
        intercepts = np.concatenate([[0.0], intercepts])
    return Learned(weights, intercepts)


def _mixed_penalty(learner: Any) -> dict[str, str]:
    """Return the argument with which ``l1_ratio`` has an effect: scikit-learn before 1.8 needs this penalty for it."""
    penalty = inspect.signature(learner).parameters.get("penalty")
    return {"penalty": "elasticnet"} if penalty and penalty.default == "l2" else {}


Learner: TypeAlias = "Callable[[Rows, TrainingParameters, Log], Learned]"
LEARNERS: Mapping[ModelType, Learner] = {
    "REGRESSION": _linear,
    "BINARY": _logistic,
    "MULTICLASS": _multinomial,
}


def steady_rate(matrix: Matrix, curvature: float, l2: float) -> float:
    """Return a learning rate at which no step overshoots.

    :param curvature: the greatest second derivative of the loss.
    :param l2: the amount of regularization, which adds to it.
    """
    from sklearn.utils.extmath import row_norms

    squares = row_norms(matrix, squared=True) + 1
    # A step overshoots at a rate beyond 1 / the largest curvature, which grows with the square of a row's length. Where
    # rows are alike, a quarter of that rate is enough.
    return 1 / (curvature * max(4 * float(squares.mean()), float(squares.max())) + l2)


def sgd_settings(settings: TrainingParameters, rate: float) -> dict[str, object]:
    """Return the arguments for scikit-learn's SGD learners, which begin at this rate."""
    return {
        "penalty": "l1" if settings.l1 else "l2" if settings.l2 else None,
        "alpha": settings.l1 or settings.l2,
        "max_iter": settings.passes,
        "tol": None,
        "shuffle": settings.shuffle,
        "random_state": SEED,
        "learning_rate": "invscaling",
        "eta0": rate,
        "power_t": 0.5,
        # The mean of sparse weights over all steps isn't sparse.
        "average": not settings.l1,
    }
