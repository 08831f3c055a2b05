"""Turn a record of Python values into what Predict wants: text by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Number

Record = Mapping[str, "str | int | float | bool | None"]


def encode(record: Record) -> dict[str, str]:
    """Make every value text, and leave out what is missing (None, NaN).

    Booleans become ``"1"`` and ``"0"``, which AWS reads in BINARY and NUMERIC variables alike. Messages name the
    variable and never hold its value: records are other people's data.

    :raises ValueError: when the record is not a mapping, a name is not text, or a value is nested or infinite.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"record: it is {type(record).__name__}; it must be a mapping of variable to value")
    return {name: text for name, value in record.items() if (text := _text(name, value)) is not None}


def _text(name: object, value: object) -> str | None:
    if not isinstance(name, str):
        raise ValueError(f"record: a variable's name is {type(name).__name__}; it must be text")
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if type(value).__name__ in ("bool", "bool_"):  # numpy's booleans are no bool, and no Number either
        return str(int(value))  # type: ignore[call-overload]
    return _number(name, value)


def _number(name: str, value: object) -> str | None:
    if not isinstance(value, Number) or isinstance(value, complex):
        raise ValueError(f"record: {name} is {type(value).__name__}; it must be text, a number, a boolean or None")
    if math.isinf(value):  # type: ignore[arg-type]
        raise ValueError(f"record: {name} is infinite; it must be a finite number")
    return None if math.isnan(value) else str(value)  # type: ignore[arg-type]
