"""A table's columns: numbers as arrays of doubles, texts as codes of distinct texts, both held by Arrow."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from pyarrow import csv

from amazon_ml_local.learning.values import LARGEST, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from amazon_ml_local.learning.schema import Schema

Floats: TypeAlias = "NDArray[np.float64]"
Codes: TypeAlias = "NDArray[np.int32]"

TEXT = pa.dictionary(pa.int32(), pa.string())
# Texts that Arrow may read as missing numbers; number() does not read them as numbers either.
MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "Null", "null", "None", "none", "?", "-"]
BLOCK = 65_536


class Distinct:
    """The distinct texts of a column; they become Python strings only during an iteration."""

    def __init__(self, texts: pa.StringArray) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), BLOCK):
            yield from self._texts[first : first + BLOCK].to_pylist()


class Texts(NamedTuple):
    """A column of texts: the distinct texts, and for each row the place of its text among them."""

    values: Distinct
    codes: Codes


class Columns:
    """Read records into columns, piece by piece.

    The target and the row's id are kept as texts even if they are numbers, since results show them as they were.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        shown = {schema.target, schema.row_id}
        numeric = {name for name, kind in schema.kinds.items() if kind == "NUMERIC"}
        self._texts: dict[str, list[pa.Array]] = {
            name: [] for name in schema.kinds if name not in numeric or name in shown
        }
        self._numbers: dict[str, list[Floats]] = {name: [] for name in numeric - shown}
        self._mixed: set[str] = set()  # numeric columns in which Arrow found something else

    def add(self, body: bytes) -> None:
        """Add the records of a piece of CSV."""
        if not body or body.isspace():
            return
        table = self._read(body)
        for name, texts in self._texts.items():
            texts.extend(table[name].chunks)
        for name, numbers in self._numbers.items():
            # A copy, since Arrow's own arrays take up to twice the room.
            numbers.append(np.concatenate(list(map(_numbers, table[name].chunks))))

    def finish(self, taken: NDArray[np.bool_] | None) -> pa.Table:
        """Return the columns of the rows that are taken, of all if ``taken`` is None.

        An attribute's texts are the column ``text:NAME``, its numbers ``number:NAME``; the target may have both.
        """
        columns = {}
        for name in self.schema.kinds:
            if name in self._texts:
                texts = _joined_texts(self._texts.pop(name), taken)
                columns[f"text:{name}"] = texts
                if self.schema.kinds[name] == "NUMERIC":
                    columns[f"number:{name}"] = pa.array(numbers_of(texts))
            else:
                columns[f"number:{name}"] = pa.array(_joined(self._numbers.pop(name), taken))
        return pa.table(columns)

    def _read(self, body: bytes) -> pa.Table:
        """Return a piece as Arrow reads it; a numeric column with something that is no number is read as texts."""
        while True:
            types = dict.fromkeys(self.schema.kinds, TEXT)
            types |= {name: pa.float64() for name in self._numbers if name not in self._mixed}
            try:
                return csv.read_csv(
                    pa.py_buffer(body),
                    csv.ReadOptions(column_names=list(self.schema.kinds)),
                    csv.ParseOptions(newlines_in_values=False),
                    csv.ConvertOptions(check_utf8=False, column_types=types, null_values=MISSING),
                )
            except pa.ArrowInvalid as error:
                # An error that names no column may come from any that is read as numbers.
                found = re.search(r"column #(\d+)", str(error))
                wrong = {list(self.schema.kinds)[int(found[1])]} if found else set(self._numbers)
                if wrong <= self._mixed:
                    raise
                self._mixed |= wrong


def numbers_of(texts: pa.DictionaryArray) -> Floats:
    """Return texts as numbers, NaN for a text that is no number."""
    distinct = np.fromiter(map(number, Distinct(texts.dictionary)), np.float64, len(texts.dictionary))
    codes: Codes = texts.indices.to_numpy()
    return distinct[codes] if len(distinct) else np.empty(0)


def texts_of(numbers: Floats) -> Texts:
    """Return numbers as texts, empty where missing."""
    distinct, codes = np.unique(numbers, return_inverse=True)
    shown = ["" if math.isnan(value) else repr(value).removesuffix(".0") for value in distinct.tolist()]
    return Texts(Distinct(pa.array(shown, pa.string())), codes.astype(np.int32))


def _numbers(chunk: pa.Array) -> Floats:
    """Return a column of a piece as numbers, NaN for those that are too large to compute with, as ``number`` does."""
    if pa.types.is_dictionary(chunk.type):
        return numbers_of(chunk)
    numbers: Floats = chunk.to_numpy(zero_copy_only=False)
    if not np.abs(numbers).max(initial=0.0) <= LARGEST:  # also if a NaN hides a larger one from max()
        numbers = np.where(np.abs(numbers) <= LARGEST, numbers, np.nan)
    return numbers


def _joined(parts: Sequence[Floats], taken: NDArray[np.bool_] | None) -> Floats:
    joined = np.concatenate(parts) if parts else np.empty(0)
    return joined if taken is None else joined[taken]


def _joined_texts(parts: list[pa.Array], taken: NDArray[np.bool_] | None) -> pa.DictionaryArray:
    joined = pa.chunked_array(parts, TEXT).unify_dictionaries()
    if not joined.num_chunks:
        return pa.array([], TEXT)
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in joined.chunks])
    if taken is not None:
        codes = codes[taken]
    return pa.DictionaryArray.from_arrays(codes, joined.chunk(0).dictionary)
