"""Read a model's predictions and the true labels into arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.report.cells import Cells, Chunk, find_results, read_chunks
from airflow_ml_provider.report.columns import Columns, ModelType, ResultSource, json_columns
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
        uri, before = [(uri, before) for uri, before in self.objects if before < row][-1]
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
            object_format = format_of("predictions_format", source.format, found.uri)
            for chunk in read_chunks(s3, found, object_format, json_columns(source)):
                columns = Columns.of(chunk, source)
                key_columns = columns.key_names  # taken to be the same in every chunk
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
        """Return the arrays of those rows of a chunk that have both a prediction and a true label.

        :param before: the number of rows before the chunk, in all objects.
        """
        with_prediction = [place for place, row in enumerate(chunk.rows) if row]
        places = [place for place in with_prediction if chunk.rows[place][columns.truth] not in (None, "")]
        rows = [chunk.rows[place] for place in places]
        return cls(
            truth=_truth(chunk, places, columns, rows, type, labels),
            predicted=_predicted(chunk, places, columns, rows, type, labels),
            rows=np.array(places, dtype=np.int64) + before + 1,
            keys=_hashes(rows, columns.keys),
            without_prediction=len(chunk.rows) - len(with_prediction),
        )


def _truth(
    chunk: Chunk, places: list[int], columns: Columns, rows: list[Cells], type: ModelType, labels: Labels
) -> NDArray[np.float64]:
    """Return the true labels of rows as numbers.

    :param places: the places of the rows in the chunk.
    """
    cells = [row[columns.truth] for row in rows]
    convert = {"BINARY": labels.binary, "MULTICLASS": labels.codes, "REGRESSION": numbers}[type]
    return convert(chunk, places, chunk.header[columns.truth], cells)


def _predicted(
    chunk: Chunk, places: list[int], columns: Columns, rows: list[Cells], type: ModelType, labels: Labels
) -> NDArray[np.float64]:
    """Return the predictions of rows; of a MULTICLASS batch prediction, the class with the highest score.

    :param places: the places of the rows in the chunk.
    """
    names = [chunk.header[place] for place in columns.predicted]
    cells = [[row[place] for row in rows] for place in columns.predicted]
    if type == "REGRESSION":
        return numbers(chunk, places, names[0], cells[0])
    if type == "BINARY":
        return scores(chunk, places, names[0], cells[0])
    if names == ["predictedLabel"]:
        return labels.codes(chunk, places, names[0], cells[0])
    if not names:
        raise AirflowFailException(f"{chunk.uri} has no column of a class after {chunk.header[columns.truth]!r}")
    by_class = [scores(chunk, places, *column) for column in zip(names, cells, strict=True)]
    best: NDArray[np.intp] = np.column_stack(by_class).argmax(axis=1)
    codes = np.array([labels.code(chunk, name) for name in names], dtype=np.float64)
    return codes[best]


def _hashes(rows: list[Cells], keys: Sequence[int]) -> NDArray[np.int64]:
    """Return a hash of each row's key columns; an empty array if there are none."""
    if not keys:
        return np.zeros(0, dtype=np.int64)
    key_of = itemgetter(*keys)
    return np.fromiter((hash(key_of(row)) for row in rows), np.int64, len(rows))


def _joined_parts(
    source: ResultSource, parts: Sequence[_Part], key_columns: Sequence[str], total: int, objects: list[tuple[str, int]]
) -> Results:
    """Return the results of all chunks together."""

    def joined(name: str, kind: type[np.float64] | type[np.int64]) -> NDArray[Any]:
        return np.concatenate([np.zeros(0, kind), *(getattr(part, name) for part in parts)])  # there may be no part

    truth = joined("truth", np.float64)
    without_prediction = sum(part.without_prediction for part in parts)
    return Results(
        source=source,
        truth=truth,
        predicted=joined("predicted", np.float64),
        rows=joined("rows", np.int64),
        keys=joined("keys", np.int64),
        key_columns=key_columns,
        total=total,
        without_prediction=without_prediction,
        without_true_label=total - without_prediction - len(truth),
        objects=objects,
    )
