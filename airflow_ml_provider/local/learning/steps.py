"""The recipe's functions at work: from text to numbers and words, for a table and for one record.

Whole columns go through numpy; one record goes through plain Python, which is faster for so little. Both give the same.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import product
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from airflow_ml_provider.local.learning.values import LARGEST, READ, WORDS, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from airflow_ml_provider.local.learning.recipe import Term
    from airflow_ml_provider.local.learning.schema import Kind
    from airflow_ml_provider.local.learning.values import Words

Floats: TypeAlias = "NDArray[np.float64]"
Integers: TypeAlias = "NDArray[np.intp]"


class Data:
    """The rows of one table under the names of the recipe's variables, and what was already computed of them.

    :param columns: each variable's values; a variable that is not there is missing in every row.
    :param length: the number of rows.
    """

    def __init__(self, columns: Mapping[str, Sequence[str]], length: int) -> None:
        self.columns, self.length = columns, length
        self._numbers: dict[NumberStep, Floats] = {}
        self._words: dict[WordStep, list[Words]] = {}

    def text(self, name: str) -> Sequence[str]:
        """Return a variable's values, empty where missing."""
        return self.columns.get(name) or [""] * self.length

    def numbers(self, step: NumberStep) -> Floats:
        """Return what a step makes of these rows, NaN where missing."""
        if step not in self._numbers:
            self._numbers[step] = step.column(self)
        return self._numbers[step]

    def words(self, step: WordStep) -> list[Words]:
        """Return what a step makes of these rows, no word where missing."""
        if step not in self._words:
            self._words[step] = step.column(self)
        return self._words[step]


class NumberStep(Protocol):
    """A step on the way from text to features that gives a number."""

    def column(self, data: Data) -> Floats:
        """Return the numbers of all rows."""

    def row(self, record: Mapping[str, str]) -> float:
        """Return the number of one record."""


class WordStep(Protocol):
    """A step on the way from text to features that gives words."""

    def column(self, data: Data) -> list[Words]:
        """Return the words of all rows."""

    def row(self, record: Mapping[str, str]) -> Words:
        """Return the words of one record."""


class NumberVariable:
    """Read a numeric variable."""

    def __init__(self, name: str) -> None:
        self.name = name

    def column(self, data: Data) -> Floats:
        text = data.text(self.name)
        try:
            numbers = np.array(list(map(float, text)), dtype=np.float64)
            usual = "_" not in "".join(text) and bool((np.abs(numbers) <= LARGEST).all())
        except ValueError:
            usual = False
        return numbers if usual else np.array(list(map(number, text)), dtype=np.float64)

    def row(self, record: Mapping[str, str]) -> float:
        return number(record.get(self.name, ""))


class WordVariable:
    """Read a binary, categorical or text variable."""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name, self.read = name, READ[kind]

    def column(self, data: Data) -> list[Words]:
        return list(map(self.read, data.text(self.name)))

    def row(self, record: Mapping[str, str]) -> Words:
        return self.read(record.get(self.name, ""))


class Rewrite:
    """Make other words of one step's words."""

    def __init__(self, term: Term, source: WordStep) -> None:
        self.make, self.size, self.source = WORDS[term.function], term.parameter or 0, source

    def column(self, data: Data) -> list[Words]:
        return [self.make(words, self.size) for words in data.words(self.source)]

    def row(self, record: Mapping[str, str]) -> Words:
        return self.make(self.source.row(record), self.size)


class Cartesian:
    """Join every word of each step with every word of the others."""

    def __init__(self, sources: Sequence[WordStep]) -> None:
        self.sources = sources

    def column(self, data: Data) -> list[Words]:
        rows = zip(*map(data.words, self.sources), strict=True)
        return [list(map("_".join, product(*row))) for row in rows]

    def row(self, record: Mapping[str, str]) -> Words:
        return list(map("_".join, product(*(source.row(record) for source in self.sources))))


class Normalize:
    """Shift and scale numbers to the mean 0 and variance 1 that they have over the training rows."""

    def __init__(self, source: NumberStep, data: Data) -> None:
        present = _present(data.numbers(source))
        self.source = source
        self.mean = float(present.mean()) if present.size else 0.0
        self.deviation = (float(present.std()) if present.size else 0.0) or 1.0

    def column(self, data: Data) -> Floats:
        return (data.numbers(self.source) - self.mean) / self.deviation

    def row(self, record: Mapping[str, str]) -> float:
        return (self.source.row(record) - self.mean) / self.deviation


class QuantileBin:
    """Sort numbers into bins that hold equally many of the training rows; equal numbers share a bin.

    A bin's word is its number, from 0 for the least values.
    """

    def __init__(self, source: NumberStep, bins: int, data: Data) -> None:
        present = np.sort(_present(data.numbers(source)))
        places = np.linspace(0, len(present) - 1, bins + 1)[1:-1]
        edges = np.unique(np.interp(places, np.arange(len(present)), present)) if present.size else present
        self.source, self.array, self.edges = source, edges, edges.tolist()

    def codes(self, data: Data) -> Integers:
        """Return the bins of all rows, -1 where the number is missing."""
        numbers = data.numbers(self.source)
        return np.where(np.isnan(numbers), -1, np.searchsorted(self.array, numbers, side="right"))

    def column(self, data: Data) -> list[Words]:
        return [[str(code)] if code >= 0 else [] for code in self.codes(data).tolist()]

    def row(self, record: Mapping[str, str]) -> Words:
        value = self.source.row(record)
        return [] if math.isnan(value) else [str(bisect_right(self.edges, value))]


def _present(numbers: Floats) -> Floats:
    return numbers[~np.isnan(numbers)]
