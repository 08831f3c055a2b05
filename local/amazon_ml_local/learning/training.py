"""Train a model on a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.features import Features
from amazon_ml_local.learning.learners import LEARNERS, Rows
from amazon_ml_local.learning.log import silent
from amazon_ml_local.learning.model import Model, ModelType
from amazon_ml_local.learning.parameters import DEFAULTS, parse_parameters
from amazon_ml_local.learning.recipe import default_recipe, parse_recipe, resolve
from amazon_ml_local.learning.steps import TableRows
from amazon_ml_local.learning.target import read_truth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from amazon_ml_local.learning.log import Log
    from amazon_ml_local.learning.schema import Kind
    from amazon_ml_local.learning.steps import Floats
    from amazon_ml_local.learning.table import Table

MOST_CLASSES = 100
# A recorded model of 2,151 parameters had 206,496 bytes.
PARAMETER_BYTES = 96
TARGET_KINDS: Mapping[ModelType, Kind] = {
    "REGRESSION": "NUMERIC",
    "BINARY": "BINARY",
    "MULTICLASS": "CATEGORICAL",
}


def train(
    table: Table,
    model_type: ModelType,
    recipe: str | None = None,
    parameters: Mapping[str, str] | None = None,
    log: Log = silent,
) -> Model:
    """Return a model trained to predict the table's target; the same input gives the same model.

    :param recipe: the recipe's JSON; None uses the default one.
    :param parameters: training parameters as AWS spells them, all strings.
    :raises LearningError: when table, recipe or parameters cannot be used.
    """
    target = _target(table, model_type)
    labels, values = read_truth(table, target, model_type)
    if model_type != "REGRESSION":
        _check_classes(labels)
    known = np.flatnonzero(~np.isnan(values))
    inputs = table.schema.inputs
    recipe = recipe or default_recipe(inputs, known.size)
    settings = parse_parameters(parameters or {})
    data = TableRows(table, None if known.size == len(table) else known)
    features = Features(resolve(parse_recipe(recipe), inputs), data)
    if not features.width:
        raise LearningError("The recipe's outputs have no value in any record: nothing to learn from.")
    log(f"{known.size:,} records with a target, {features.width:,} features by the recipe {recipe}")
    matrix, weights = features.matrix(data), _row_weights(table, data)
    learned = LEARNERS[model_type](Rows(matrix, values[known], weights), settings, log)
    size = _trim(learned.weights, settings.size_in_bytes)
    log(f"The model has {size:,} bytes")
    return Model(model_type, target, labels, features, learned, recipe, DEFAULTS | dict(parameters or {}), size)


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


def _row_weights(table: Table, data: TableRows) -> Floats:
    """Return each row's weight as a share of the greatest weight, so that no step of SGD overshoots."""
    name = table.schema.row_weight
    if name is None:
        return np.ones(len(data))
    numbers = data.number_variable(name)
    weights: Floats = np.where(numbers >= 0, numbers, 1.0)  # a missing or negative one counts as 1
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


def _trim(weights: Floats, most: int) -> int:
    """Set the weights of the least important patterns to 0 until the model fits; return its size in bytes.

    AWS counts "patterns" and cuts those that "least affect the quality"; 96 bytes a parameter are recorded.
    """
    strength = np.abs(weights).max(axis=1, initial=0.0)
    room = max(most // (PARAMETER_BYTES * weights.shape[1]) - 1, 0)  # the intercepts take the room of one pattern
    weights[np.argsort(-strength, kind="stable")[room:]] = 0.0
    patterns = np.count_nonzero(weights.any(axis=1))
    return int(PARAMETER_BYTES * weights.shape[1] * (patterns + 1))
