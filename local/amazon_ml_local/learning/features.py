"""The features of a row: one number for each pattern that the recipe's outputs had in the training rows."""

from __future__ import annotations

import math
from array import array
from functools import reduce
from itertools import chain, compress
from operator import add
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from amazon_ml_local.learning.steps import (
    Cartesian,
    Normalize,
    NumberStep,
    NumberVariable,
    QuantileBin,
    Rewrite,
    TableRows,
    WordStep,
    WordVariable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from amazon_ml_local.learning.recipe import Term
    from amazon_ml_local.learning.steps import Floats, Integers

    Matrix: TypeAlias = "csr_matrix | Floats"


class Single(NamedTuple):
    """At most one feature for each row: its place, and its value, which is 0 if the row has none.

    A plain number holds for all rows.
    """

    places: int | NDArray[np.int32]
    values: float | Floats


class Bags(NamedTuple):
    """Any number of features for each row, all with the value 1.

    :ivar places: the places of the features of all distinct values, one value after the other
    :ivar starts: where those of each value start, and their end
    :ivar codes: which of the values each row has
    """

    places: NDArray[np.int32]
    starts: NDArray[np.intp]
    codes: Integers

    def matrix(self, width: int) -> csr_matrix:
        """Return the features as a sparse matrix, a row for each row of data."""
        from scipy.sparse import csr_matrix

        distinct = csr_matrix(
            (np.ones(len(self.places)), self.places, self.starts), shape=(len(self.starts) - 1, width)
        )
        return distinct[self.codes]


class Features:
    """The features of all outputs of a recipe; each pattern of the training rows has a place of its own.

    :param terms: the recipe's outputs.
    :param data: the training rows. Patterns that they do not have are ignored in later rows, as missing values are.
    """

    def __init__(self, terms: Sequence[Term], data: TableRows) -> None:
        self.blocks: list[Number | Vocabulary] = []
        self.width = 0
        steps = _Steps(data)
        for term in terms:
            block = (
                Number(steps.numbers(term), data, self.width)
                if term.kind == "NUMERIC"
                else Vocabulary(steps.words(term), data, self.width)
            )
            self.blocks.append(block)
            self.width += len(block.names)

    @property
    def names(self) -> list[str]:
        """Return the pattern of each place: a word, or an empty text for a number."""
        return [name for block in self.blocks for name in block.names]

    def matrix(self, data: TableRows) -> Matrix:
        """Return the features of all rows: as an array if most features of a row are not 0, else as a sparse matrix."""
        blocks = [block for block in self.blocks if block.names]
        # A block mostly has one feature that is not 0 in a row.
        return self._dense(blocks, data) if 2 * len(blocks) >= self.width else self._sparse(blocks, data)

    def row(self, record: Mapping[str, str]) -> tuple[list[int], list[float]]:
        """Return the places and the values of the features that one record has."""
        places: list[int] = []
        values: list[float] = []
        for block in self.blocks:
            block.row(record, places, values)
        return places, values

    def _dense(self, blocks: Sequence[Number | Vocabulary], data: TableRows) -> Floats:
        matrix = np.zeros((len(data), self.width))
        for block in blocks:
            entry = block.entries(data)
            if isinstance(entry, Bags):
                matrix += entry.matrix(self.width).toarray()
            elif isinstance(entry.places, int):
                matrix[:, entry.places] = entry.values
            else:
                matrix[np.arange(len(data)), entry.places] = entry.values
        return matrix

    def _sparse(self, blocks: Sequence[Number | Vocabulary], data: TableRows) -> csr_matrix:
        """Return the features, filled in block by block so that they are never in memory twice."""
        from scipy.sparse import csr_matrix

        rows, singles = len(data), 0
        places, values = np.empty((rows, len(blocks)), np.int32), np.empty((rows, len(blocks)))
        bags = []
        for block in blocks:
            entry = block.entries(data)
            if isinstance(entry, Bags):
                bags.append(entry.matrix(self.width))
            else:
                places[:, singles], values[:, singles] = entry
                singles += 1
        # Every row has one entry of each block in ``places``, so rows of a CSR matrix start at equal distances.
        starts = np.arange(rows + 1, dtype=np.int64 if rows * singles > 2**31 - 1 else np.int32) * singles
        flat = values[:, :singles].reshape(-1), places[:, :singles].reshape(-1), starts
        return reduce(add, [csr_matrix(flat, shape=(rows, self.width)), *bags])


class _Steps:
    """Create the steps that compute terms; terms share the steps that they have in common."""

    def __init__(self, data: TableRows) -> None:
        self._data = data
        self._numbers: dict[Term, NumberStep] = {}
        self._words: dict[Term, WordStep] = {}

    def numbers(self, term: Term) -> NumberStep:
        if term not in self._numbers:
            self._numbers[term] = (
                NumberVariable(term.variable)
                if term.function == "variable"
                else Normalize(self.numbers(term.inputs[0]), self._data)
            )
        return self._numbers[term]

    def words(self, term: Term) -> WordStep:
        if term not in self._words:
            self._words[term] = self._word_step(term)
        return self._words[term]

    def _word_step(self, term: Term) -> WordStep:
        match term.function:
            case "variable":
                return WordVariable(term.variable, term.kind)
            case "quantile_bin":
                return QuantileBin(self.numbers(term.inputs[0]), term.parameter or 0, self._data)
            case "cartesian":
                return Cartesian(list(map(self.words, term.inputs)))
        return Rewrite(term, self.words(term.inputs[0]))


class Number:
    """One feature for a number; a missing number becomes the mean of the training rows."""

    def __init__(self, step: NumberStep, data: TableRows, place: int) -> None:
        numbers = step.column(data)
        present = numbers[~np.isnan(numbers)]
        self.step, self.place = step, place
        self.names = [""]  # as ``Features.names`` shows a number
        self.mean = float(present.mean()) if present.size else 0.0

    def entries(self, data: TableRows) -> Single:
        return Single(self.place, np.nan_to_num(self.step.column(data), nan=self.mean))

    def row(self, record: Mapping[str, str], places: list[int], values: list[float]) -> None:
        """Append the record's place and value to ``places`` and ``values``."""
        value = self.step.row(record)
        places.append(self.place)
        values.append(self.mean if math.isnan(value) else value)


class Vocabulary:
    """A feature for each word of the training rows: 1 if a row has the word, however often."""

    def __init__(self, step: WordStep, data: TableRows, first: int) -> None:
        values, codes = step.column(data)
        present = np.bincount(codes, minlength=len(values)) > 0
        words = chain.from_iterable(compress(values, present.tolist()))
        self.step, self.first = step, first
        self.places = {word: first + place for place, word in enumerate(dict.fromkeys(words))}

    @property
    def names(self) -> list[str]:
        return list(self.places)

    def entries(self, data: TableRows) -> Single | Bags:
        """Return the features of all rows, in the form for one if no row has several."""
        values, codes = self.step.column(data)
        places, starts = array("i"), array("q", [0])
        for words in values:
            places.extend(self.places[word] for word in dict.fromkeys(words) if word in self.places)
            starts.append(len(places))
        flat, bounds = np.array(places, np.int32), np.array(starts, np.intp)
        sizes = np.diff(bounds)
        if sizes.max(initial=0) > 1:
            return Bags(flat, bounds, codes)
        place = np.full(len(sizes), self.first, np.int32)  # any place, for a row without a word, whose value is 0
        place[sizes == 1] = flat
        return Single(place[codes], 1.0 if sizes.all() else sizes.astype(float)[codes])

    def row(self, record: Mapping[str, str], places: list[int], values: list[float]) -> None:
        """Append the places and values of the record's known words to ``places`` and ``values``."""
        for word in dict.fromkeys(self.step.row(record)):
            if word in self.places:
                places.append(self.places[word])
                values.append(1.0)
