"""Predictions for every row of a data source, as files in S3.

Source: Amazon Machine Learning developer guide, "Reading the BatchPrediction Output Files".
"""

from __future__ import annotations

import csv
import gzip
import json
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

from airflow_ml_provider.local.learning.errors import LearningError
from airflow_ml_provider.local.learning.training import targets
from airflow_ml_provider.local.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_ml_provider.local.learning.model import Model
    from airflow_ml_provider.local.learning.table import Table
    from airflow_ml_provider.local.storage import Storage


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
    lines = _lines(model, table, threshold)
    header = _line(_header(model, table))
    manifest = {}
    try:
        for file in table.files:
            name = file.uri.rsplit("/", 1)[-1]
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


def _header(model: Model, table: Table) -> list[str]:
    answers = {"BINARY": ["bestAnswer", "score"], "REGRESSION": ["score"], "MULTICLASS": model.labels}
    tag = ["tag"] if table.schema.row_id else []
    truth = ["trueLabel"] if model.target in table.schema.kinds else []
    return [*tag, *truth, *answers[model.model_type]]


def _lines(model: Model, table: Table, threshold: float | None) -> list[str]:
    """Return each row's line; blank for a row that could not be read."""
    before: list[Sequence[str]] = []
    if table.schema.row_id:
        before.append(table.columns[table.schema.row_id])
    if model.target in table.schema.kinds:
        before.append(targets(table, model.target, model.model_type))
    answer = _answer(model, threshold)
    answers = (answer(scores) for scores in model.scores(table).tolist())
    lines = iter([_line([*known, *scores]) for *known, scores in zip(*before, answers, strict=True)])
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
