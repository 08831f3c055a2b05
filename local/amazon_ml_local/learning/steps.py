"""The steps of a recipe: from text to numbers and words, for a table and for one record.

Whole columns go through numpy, one record goes through plain Python, which is faster for so little. Results are equal.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import islice, product, starmap
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from amazon_ml_local.learning.values import READ, WORDS, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from amazon_ml_local.learning.columns import Distinct
    from amazon_ml_local.learning.recipe import Term
    from amazon_ml_local.learning.schema import Kind
    from amazon_ml_local.learning.table import Table
    from amazon_ml_local.learning.values import Words

Floats: TypeAlias = "NDArray[np.float64]"
Integers: TypeAlias = "NDArray[np.intp] | NDArray[np.int32]"
# Our bound, so that one record of two long texts doesn't keep the service busy for a minute.
MOST_COMBINATIONS = 100_000


class Values(Protocol):
    """The distinct lists of words of a column, computed during each iteration."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[Words]:
        """Return them in order."""


class Computed:
    """The values that a function computes from other columns' values."""

    def __init__(self, make: Callable[..., Words], *sources: Values | Distinct | list[Any]) -> None:
        self._make, self._sources = make, sources

    def __len__(self) -> int:
        return len(self._sources[0])

    def __iter__(self) -> Iterator[Words]:
        return starmap(self._make, zip(*self._sources, strict=True))


class Column(NamedTuple):
    """A column of words: the distinct lists of words, and for each row the place of its list among them."""

    values: Values
    codes: Integers


class TableRows:
    """Rows of a table; a variable that the table lacks is missing in every row.

    :param rows: which of the table's readable rows; None takes all.
    """

    def __init__(self, table: Table, rows: slice | Integers | None = None) -> None:
        self.table, self.rows = table, slice(None) if rows is None else rows

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(range(len(self.table))[self.rows]) if isinstance(self.rows, slice) else len(self.rows)

    def number_variable(self, name: str) -> Floats:
        """Return a variable's numbers, NaN where missing."""
        if name not in self.table.schema.kinds:
            return np.full(len(self), np.nan)
        numbers: Floats = self.table.numbers(name)[self.rows]
        return numbers

    def text_variable(self, name: str) -> tuple[Distinct | list[str], Integers]:
        """Return a variable's distinct texts, and for each row the place of its text; a missing text is empty."""
        if name not in self.table.schema.kinds:
            return [""], np.zeros(len(self), np.intp)
        texts = self.table.texts(name)
        return texts.values, texts.codes[self.rows]


class NumberStep(Protocol):
    """A step whose result is a number for each row."""

    def column(self, data: TableRows) -> Floats:
        """Return the numbers of all rows."""

    def row(self, record: Mapping[str, str]) -> float:
        """Return the number of one record."""


class WordStep(Protocol):
    """A step whose result is words for each row."""

    def column(self, data: TableRows) -> Column:
        """Return the words of all rows."""

    def row(self, record: Mapping[str, str]) -> Words:
        """Return the words of one record."""


class NumberVariable:
    """Read a numeric variable."""

    def __init__(self, name: str) -> None:
        self.name = name

    def column(self, data: TableRows) -> Floats:
        return data.number_variable(self.name)

    def row(self, record: Mapping[str, str]) -> float:
        return number(record.get(self.name, ""))


class WordVariable:
    """Read a binary, categorical or text variable."""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name, self.read = name, READ[kind]

    def column(self, data: TableRows) -> Column:
        texts, codes = data.text_variable(self.name)
        return Column(Computed(self.read, texts), codes)

    def row(self, record: Mapping[str, str]) -> Words:
        return self.read(record.get(self.name, ""))


class Rewrite:
    """Compute words from the words of another step."""

    def __init__(self, term: Term, source: WordStep) -> None:
        self.make, self.size, self.source = WORDS[term.function], term.parameter or 0, source

    def column(self, data: TableRows) -> Column:
        values, codes = self.source.column(data)
        return Column(Computed(lambda words: self.make(words, self.size), values), codes)

    def row(self, record: Mapping[str, str]) -> Words:
        return self.make(self.source.row(record), self.size)


class Cartesian:
    """Join every word of each step with every word of the others."""

    def __init__(self, sources: Sequence[WordStep]) -> None:
        self.sources = sources

    def column(self, data: TableRows) -> Column:
        columns = [source.column(data) for source in self.sources]
        # Each combination of the sources' values that a row has is joined once.
        combined, codes = np.unique([column.codes for column in columns], axis=1, return_inverse=True)
        made = [list(column.values) for column in columns]
        sources = [[values[code] for code in row] for values, row in zip(made, combined.tolist(), strict=True)]
        return Column(Computed(_joined, *sources), codes.reshape(-1))

    def row(self, record: Mapping[str, str]) -> Words:
        return _joined(*(source.row(record) for source in self.sources))


class Normalize:
    """Shift and scale numbers to the mean 0 and variance 1 that they have over the training rows."""

    def __init__(self, source: NumberStep, data: TableRows) -> None:
        present = _present(source.column(data))
        self.source = source
        self.mean = float(present.mean()) if present.size else 0.0
        self.deviation = (float(present.std()) if present.size else 0.0) or 1.0

    def column(self, data: TableRows) -> Floats:
        return (self.source.column(data) - self.mean) / self.deviation

    def row(self, record: Mapping[str, str]) -> float:
        return (self.source.row(record) - self.mean) / self.deviation


class QuantileBin:
    """Sort numbers into bins that hold equally many of the training rows; equal numbers share a bin.

    A bin's word is its number, from 0 for the least values.
    """

    def __init__(self, source: NumberStep, bins: int, data: TableRows) -> None:
        present = np.sort(_present(source.column(data)))
        # The edges between the bins are quantiles; equal numbers may leave fewer of them.
        places = np.linspace(0, len(present) - 1, bins + 1)[1:-1]
        edges = np.unique(np.interp(places, np.arange(len(present)), present)) if present.size else present
        self.source, self.edges = source, edges.tolist()

    def column(self, data: TableRows) -> Column:
        numbers, missing = self.source.column(data), len(self.edges) + 1
        codes = np.searchsorted(self.edges, numbers, side="right").astype(np.int32)
        codes[np.isnan(numbers)] = missing
        words: list[Words] = [[str(code)] for code in range(missing)]
        return Column([*words, []], codes)  # a missing number has no word

    def row(self, record: Mapping[str, str]) -> Words:
        value = self.source.row(record)
        return [] if math.isnan(value) else [str(bisect_right(self.edges, value))]


def _joined(*sources: Words) -> Words:
    """Return one word of each source joined by underscores, in every combination."""
    return list(map("_".join, islice(product(*sources), MOST_COMBINATIONS)))


def _present(numbers: Floats) -> Floats:
    return numbers[~np.isnan(numbers)]
