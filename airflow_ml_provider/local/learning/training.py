"""How a model learns: stochastic gradient descent from scikit-learn over the recipe's features.

AWS names the learners: logistic, multinomial logistic and linear regression by SGD. BINARY and REGRESSION take
SGDClassifier and SGDRegressor. MULTICLASS takes LogisticRegression's SAGA, a stochastic gradient method too, because
SGDClassifier knows one class against the rest only; SAGA always draws rows at random, so sgd.shuffleType does not
matter to it. The learning rate, which AWS sets by the data in a way it does not tell, is a quarter of the inverse of
the loss's curvature: plain and binned data converge in a few passes, and weights are averaged over the steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from airflow_ml_provider.local.learning.errors import LearningError
from airflow_ml_provider.local.learning.features import Features
from airflow_ml_provider.local.learning.model import Model, ModelType
from airflow_ml_provider.local.learning.parameters import DEFAULTS, TrainingParameters, parse_parameters
from airflow_ml_provider.local.learning.recipe import default_recipe, parse_recipe, resolve
from airflow_ml_provider.local.learning.steps import Data
from airflow_ml_provider.local.learning.values import binary, number

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from airflow_ml_provider.local.learning.schema import Kind
    from airflow_ml_provider.local.learning.steps import Floats
    from airflow_ml_provider.local.learning.table import Table

MOST_CLASSES = 100
SEED = 0
FILTERS = Lock()
TARGET_KINDS: Mapping[ModelType, Kind] = {
    "REGRESSION": "NUMERIC",
    "BINARY": "BINARY",
    "MULTICLASS": "CATEGORICAL",
}


class Learned(NamedTuple):
    """What a learner found: weights by feature and class, intercepts by class, and the classes."""

    weights: Floats
    intercepts: Floats
    labels: list[str]


def train(
    table: Table, model_type: ModelType, recipe: str | None = None, parameters: Mapping[str, str] | None = None
) -> Model:
    """Return a model that learned to predict the table's target. The same input gives the same model.

    :param recipe: the recipe's JSON; None uses the default one.
    :param parameters: training parameters as AWS spells them, all strings.
    :raises LearningError: what keeps the model from being trained, and what to do.
    """
    target, values = _target(table, model_type)
    rows = [place for place, value in enumerate(values) if value]
    if not rows:
        raise LearningError(f"No record has a usable value of the target {target!r}: check the data and the schema.")
    columns = table.columns
    if len(rows) < len(values):
        columns = {name: [column[place] for place in rows] for name, column in columns.items()}
        values = [values[place] for place in rows]
    inputs = table.schema.inputs
    recipe = recipe or default_recipe(inputs, len(rows))
    settings = parse_parameters(parameters or {})
    data = Data(columns, len(rows))
    features = Features(resolve(parse_recipe(recipe), inputs), data)
    if not features.names:
        raise LearningError("The recipe's outputs have no value in any record: nothing to learn from.")
    matrix = features.matrix(data)
    weighing = _row_weights(table, columns)
    learned = LEARNERS[model_type](matrix, values, weighing, settings)
    size = _trim(learned.weights, features.names, settings.size_in_bytes)
    return Model(
        model_type,
        target,
        learned.labels,
        features,
        learned.weights,
        learned.intercepts,
        recipe,
        DEFAULTS | dict(parameters or {}),
        size,
    )


def targets(table: Table, target: str, model_type: ModelType) -> list[str]:
    """Return each readable row's true value as a model knows it, empty where it has none."""
    column = table.columns[target]
    match model_type:
        case "REGRESSION":
            return [text if number(text) == number(text) else "" for text in column]
        case "BINARY":
            return ["".join(binary(text)) for text in column]
    return list(column)


def _target(table: Table, model_type: ModelType) -> tuple[str, list[str]]:
    target, wanted = table.schema.target, TARGET_KINDS[model_type]
    if target is None:
        raise LearningError("The data schema names no targetAttributeName: a model needs one to learn from.")
    kind = table.schema.kinds[target]
    if kind != wanted:
        raise LearningError(
            f"The target {target!r} is {kind}; a {model_type} model needs a {wanted} target. Correct the schema or "
            "the model type."
        )
    return target, targets(table, target, model_type)


