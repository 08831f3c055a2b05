"""Read a model's predictions and the true labels into arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, cast

import numpy as np

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.report.cells import Cells, Chunk, find_results, read_chunks
from airflow_ml_provider.report.columns import Columns, ModelType, ResultSource, json_cutter
from airflow_ml_provider.report.labels import Labels, numbers, scores
from airflow_ml_provider.scoring.settings import format_of

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from numpy.typing import NDArray


@dataclass
class Results:
    """The rows that have both a prediction and a true label.

    ``truth`` and ``predicted`` hold for BINARY 0 or 1 and the score, for MULTICLASS the places of labels in
    ``Labels.names``, for REGRESSION values. ``rows`` has the number of each among all rows, from 1, ``keys`` a hash of
    its key columns. ``objects`` has the URI of each object, and the number of rows before it.
    """

    source: ResultSource
    truth: NDArray[np.float64]
    predicted: NDArray[np.float64]
    rows: NDArray[np.int64]
    keys: NDArray[np.int64]
    key_columns: Sequence[str]
    total: int
    without_prediction: int
    without_true_label: int
    objects: Sequence[tuple[str, int]] = field(default_factory=list)

    def place(self, row: int) -> str:
        """Return the place of a row in words: its number in its object."""
        before, uri = max((before, uri) for uri, before in self.objects if before < row)
        return f"row {row - before:,} of {uri}"


def read_results(s3: S3Client, source: ResultSource, labels: Labels) -> Results:
    """Read all rows of a model's results.

    :param labels: the labels of the classes, to which new ones are added.
    :raises AirflowFailException: on bad input, naming its place.
    """
    parts, objects, total = [], [], 0
    key_columns: Sequence[str] = ()
    for uri in source.uris:
        for found in find_results(s3, source.argument, uri):
            objects.append((found.uri, total))
            format = format_of("predictions_format", source.format, found.uri)
            for chunk in read_chunks(s3, found, format, json_cutter(source)):
                columns = Columns.of(chunk, source)
                key_columns = columns.key_names
                parts.append(_Part.of(chunk, columns, source.model.type, labels, total))
                total += len(chunk.rows)
    _check_total(source, total)
    results = _joined_parts(source, parts, key_columns, total, objects)
    if not len(results.truth):
        raise AirflowFailException(
            f"true_label_column: none of the {total:,} rows at {', '.join(source.uris)} has both a prediction and a "
            f"true label in {source.true_label_column!r}"
        )
    return results


def _check_total(source: ResultSource, total: int) -> None:
    if source.record_count is not None and total != source.record_count:
        raise AirflowFailException(
            f"{source.argument}: the results at {', '.join(source.uris)} have {total:,} rows, the batch prediction "
            f"has a TotalRecordCount of {source.record_count:,}: they are cut, or not its own"
        )


@dataclass(frozen=True)
class _Part:
    """The arrays of one chunk."""

    truth: NDArray[np.float64]
    predicted: NDArray[np.float64]
    rows: NDArray[np.int64]
    keys: NDArray[np.int64]
    without_prediction: int

    @classmethod
    def of(cls, chunk: Chunk, columns: Columns, type: ModelType, labels: Labels, before: int) -> _Part:
        places = [place for place, row in enumerate(chunk.rows) if row]
        rows = [chunk.rows[place] for place in places]
        without_prediction = len(chunk.rows) - len(places)
        known = [place for place, row in zip(places, rows, strict=True) if row[columns.truth] not in (None, "")]
        rows = [chunk.rows[place] for place in known]
        truth = [row[columns.truth] for row in rows]
        column = chunk.header[columns.truth]
        return cls(
            truth=TRUTHS[type](chunk, known, column, truth, labels),
            predicted=_predicted(chunk, known, columns, rows, type, labels),
            rows=np.array(known, dtype=np.int64) + before + 1,
            keys=_hashes(rows, columns.keys),
            without_prediction=without_prediction,
        )


def _predicted(
    chunk: Chunk, known: list[int], columns: Columns, rows: list[Cells], type: ModelType, labels: Labels
) -> NDArray[np.float64]:
    """Return the predictions of rows; of a MULTICLASS batch prediction, the class with the highest score."""
    names = [chunk.header[place] for place in columns.predicted]
    cells = [[row[place] for row in rows] for place in columns.predicted]
    if type == "REGRESSION":
        return numbers(chunk, known, names[0], cells[0])
    if type == "BINARY":
        return scores(chunk, known, names[0], cells[0])
    if names == ["predictedLabel"]:
        return labels.codes(chunk, known, names[0], cells[0])
    if not names:
        raise AirflowFailException(f"{chunk.uri} has no column of a class behind {chunk.header[columns.truth]!r}")
    best: NDArray[np.intp] = np.column_stack(
        [scores(chunk, known, *column) for column in zip(names, cells, strict=True)]
    ).argmax(axis=1)
    codes = np.array([labels.code(chunk, name) for name in names], dtype=np.float64)
    return codes[best]


def _hashes(rows: list[Cells], keys: Sequence[int]) -> NDArray[np.int64]:
    if not keys:
        return np.zeros(0, dtype=np.int64)
    return np.fromiter(map(hash, map(cast("Callable[[Cells], str]", itemgetter(*keys)), rows)), np.int64, len(rows))


TRUTHS: dict[ModelType, Callable[[Chunk, list[int], str, list[object], Labels], NDArray[np.float64]]] = {
    "BINARY": lambda chunk, known, column, cells, labels: labels.binary(chunk, known, column, cells),
    "MULTICLASS": lambda chunk, known, column, cells, labels: labels.codes(chunk, known, column, cells),
    "REGRESSION": lambda chunk, known, column, cells, labels: numbers(chunk, known, column, cells),
}


def _joined_parts(
    source: ResultSource, parts: Sequence[_Part], key_columns: Sequence[str], total: int, objects: list[tuple[str, int]]
) -> Results:
    """Return the results of all chunks together."""

    def column(name: str) -> Iterator[NDArray[np.float64]]:
        yield np.zeros(0)
        yield from (getattr(part, name) for part in parts)

    truth = np.concatenate(list(column("truth")))
    without_prediction = sum(part.without_prediction for part in parts)
    return Results(
        source=source,
        truth=truth,
        predicted=np.concatenate(list(column("predicted"))),
        rows=np.concatenate(list(column("rows"))).astype(np.int64),
        keys=np.concatenate([part.keys for part in parts] or [np.zeros(0, dtype=np.int64)]),
        key_columns=key_columns,
        total=total,
        without_prediction=without_prediction,
        without_true_label=total - without_prediction - len(truth),
        objects=objects,
    )
