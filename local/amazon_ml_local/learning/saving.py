"""Save models, tables and counts as JSON and files, and load them the same to the bit; unlike pickle, without code."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from amazon_ml_local.learning import features, steps
from amazon_ml_local.learning.batch import BatchCounts
from amazon_ml_local.learning.distributions import Confusion, Residuals, Scores
from amazon_ml_local.learning.evaluation import Evaluated
from amazon_ml_local.learning.model import Model
from amazon_ml_local.learning.schema import Schema
from amazon_ml_local.learning.table import File, Table
from amazon_ml_local.learning.values import READ, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES: dict[str, type] = {
    made.__name__: made
    for made in (
        File,
        Model,
        Schema,
        Table,
        features.Features,
        features.Number,
        features.Vocabulary,
        steps.Cartesian,
        steps.Normalize,
        steps.NumberVariable,
        steps.QuantileBin,
        steps.Rewrite,
        steps.WordVariable,
    )
}
TUPLES: dict[str, type] = {made.__name__: made for made in (BatchCounts, Confusion, Evaluated, Residuals, Scores)}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"read {name}": function for name, function in READ.items()},
    **{f"words {name}": function for name, function in WORDS.items()},
}
COLLECTIONS: dict[str, Callable[..., Any]] = {"list": list, "tuple": tuple, "frozenset": frozenset}
NOT_SAVED = ("_columns", "_file")


def to_json(value: Any) -> Any:
    """Return a value in JSON's types, from which `from_json` makes an equal one.

    :raises TypeError: for an object of a class that is not in CLASSES.
    """
    if value is None or isinstance(value, (bool, int, str)) or type(value) is float:  # np.float64 is a float too
        return value
    if isinstance(value, np.generic):
        return to_json(value.item())
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": data, "type": value.dtype.str, "shape": value.shape}
    if isinstance(value, tuple) and type(value).__name__ in TUPLES:
        return {"tuple": type(value).__name__, "values": list(map(to_json, value))}
    if isinstance(value, (list, tuple, frozenset)):
        return {"collection": type(value).__name__, "items": list(map(to_json, value))}
    if isinstance(value, dict):
        return {"dict": [[to_json(key), to_json(item)] for key, item in value.items()]}
    if callable(value):
        return {"function": next(name for name, known in FUNCTIONS.items() if known is value)}
    return {"class": _class_name(value), "state": {name: to_json(item) for name, item in _state(value).items()}}


def from_json(value: Any) -> Any:
    """Return the value that `to_json` saved."""
    match value:
        case {"array": data, "type": kind, "shape": shape}:
            return np.frombuffer(base64.b64decode(data), np.dtype(kind)).reshape(shape).copy()
        case {"tuple": name, "values": values}:
            return TUPLES[name](*map(from_json, values))
        case {"collection": name, "items": items}:
            return COLLECTIONS[name](map(from_json, items))
        case {"dict": items}:
            return {from_json(key): from_json(item) for key, item in items}
        case {"function": name}:
            return FUNCTIONS[name]
        case {"class": name, "state": state}:
            made: Any = object.__new__(CLASSES[name])  # without __init__, which computes most of the state anew
            vars(made).update({key: from_json(item) for key, item in state.items()})
            return made
    return value


def _class_name(value: object) -> str:
    name = type(value).__name__
    if CLASSES.get(name) is not type(value):
        raise TypeError(f"an object of {type(value)} cannot be saved")
    return name


def _state(value: object) -> dict[str, Any]:
    """Return the attributes of an object, without columns, which go to a file, and without cached properties."""
    computed = {name for name in vars(value) if isinstance(getattr(type(value), name, None), cached_property)}
    kept = {name: item for name, item in vars(value).items() if name not in computed}
    return {name: None if name in NOT_SAVED else item for name, item in kept.items()}


def load_columns(table: Table, file: BinaryIO, in_memory: bool) -> Table:
    """Return a table with the columns that ``Table.write_columns`` wrote, read now if ``in_memory``, else when used."""
    import pyarrow as pa

    if not in_memory:
        return table.with_columns(file)
    with file:
        return replace(table, _columns=pa.ipc.open_file(file).read_all())