def _row_weights(table: Table, columns: Mapping[str, Sequence[str]]) -> Floats | None:
    name = table.schema.row_weight
    if name is None:
        return None
    weights = np.array([number(text) for text in columns[name]])
    return np.where(np.isfinite(weights) & (weights >= 0), weights, 1.0)


def _linear(matrix: csr_matrix, values: list[str], weighing: Floats | None, settings: TrainingParameters) -> Learned:
    from sklearn.linear_model import SGDRegressor

    numbers = np.array(list(map(float, values)))
    mean, deviation = numbers.mean(), numbers.std() or 1.0
    learner = SGDRegressor(**_sgd(matrix, settings, curvature=1.0))
    learner.fit(matrix, (numbers - mean) / deviation, sample_weight=weighing)
    return Learned(learner.coef_[:, np.newaxis] * deviation, learner.intercept_ * deviation + mean, [])


def _logistic(matrix: csr_matrix, values: list[str], weighing: Floats | None, settings: TrainingParameters) -> Learned:
    from sklearn.linear_model import SGDClassifier

    _classes(values)
    learner = SGDClassifier(loss="log_loss", **_sgd(matrix, settings, curvature=0.25))
    learner.fit(matrix, np.array(values), sample_weight=weighing)
    return Learned(learner.coef_.T, learner.intercept_, ["1"])


def _multinomial(
    matrix: csr_matrix, values: list[str], weighing: Floats | None, settings: TrainingParameters
) -> Learned:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    classes = _classes(values)
    strength = settings.l1 + settings.l2
    learner = LogisticRegression(
        solver="saga",
        C=1 / (strength * len(values)) if strength else np.inf,
        l1_ratio=1.0 if settings.l1 else 0.0,
        max_iter=settings.passes,
        random_state=SEED,
    )
    labels = np.array(values)
    # To stop at sgd.maxPasses is what was asked for. The filters are the process's own, so one change at a time.
    with FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        learner.fit(matrix, labels, sample_weight=weighing)
    weights, intercepts = learner.coef_.T, learner.intercept_
    if len(classes) == 2:
        weights = np.hstack([np.zeros_like(weights), weights])
        intercepts = np.concatenate([[0.0], intercepts])
    return Learned(weights, intercepts, [str(label) for label in learner.classes_])


Learner: TypeAlias = "Callable[[csr_matrix, list[str], Floats | None, TrainingParameters], Learned]"
LEARNERS: Mapping[ModelType, Learner] = {
    "REGRESSION": _linear,
    "BINARY": _logistic,
    "MULTICLASS": _multinomial,
}


def _sgd(matrix: csr_matrix, settings: TrainingParameters, curvature: float) -> dict[str, object]:
    squares = matrix.multiply(matrix).sum(axis=1) + 1
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


def _classes(values: list[str]) -> list[str]:
    classes = sorted(set(values))
    if len(classes) == 1:
        raise LearningError(
            f"Every record's target is {classes[0]!r}: a classifier needs two classes. If the file is sorted by the "
            "target, split it with the strategy 'random'."
        )
    if len(classes) > MOST_CLASSES:
        raise LearningError(
            f"The target has {len(classes)} classes; at most {MOST_CLASSES} are allowed. If it is a number, train a "
            "REGRESSION model."
        )
    return classes


def _trim(weights: Floats, names: list[str], most: int) -> int:
    """Forget the patterns that matter least until the model fits; return its size in bytes.

    AWS counts "patterns" and cuts those that "least affect the quality"; a pattern's size, here its name and 8 bytes a
    class, is our choice.
    """
    strength = np.abs(weights).max(axis=1, initial=0.0)
    order = np.argsort(-strength, kind="stable")
    costs = np.array([len(name.encode()) + 8 * weights.shape[1] for name in names])
    sizes = np.cumsum(costs[order])
    weights[order[sizes > most]] = 0.0
    kept = order[(sizes <= most) & (strength[order] > 0)]
    return int(costs[kept].sum() + 8 * weights.shape[1])
