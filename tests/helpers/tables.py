"""Tables for the tests of learning: CSV text and scikit-learn's bundled data sets."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets

from amazon_ml_local.learning import DataSource, Table, read_table
from amazon_ml_local.learning.model import ModelType
from amazon_ml_local.learning.schema import Kind
from amazon_ml_local.storage import MemoryStorage
from tests.helpers.schemas import schema_text

URI = "s3://bucket/in/data.csv"
TARGET_KINDS: dict[ModelType, Kind] = {"BINARY": "BINARY", "MULTICLASS": "CATEGORICAL", "REGRESSION": "NUMERIC"}


def table(text: str, attributes: Mapping[str, str], split: dict[str, Any] | None = None, **members: object) -> Table:
    """Return the table that a CSV text holds."""
    source: DataSource = {"location_s3": URI, "schema": schema_text(attributes, **members)}
    if split:
        source["rearrangement"] = json.dumps({"splitting": split})
    return read_table(source, MemoryStorage({URI: text.encode()}))


def cells(read: Table) -> list[list[str]]:
    """Return a table's rows as texts, numbers in their shortest form; an unreadable row is empty."""
    columns = [[list(values)[code] for code in codes] for values, codes in map(read.texts, read.schema.kinds)]
    readable = map(list, zip(*columns, strict=True))
    return [[] if place in read.unreadable else next(readable) for place in range(read.number_of_rows)]


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as CSV."""
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


class Bundled(NamedTuple):
    """One of scikit-learn's data sets: a table to train, a table to evaluate, and the same as arrays."""

    train: Table
    test: Table
    numbers: np.ndarray
    target: np.ndarray
    is_test: np.ndarray


def bundled(name: str, model_type: ModelType, shuffle_labels: bool = False) -> Bundled:
    """Return a bundled data set, every third row of it for evaluation."""
    loaded = getattr(datasets, f"load_{name}")()
    target = loaded.target
    if shuffle_labels:
        target = np.random.default_rng(0).permutation(target)
    is_test = np.arange(len(target)) % 3 == 0
    attributes = {f"x{n}": "NUMERIC" for n in range(loaded.data.shape[1])} | {"y": TARGET_KINDS[model_type]}
    rows = [[*row, label] for row, label in zip(loaded.data.tolist(), target.tolist(), strict=True)]

    def part(chosen: np.ndarray) -> Table:
        text = csv_text([row for row, wanted in zip(rows, chosen, strict=True) if wanted])
        return table(text, attributes, targetAttributeName="y")

    return Bundled(part(~is_test), part(is_test), loaded.data, target, is_test)
