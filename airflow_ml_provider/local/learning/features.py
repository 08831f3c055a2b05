"""The recipe at work: from text values to the numbers that a learner sees, for a table and for one record.

Whole columns go through numpy; one record goes through plain Python, which is faster for so little. Both give the same.
"""

from __future__ import annotations

import math
import string
from bisect import bisect_right
from itertools import chain, product
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from airflow_ml_provider.local.learning.schema import BINARY_LITERALS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from airflow_ml_provider.local.learning.recipe import Term
    from airflow_ml_provider.local.learning.schema import Kind

Words: TypeAlias = list[str]
Value: TypeAlias = "Words | float"
# Numbers with NaN for missing; bins with -1 for missing; or each row's words.
Numbers: TypeAlias = "NDArray[np.float64]"
Column: TypeAlias = "Numbers | NDArray[np.intp] | list[Words]"
# A compressed sparse row matrix: values, their places, and where each row starts.
Block: TypeAlias = "tuple[Numbers, NDArray[np.intp], NDArray[np.intp]]"


def number(text: str) -> float:
    """Return the number that a text shows, NaN if it shows none."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and "_" not in text else math.nan


def binary(text: str) -> Words:
    """Return "0" or "1" for AWS's binary literals, nothing for any other text."""
    literal = BINARY_LITERALS.get(text.strip().lower())
    return [literal] if literal else []


def ngrams(words: Words, size: int) -> Words:
    """Return all runs of 1 to `size` words, joined by a blank."""
    return [
        " ".join(words[start : start + length])
        for length in range(size, 0, -1)
        for start in range(len(words) - length + 1)
    ]


def sparse_bigrams(words: Words, size: int) -> Words:
    """Return each word with each of the `size` - 1 words after it, an underscore more for every word between."""
    return [
        word + "_" * distance + words[place + distance]
        for place, word in enumerate(words)
        for distance in range(1, min(size, len(words) - place))
    ]


def without_punctuation(words: Words) -> Words:
    """Return the words without punctuation before and after them; what is nothing else disappears."""
    return [bare for word in words if (bare := word.strip(string.punctuation))]


READ: Mapping[Kind, Callable[[str], Value]] = {
    "NUMERIC": number,
    "BINARY": binary,
    "CATEGORICAL": lambda text: [text] if text else [],
    "TEXT": str.split,
}
WORDS: Mapping[str, Callable[[Words, int], Words]] = {
    "ngram": ngrams,
    "osb": sparse_bigrams,
    "lowercase": lambda words, _: [word.lower() for word in words],
    "no_punct": lambda words, _: without_punctuation(words),
}


class Data:
    """The rows of one table under the names of the recipe's variables, and what was already computed of them.

    :param columns: each variable's values; a variable that is not there is missing in every row.
    :param length: the number of rows.
    """

    def __init__(self, columns: Mapping[str, Sequence[str]], length: int) -> None:
        self.columns, self.length = columns, length
        self._known: dict[Node, Column] = {}

    def text(self, name: str) -> Sequence[str]:
        """Return a variable's values, empty where missing."""
        return self.columns.get(name) or [""] * self.length

    def of(self, node: Node) -> Column:
        """Return what a step makes of these rows."""
        if node not in self._known:
            self._known[node] = node.column(self)
        return self._known[node]

    def numbers(self, node: Node) -> Numbers:
        """Return what a numeric step makes of these rows."""
        return np.asarray(self.of(node), dtype=np.float64)

    def words(self, node: Node) -> list[Words]:
        """Return what any other step makes of these rows; a bin's word is its number."""
        column = self.of(node)
        if isinstance(column, np.ndarray):
            return [[str(code)] if code >= 0 else [] for code in column.tolist()]
        return column


class Node(Protocol):
    """One step on the way from text to features; made from training rows, used on any."""

    def column(self, data: Data) -> Column:
        """Return the step's values over all rows."""

    def row(self, record: Mapping[str, str]) -> Value:
        """Return the step's value for one record."""


class Variable:
    """Read a variable's text as its kind says."""

    def __init__(self, name: str, kind: Kind) -> None:
        self.name, self.kind, self.read = name, kind, READ[kind]

    def column(self, data: Data) -> Column:
        text = data.text(self.name)
        if self.kind != "NUMERIC":
            return [self.read(value) for value in text]
        return _numbers(text)

    def row(self, record: Mapping[str, str]) -> Value:
        return self.read(record.get(self.name, ""))


class WordStep:
    """Make other words of one step's words."""

    def __init__(self, term: Term, source: Node) -> None:
        self.make, self.size, self.source = WORDS[term.function], term.parameter or 0, source

    def column(self, data: Data) -> Column:
        return [self.make(words, self.size) for words in data.words(self.source)]

    def row(self, record: Mapping[str, str]) -> Value:
        return self.make(_words(self.source.row(record)), self.size)


class Cartesian:
    """Join every word of each step with every word of the others."""

    def __init__(self, sources: Sequence[Node]) -> None:
        self.sources = sources

    def column(self, data: Data) -> Column:
        columns = [data.words(source) for source in self.sources]
        return [["_".join(words) for words in product(*row)] for row in zip(*columns, strict=True)]

    def row(self, record: Mapping[str, str]) -> Value:
        row = [_words(source.row(record)) for source in self.sources]
        return ["_".join(words) for words in product(*row)]


