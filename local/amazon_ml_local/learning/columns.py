"""A table's columns, read as their kinds say: numbers, or texts of which each stands once."""

from __future__ import annotations

from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from amazon_ml_local.learning.values import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Of short texts in these characters alone, what float() takes is a number; anything else needs a closer look.
USUAL, LONGEST = "0123456789.+-", 100


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
    if not "".join(column).strip(USUAL) and max(map(len, column), default=0) <= LONGEST:
        with suppress(ValueError):
            return array("d", map(float, column))
    return array("d", map(number, column))
