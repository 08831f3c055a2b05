"""Convert text to numbers and words, and words by the functions of recipes."""

from __future__ import annotations

import math
import string
from typing import TYPE_CHECKING, TypeAlias

from amazon_ml_local.learning.schema import BINARY_LITERALS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from amazon_ml_local.learning.schema import Kind

Words: TypeAlias = list[str]
# The squares of larger numbers overflow.
LARGEST = 1e150


def number(text: str) -> float:
    """Return a text as a number; NaN if it is not a number, or too large to compute with."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    # float() also reads 1_000, which is no number in a data file.
    return value if abs(value) <= LARGEST and "_" not in text else math.nan


def binary_label(text: str) -> str:
    """Return "0" or "1" for AWS's binary literals, an empty text for any other."""
    return BINARY_LITERALS.get(text.strip().lower(), "")


def binary(text: str) -> Words:
    """Return the label of a binary literal, nothing for any other text."""
    label = binary_label(text)
    return [label] if label else []


def category(text: str) -> Words:
    """Return a text as it is, nothing for an empty one."""
    return [text] if text else []


def ngrams(words: Words, size: int) -> Words:
    """Return all runs of 1 to `size` words, joined by a blank."""
    return [
        " ".join(words[start : start + length])
        for length in range(size, 0, -1)
        for start in range(len(words) - length + 1)
    ]


def sparse_bigrams(words: Words, size: int) -> Words:
    """Return pairs of each word with each of the `size` - 1 words after it; each word between adds an underscore."""
    return [
        word + "_" * distance + words[place + distance]
        for place, word in enumerate(words)
        for distance in range(1, min(size, len(words) - place))
    ]


def lowercase(words: Words, _: int) -> Words:
    """Return the words in lower case."""
    return [word.lower() for word in words]


def without_punctuation(words: Words, _: int) -> Words:
    """Return the words without punctuation at their ends; words of nothing else are dropped."""
    return [bare for word in words if (bare := word.strip(string.punctuation))]


# The words of a variable's text, by its kind. Models hold these functions and pass between processes, so none may be a
# lambda, which cannot be pickled; that goes for those below too.
READ: Mapping[Kind, Callable[[str], Words]] = {
    "BINARY": binary,
    "CATEGORICAL": category,
    "TEXT": str.split,
}
# The words that a function of a recipe makes of others; the number is its parameter.
WORDS: Mapping[str, Callable[[Words, int], Words]] = {
    "ngram": ngrams,
    "osb": sparse_bigrams,
    "lowercase": lowercase,
    "no_punct": without_punctuation,
}
