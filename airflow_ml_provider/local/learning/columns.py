"""A table's columns, read as their kinds say: numbers, or texts of which each stands once."""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING, NamedTuple

from airflow_ml_provider.local.learning.values import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What float() may read alike, and what needs a closer look: letters, blanks, underscores, numbers without end.
UNUSUAL = re.compile(r"[^0-9.+-]|[0-9]{100}")


class Texts(NamedTuple):
    """A column of texts: each distinct text once, and the place among them of each row's."""

    values: list[str]
    codes: array[int]


def texts(column: Iterable[str]) -> Texts:
    """Return a column of texts."""
    places: dict[str, int] = {}
    codes = array("q", [places.setdefault(text, len(places)) for text in column])
    return Texts(list(places), codes)


def numbers(column: Sequence[str]) -> array[float]:
    """Return a column of numbers, NaN where a text shows none."""
    if not UNUSUAL.search("".join(column)):
        try:
            return array("d", map(float, column))
        except ValueError:
            pass
    return array("d", map(number, column))
