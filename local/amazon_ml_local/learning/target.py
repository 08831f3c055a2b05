"""Read the true values of a model's target from a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.values import binary_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amazon_ml_local.learning.model import ModelType
    from amazon_ml_local.learning.steps import Floats
    from amazon_ml_local.learning.table import Table


class Truth(NamedTuple):
    """The target of each readable row: a number, or the place of its class among the labels; NaN where missing."""

    labels: Sequence[str]
    values: Floats


def read_truth(table: Table, target: str, model_type: ModelType) -> Truth:
    """Return the target of each readable row, labels in the order of their first appearance, 0 before 1 for BINARY.

    A recorded file of a batch had the columns 5,6,7,2,8,3,9,0,1,4: not sorted, which the first appearance explains.

    Raises LearningError when the table has no such attribute, or no usable value in it.
    """
    if target not in table.schema.kinds:
        raise LearningError(f"The data schema has no attribute {target!r}, the target of the model.")
    truth = _numbers(table, target) if model_type == "REGRESSION" else _classes(table, target, model_type == "BINARY")
    if np.isnan(truth.values).all():
        raise LearningError(
            f"No record has a usable value of the target {target!r}: look at the data, its schema and its split."
        )
    return truth


def _numbers(table: Table, target: str) -> Truth:
    return Truth([], table.numbers(target))


def _classes(table: Table, target: str, is_binary: bool) -> Truth:
    """Return the class of each row; BINARY labels become "0" and "1", and texts that are no label are missing."""
    texts, codes = table.texts(target)
    present, first = np.unique(codes, return_index=True)
    names = list(map(binary_label, texts)) if is_binary else list(texts)
    by_first_row = dict.fromkeys(names[code] for code in present[np.argsort(first)].tolist())
    labels = [name for name in (sorted(by_first_row) if is_binary else by_first_row) if name]
    places = {label: float(place) for place, label in enumerate(labels)}
    values = np.array([places.get(name, math.nan) for name in names])
    return Truth(labels, values[codes])
