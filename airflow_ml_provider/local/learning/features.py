"""What a learner sees of a row: one number per pattern that the recipe's outputs showed in training."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from airflow_ml_provider.local.learning.steps import (
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

    from airflow_ml_provider.local.learning.recipe import Term
    from airflow_ml_provider.local.learning.steps import Floats, Integers

# A compressed sparse row matrix: values, their places, and how many each row has.
Block: TypeAlias = "tuple[Floats, Integers, Integers]"


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
        from scipy.sparse import csr_matrix, hstack

        blocks = []
        for block in self.blocks:
            values, places, counts = block.column(data)
            starts = np.concatenate(([0], np.cumsum(counts)))
            blocks.append(csr_matrix((values, places, starts), shape=(data.length, len(block.names))))
        return hstack(blocks, format="csr")

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

    def column(self, data: Data) -> Block:
        places = np.zeros(data.length, np.intp)
        return np.nan_to_num(data.numbers(self.step)), places, places + 1

    def row(self, record: Mapping[str, str], places: list[int], values: list[float]) -> None:
        value = self.step.row(record)
        if not math.isnan(value):
            places.append(self.place)
            values.append(value)


class Vocabulary:
    """Give the learner a 1 for each word that a row has, however often."""

    def __init__(self, step: WordStep, data: Data, first: int) -> None:
        words = (
            map(str, range(len(step.edges) + 1))
            if isinstance(step, QuantileBin)
            else dict.fromkeys(chain.from_iterable(data.words(step)))
        )
        self.step, self.first, self.names = step, first, list(words)
        self.places = {word: first + place for place, word in enumerate(self.names)}

    def column(self, data: Data) -> Block:
        if isinstance(self.step, QuantileBin):
            codes = self.step.codes(data)
            known = codes >= 0
            return np.ones(known.sum()), codes[known], known.astype(np.intp)
        rows = [
            [self.places[word] - self.first for word in dict.fromkeys(words) if word in self.places]
            for words in data.words(self.step)
        ]
        places = np.fromiter(chain.from_iterable(rows), np.intp)
        return np.ones(len(places)), places, np.fromiter(map(len, rows), np.intp)

    def row(self, record: Mapping[str, str], places: list[int], values: list[float]) -> None:
        for word in dict.fromkeys(self.step.row(record)):
            if word in self.places:
                places.append(self.places[word])
                values.append(1.0)
