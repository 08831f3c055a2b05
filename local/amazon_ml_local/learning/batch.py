"""Predictions for every row of a data source, as files in S3.

Source: Amazon Machine Learning developer guide, "Reading the BatchPrediction Output Files".
"""

from __future__ import annotations

import csv
import gzip
import json
from io import StringIO
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.values import binary
from amazon_ml_local.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from amazon_ml_local.learning.model import Model
    from amazon_ml_local.learning.table import Table
    from amazon_ml_local.storage import Storage


class BatchCounts(NamedTuple):
    """How many records a batch prediction had, and how many of them could not be read."""

    total: int
    invalid: int


def batch_predict(
    model: Model, table: Table, threshold: float | None, batch_prediction_id: str, output_uri: str, storage: Storage
) -> BatchCounts:
    """Write a result file per input file, and the manifest that maps one to the other.

    :param threshold: BINARY only: the least score for answer "1"; None means 0.5.
    :param output_uri: the s3:// folder that gets `batch-prediction/<id>.manifest` and `batch-prediction/result/`.
    :return: the number of records, and of those that could not be read: a blank line each.
    :raises LearningError: a result cannot be written.
    """
    folder = f"{output_uri.rstrip('/')}/batch-prediction"
    known = _known(model, table)
    header = _line([*known, *_answer_columns(model)])
    lines = _lines(model, table, threshold, list(known.values()))
    manifest = {}
    names = _names([file.uri for file in table.files])
    try:
        for file, name in zip(table.files, names, strict=True):
            result = f"{folder}/result/{batch_prediction_id}-{name}.gz"
            body = "".join([header, *lines[file.first : file.last]])
            storage.write(result, gzip.compress(body.encode(), mtime=0))
            manifest[file.uri] = result
        storage.write(f"{folder}/{batch_prediction_id}.manifest", json.dumps(manifest).encode())
    except StorageError as error:
        raise LearningError(f"The predictions cannot be written. {error}") from error
    return BatchCounts(len(table.rows), len(table.rows) - len(table.records))


def scientific(value: float) -> str:
    """Return a number as Java's DecimalFormat("0.######E0") writes it: 0.996733 is 9.96733E-1."""
    mantissa, _, exponent = f"{value:.6e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}E{int(exponent)}"


def _names(uris: list[str]) -> list[str]:
    """Return each file's name; with folders between, their names too, so that no result overwrites another."""
    parts = [uri.split("/") for uri in uris]
    steps = zip(*(folders for *folders, _ in parts), strict=False)
    shared = len(list(takewhile(lambda step: len(set(step)) == 1, steps)))
    return ["-".join(part[shared:]) for part in parts]


def _answer_columns(model: Model) -> Sequence[str]:
    columns = {"BINARY": ["bestAnswer", "score"], "REGRESSION": ["score"], "MULTICLASS": model.labels}
    return columns[model.model_type]


def _known(model: Model, table: Table) -> dict[str, list[str]]:
    """Return the columns that come from the input: the row's id and its true label, as far as the data has them.

    A BINARY label is told as 0 or 1 whatever its spelling, so that it compares with the answer (our choice).
    """
    known = {"tag": table.schema.row_id, "trueLabel": model.target}
    columns = table.schema.columns
    texts = {
        name: [row[columns[attribute]] for row in table.records]
        for name, attribute in known.items()
        if attribute in columns
    }
    if "trueLabel" in texts and model.model_type == "BINARY":
        texts["trueLabel"] = ["".join(binary(text)) for text in texts["trueLabel"]]
    return texts


def _lines(model: Model, table: Table, threshold: float | None, known: list[list[str]]) -> list[str]:
    """Return each row's line; blank for a row that could not be read."""
    answers = map(_answer(model, threshold), model.scores(table).tolist())
    lines = iter([_line([*before, *answer]) for *before, answer in zip(*known, answers, strict=True)])
    return [next(lines) if row else "\n" for row in table.rows]


def _answer(model: Model, threshold: float | None) -> Callable[[list[float]], list[str]]:
    least = 0.5 if threshold is None else threshold
    if model.model_type == "BINARY":
        return lambda scores: ["1" if scores[0] >= least else "0", scientific(scores[0])]
    return lambda scores: [scientific(score) for score in scores]


def _line(values: Sequence[str]) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()
