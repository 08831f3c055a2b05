"""The recipe's functions at work: from text to numbers and words, for a table and for one record.

Whole columns go through numpy; one record goes through plain Python, which is faster for so little. Both give the same.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import islice, product
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np

from amazon_ml_local.learning.values import READ, WORDS, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from amazon_ml_local.learning.recipe import Term
    from amazon_ml_local.learning.schema import Kind
    from amazon_ml_local.learning.table import Table
    from amazon_ml_local.learning.values import Words

Floats: TypeAlias = "NDArray[np.float64]"
Integers: TypeAlias = "NDArray[np.intp]"
# Our bound, so that one record of two long texts doesn't keep the service busy for a minute.
MOST_PAIRS = 100_000


class Column(NamedTuple):
    """Words by row: each distinct list of words once, and the place among them of each row's."""

    values: Sequence[Words]
    codes: Integers


class Data:
    """Some rows of a table, and what was already computed of them. A variable that it lacks is missing in every row.

    :param rows: the places of the rows among the table's readable ones; None takes all.
    """

    def __init__(self, table: Table, rows: Integers | None = None) -> None:
        self.table = table
        self.rows = np.arange(len(table.records)) if rows is None else rows
        self.is_whole = len(self.rows) == len(table.records)
        self._numbers: dict[NumberStep, Floats] = {}
        self._words: dict[WordStep, Column] = {}

    def number_variable(self, name: str) -> Floats:
        """Return a variable's numbers, NaN where missing."""
        if name not in self.table.schema.kinds:
            return np.full(len(self.rows), np.nan)
        return np.asarray(self.table.numbers(name), dtype=np.float64)[self.rows]

    def order(self, step: NumberStep) -> Integers:
        """Return the places of the rows by growing number, missing ones last."""
        if self.is_whole and isinstance(step, NumberVariable) and step.name in self.table.schema.kinds:
            return self.table.order(step.name)
        return np.argsort(self.numbers(step), kind="stable")

    def text_variable(self, name: str) -> tuple[Sequence[str], Integers]:
        """Return a variable's distinct texts and the place of each row's, empty where missing."""
        if name not in self.table.schema.kinds:
            return [""], np.zeros(len(self.rows), np.intp)
        texts = self.table.texts(name)
        return texts.values, np.asarray(texts.codes, dtype=np.intp)[self.rows]

    def numbers(self, step: NumberStep) -> Floats:
        """Return what a step makes of these rows, NaN where missing."""
        if step not in self._numbers:
            self._numbers[step] = step.column(self)
        return self._numbers[step]

    def words(self, step: WordStep) -> Column:
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

    def column(self, data: Data) -> Column:
        """Return the words of all rows."""

    def row(self, record: Mapping[str, str]) -> Words:
        """Return the words of one record."""


class NumberVariable:
    """Read a numeric variable."""

    def __init__(self, name: str) -> None:
        self.name = name

    def column(self, data: Data) -> Floats:
        return data.number_variable(self.name)

    def row(self, record: Mapping[str, str]) -> float:
        return number(record.get(self.name, ""))


class WordVariable:
    """Read a binary, categorical or text variable."""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name, self.read = name, READ[kind]

    def column(self, data: Data) -> Column:
        texts, codes = data.text_variable(self.name)
        return Column(list(map(self.read, texts)), codes)

    def row(self, record: Mapping[str, str]) -> Words:
        return self.read(record.get(self.name, ""))


class Rewrite:
    """Make other words of one step's words."""

    def __init__(self, term: Term, source: WordStep) -> None:
        self.make, self.size, self.source = WORDS[term.function], term.parameter or 0, source

    def column(self, data: Data) -> Column:
        values, codes = data.words(self.source)
        return Column([self.make(words, self.size) for words in values], codes)

    def row(self, record: Mapping[str, str]) -> Words:
        return self.make(self.source.row(record), self.size)


class Cartesian:
    """Join every word of each step with every word of the others."""

    def __init__(self, sources: Sequence[WordStep]) -> None:
        self.sources = sources

    def column(self, data: Data) -> Column:
        columns = list(map(data.words, self.sources))
        rows, codes = np.unique([column.codes for column in columns], axis=1, return_inverse=True)
        sources = [[column.values[code] for code in row] for column, row in zip(columns, rows.tolist(), strict=True)]
        values = list(map(_pairs, *sources))
        return Column(values, codes.reshape(-1))

    def row(self, record: Mapping[str, str]) -> Words:
        return _pairs(*(source.row(record) for source in self.sources))


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
        present = _present(data.numbers(source)[data.order(source)])
        places = np.linspace(0, len(present) - 1, bins + 1)[1:-1]
        edges = np.unique(np.interp(places, np.arange(len(present)), present)) if present.size else present
        self.source, self.array, self.edges = source, edges, edges.tolist()

    def column(self, data: Data) -> Column:
        order = data.order(self.source)
        present = _present(data.numbers(self.source)[order])
        starts = np.searchsorted(present, self.array, side="left")
        sizes = np.diff(starts, prepend=0, append=len(present))
        bins = [[str(code)] for code in range(len(sizes))]
        codes = np.full(len(order), len(bins))
        codes[order[: len(present)]] = np.repeat(np.arange(len(bins)), sizes)
        return Column([*bins, []], codes)

    def row(self, record: Mapping[str, str]) -> Words:
        value = self.source.row(record)
        return [] if math.isnan(value) else [str(bisect_right(self.edges, value))]


def _pairs(*sources: Words) -> Words:
    return list(map("_".join, islice(product(*sources), MOST_PAIRS)))


def _present(numbers: Floats) -> Floats:
    return numbers[~np.isnan(numbers)]
