"""From a table to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.features import Features
from amazon_ml_local.learning.learners import LEARNERS
from amazon_ml_local.learning.model import Model, ModelType
from amazon_ml_local.learning.parameters import DEFAULTS, parse_parameters
from amazon_ml_local.learning.recipe import default_recipe, parse_recipe, resolve
from amazon_ml_local.learning.steps import Data
from amazon_ml_local.learning.target import read_truth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amazon_ml_local.learning.schema import Kind
    from amazon_ml_local.learning.steps import Floats
    from amazon_ml_local.learning.table import Table

MOST_CLASSES = 100
TARGET_KINDS: Mapping[ModelType, Kind] = {
    "REGRESSION": "NUMERIC",
    "BINARY": "BINARY",
    "MULTICLASS": "CATEGORICAL",
}


def train(
    table: Table, model_type: ModelType, recipe: str | None = None, parameters: Mapping[str, str] | None = None
) -> Model:
    """Return a model that learned to predict the table's target. The same input gives the same model.

    :param recipe: the recipe's JSON; None uses the default one.
    :param parameters: training parameters as AWS spells them, all strings.
    :raises LearningError: what keeps the model from being trained, and what to do.
    """
    target = _target(table, model_type)
    labels, values = read_truth(table, target, model_type)
    if model_type != "REGRESSION":
        _check_classes(labels)
    known = np.flatnonzero(~np.isnan(values))
    inputs = table.schema.inputs
    recipe = recipe or default_recipe(inputs, known.size)
    settings = parse_parameters(parameters or {})
    data = Data(table, known)
    features = Features(resolve(parse_recipe(recipe), inputs), data)
    if not features.names:
        raise LearningError("The recipe's outputs have no value in any record: nothing to learn from.")
    matrix = features.matrix(data)
    if matrix.nnz > matrix.shape[0] * matrix.shape[1] / 2:
        # scikit-learn is slow to learn the intercept of sparse data.
        matrix = matrix.toarray()
    learned = LEARNERS[model_type](matrix, values[known], _row_weights(table, data), settings)
    size = _trim(learned.weights, features.names, settings.size_in_bytes)
    training_parameters = DEFAULTS | dict(parameters or {})
    return Model(model_type, target, labels, features, learned, recipe, training_parameters, size)


def _target(table: Table, model_type: ModelType) -> str:
    target, wanted = table.schema.target, TARGET_KINDS[model_type]
    if target is None:
        raise LearningError("The data schema names no targetAttributeName: a model needs one to learn from.")
    kind = table.schema.kinds[target]
    if kind != wanted:
        raise LearningError(
            f"The target {target!r} is {kind}; a {model_type} model needs a {wanted} target. Correct the schema or "
            "the model type."
        )
    return target


def _row_weights(table: Table, data: Data) -> Floats | None:
    """Return each row's weight as a share of the greatest, with which no step overshoots; None where all are alike."""
    name = table.schema.row_weight
    if name is None:
        return None
    numbers = data.number_variable(name)
    weights: Floats = np.where(numbers >= 0, numbers, 1.0)
    if not weights.any():
        raise LearningError(f"No record has a weight above 0 in the rowWeight attribute {name!r}.")
    weights /= weights.max()
    return weights


def _check_classes(classes: Sequence[str]) -> None:
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
