"""What a learner sees of a row: one number per pattern that the recipe's outputs showed in training."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from amazon_ml_local.learning.steps import (
    Cartesian,
    Data,
    Normalize,
    NumberStep,
    NumberVariable,
    QuantileBin,
    Rewrite,
    WordStep,
    WordVariable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scipy.sparse import csr_matrix

    from amazon_ml_local.learning.recipe import Term
    from amazon_ml_local.learning.steps import Floats, Integers


class Features:
    """All outputs of a recipe side by side, each pattern that the training rows show in a place of its own.

    :param terms: the recipe's outputs.
    :param data: the training rows. What they do not show is later ignored, as are missing values.
    """

    def __init__(self, terms: Sequence[Term], data: Data) -> None:
        self._data = data
        self._number_steps: dict[Term, NumberStep] = {}
        self._word_steps: dict[Term, WordStep] = {}
        self.blocks: list[Scale | Vocabulary] = []
        self.names: list[str] = []
        for term in terms:
            self.blocks.append(self._block(term))
            self.names += self.blocks[-1].names
        del self._data

    def matrix(self, data: Data) -> csr_matrix:
        """Return one row of features per row of data."""
        from scipy.sparse import hstack

        return hstack([block.column(data) for block in self.blocks], format="csr")

    def row(self, record: Mapping[str, str]) -> tuple[list[int], list[float]]:
        """Return the places and the values of the features that one record has."""
        places: list[int] = []
        values: list[float] = []
        for block in self.blocks:
            block.row(record, places, values)
        return places, values

    def _block(self, term: Term) -> Scale | Vocabulary:
        if term.kind == "NUMERIC":
            return Scale(Normalize(self._numbers(term), self._data), len(self.names))
        return Vocabulary(self._words(term), self._data, len(self.names))

    def _numbers(self, term: Term) -> NumberStep:
        if term not in self._number_steps:
            self._number_steps[term] = (
                NumberVariable(term.variable)
                if term.function == "variable"
                else Normalize(self._numbers(term.inputs[0]), self._data)
            )
        return self._number_steps[term]

    def _words(self, term: Term) -> WordStep:
        if term not in self._word_steps:
            self._word_steps[term] = self._word_step(term)
        return self._word_steps[term]

    def _word_step(self, term: Term) -> WordStep:
        match term.function:
            case "variable":
                return WordVariable(term.variable, term.kind)
            case "quantile_bin":
                return QuantileBin(self._numbers(term.inputs[0]), term.parameter or 0, self._data)
            case "cartesian":
                return Cartesian(list(map(self._words, term.inputs)))
        return Rewrite(term, self._words(term.inputs[0]))


class Scale:
    """Give the learner a number as it learns best: with mean 0 and variance 1; missing is the mean."""

    def __init__(self, step: Normalize, first: int) -> None:
        self.step, self.place, self.names = step, first, [""]

    def column(self, data: Data) -> csr_matrix:
        numbers = np.nan_to_num(data.numbers(self.step))
        rows = np.arange(len(numbers) + 1)
        return _matrix(numbers, np.zeros_like(rows[1:]), rows, 1)

    def row(self, record: Mapping[str, str], places: list[int], values: list[float]) -> None:
        value = self.step.row(record)
        if not math.isnan(value):
            places.append(self.place)
            values.append(value)


class Vocabulary:
    """Give the learner a 1 for each word that a row has, however often."""

    def __init__(self, step: WordStep, data: Data, first: int) -> None:
        values, codes = data.words(step)
        present = (values[code] for code in np.flatnonzero(np.bincount(codes)).tolist())
        self.step, self.first = step, first
        self.names = list(dict.fromkeys(chain.from_iterable(present)))
        self.places = {word: first + place for place, word in enumerate(self.names)}

    def column(self, data: Data) -> csr_matrix:
        values, codes = data.words(self.step)
        rows = [
            [self.places[word] - self.first for word in dict.fromkeys(words) if word in self.places] for words in values
        ]
        places = list(chain.from_iterable(rows))
        starts = np.concatenate(([0], np.cumsum(list(map(len, rows)), dtype=np.intp)))
        return _matrix(np.ones(len(places)), places, starts, len(self.names))[codes]

    def row(self, record: Mapping[str, str], places: list[int], values: list[float]) -> None:
        for word in dict.fromkeys(self.step.row(record)):
            if word in self.places:
                places.append(self.places[word])
                values.append(1.0)


def _matrix(values: Floats, places: Sequence[int] | Integers, starts: Integers, width: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    return csr_matrix((values, places, starts), shape=(len(starts) - 1, width))