class Normalize:
    """Shift and scale numbers to the mean 0 and variance 1 that they have over the training rows."""

    def __init__(self, source: Node, data: Data) -> None:
        present = _present(data.numbers(source))
        self.source = source
        self.mean = float(present.mean()) if present.size else 0.0
        self.deviation = (float(present.std()) if present.size else 0.0) or 1.0

    def column(self, data: Data) -> Column:
        return (data.numbers(self.source) - self.mean) / self.deviation

    def row(self, record: Mapping[str, str]) -> float:
        return (_number(self.source.row(record)) - self.mean) / self.deviation


class QuantileBin:
    """Sort numbers into bins that hold equally many of the training rows; equal numbers share a bin."""

    def __init__(self, source: Node, bins: int, data: Data) -> None:
        present = np.sort(_present(data.numbers(source)))
        places = np.linspace(0, len(present) - 1, bins + 1)[1:-1]
        edges = np.unique(np.interp(places, np.arange(len(present)), present)) if present.size else present
        self.source, self.edges, self._edges = source, edges.tolist(), edges

    def column(self, data: Data) -> Column:
        numbers = data.numbers(self.source)
        return np.where(np.isnan(numbers), -1, np.searchsorted(self._edges, numbers, side="right"))

    def row(self, record: Mapping[str, str]) -> Value:
        value = _number(self.source.row(record))
        return [] if math.isnan(value) else [str(bisect_right(self.edges, value))]


class Features:
    """All outputs of a recipe side by side, each pattern that the training rows show in a place of its own.

    :param terms: the recipe's outputs.
    :param data: the training rows. What they do not show is later ignored, as are missing values.
    """

    def __init__(self, terms: Sequence[Term], data: Data) -> None:
        self._nodes: dict[Term, Node] = {}
        self.blocks: list[Scale | Vocabulary] = []
        self.names: list[str] = []
        for term in terms:
            node = self._node(term, data)
            block = Scale if term.kind == "NUMERIC" else Vocabulary
            self.blocks.append(block(node, data, len(self.names)))
            self.names += self.blocks[-1].names

    def matrix(self, data: Data) -> csr_matrix:
        """Return one row of features per row of data."""
        from scipy.sparse import csr_matrix, hstack

        blocks = []
        for block in self.blocks:
            values, places, starts = block.column(data)
            shape = (data.length, len(block.names))
            blocks.append(csr_matrix((values, places, starts), shape=shape))
        return hstack(blocks, format="csr")

    def row(self, record: Mapping[str, str]) -> tuple[list[int], list[float]]:
        """Return the places and the values of the features that one record has."""
        places: list[int] = []
        values: list[float] = []
        for block in self.blocks:
            block.row(record, places, values)
        return places, values

    def _node(self, term: Term, data: Data) -> Node:
        if term not in self._nodes:
            self._nodes[term] = self._make(term, [self._node(part, data) for part in term.inputs], data)
        return self._nodes[term]

    def _make(self, term: Term, sources: Sequence[Node], data: Data) -> Node:
        match term.function:
            case "variable":
                return Variable(term.variable, term.kind)
            case "cartesian":
                return Cartesian(sources)
            case "normalize":
                return Normalize(sources[0], data)
            case "quantile_bin":
                return QuantileBin(sources[0], term.parameter or 2, data)
        return WordStep(term, sources[0])


class Scale:
    """Give the learner a number as it learns best: with mean 0 and variance 1; missing is the mean."""

    def __init__(self, node: Node, data: Data, first: int) -> None:
        self.node, self.place, self.names = Normalize(node, data), first, [""]

    def column(self, data: Data) -> Block:
        return np.nan_to_num(data.numbers(self.node)), np.zeros(data.length, np.intp), np.arange(data.length + 1)

    def row(self, record: Mapping[str, str], places: list[int], values: list[float]) -> None:
        value = self.node.row(record)
        if not math.isnan(value):
            places.append(self.place)
            values.append(value)


class Vocabulary:
    """Give the learner a 1 for each word that a row has, however often."""

    def __init__(self, node: Node, data: Data, first: int) -> None:
        if isinstance(node, QuantileBin):
            self.names = [str(code) for code in range(len(node.edges) + 1)]
        else:
            self.names = list(dict.fromkeys(chain.from_iterable(data.words(node))))
        self.node = node
        self.places = {word: first + place for place, word in enumerate(self.names)}
        self.first = first

    def column(self, data: Data) -> Block:
        column = data.of(self.node)
        if isinstance(column, np.ndarray):
            known = column >= 0
            places, counts = column[known], known
        else:
            rows = [[self.places[word] for word in dict.fromkeys(words) if word in self.places] for words in column]
            places = np.fromiter(chain.from_iterable(rows), np.intp) - self.first
            counts = np.fromiter(map(len, rows), np.intp)
        return np.ones(len(places)), places, np.concatenate(([0], np.cumsum(counts)))

    def row(self, record: Mapping[str, str], places: list[int], values: list[float]) -> None:
        for word in dict.fromkeys(_words(self.node.row(record))):
            if word in self.places:
                places.append(self.places[word])
                values.append(1.0)


def _numbers(text: Sequence[str]) -> Numbers:
    try:
        numbers = np.array(list(map(float, text)))
    except ValueError:
        numbers = np.array(list(map(number, text)))
    # float() reads 1_000 and infinity, which are no numbers in a data file.
    if not np.isfinite(numbers).all() or "_" in "".join(text):
        return np.array(list(map(number, text)))
    return numbers


def _present(numbers: Numbers) -> Numbers:
    return numbers[~np.isnan(numbers)]


def _words(value: Value) -> Words:
    return value if isinstance(value, list) else []


def _number(value: Value) -> float:
    return value if isinstance(value, float) else math.nan
