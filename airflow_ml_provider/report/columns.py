"""Find the columns of results that hold the true label, the prediction and the keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from airflow_ml_provider.compat import AirflowFailException

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Format
    from airflow_ml_provider.report.cells import Cells, Chunk, JSONColumns

ModelType = Literal["BINARY", "MULTICLASS", "REGRESSION"]

# Type of model → the column of the prediction: in the output of PredictS3, and in the results of a batch prediction. In
# the latter a MULTICLASS model has a column for each class instead, after the true label.
PREDICTED = {"BINARY": "predictedScore", "MULTICLASS": "predictedLabel", "REGRESSION": "predictedValue"}
BATCH_PREDICTED = {"BINARY": "score", "REGRESSION": "score"}
OUTPUT_COLUMNS = {*PREDICTED.values(), *BATCH_PREDICTED.values(), "bestAnswer"}


@dataclass(frozen=True)
class Model:
    """The model that made the predictions."""

    ml_model_id: str
    name: str
    type: ModelType
    score_threshold: float


@dataclass(frozen=True)
class ResultSource:
    """The results of one model in S3.

    :param argument: the argument that names them, for error messages.
    :param uris: objects, or prefixes that end in a slash.
    :param format: the format of all objects; None means by the name of each.
    :param is_batch: whether a batch prediction has written them, else PredictS3.
    :param record_count: the number of rows that there must be, None if it is unknown.
    """

    argument: str
    model: Model
    uris: Sequence[str]
    format: Format | None
    is_batch: bool
    true_label_column: str
    record_count: int | None = None


@dataclass(frozen=True)
class Columns:
    """The places in a row of the true label, the prediction and the keys."""

    truth: int
    predicted: Sequence[int]
    keys: Sequence[int]
    header: Sequence[str]

    @property
    def key_names(self) -> Sequence[str]:
        return [self.header[place] for place in self.keys]

    @classmethod
    def of(cls, chunk: Chunk, source: ResultSource) -> Columns:
        """Return the columns of a chunk; those that are neither the label nor the model's output are keys."""
        header = list(chunk.header)
        truth = _index(chunk, source.true_label_column, "true_label_column: the true label")
        if source.is_batch and source.model.type == "MULTICLASS":  # keys, the true label, a score for each class
            return cls(truth, range(truth + 1, len(header)), range(truth), header)
        name = (BATCH_PREDICTED if source.is_batch else PREDICTED)[source.model.type]
        predicted = _index(chunk, name, f"the predictions of the {source.model.type} model {source.model.ml_model_id}")
        keys = [place for place, column in enumerate(header) if place != truth and not _is_output(column)]
        return cls(truth, [predicted], keys, header)


def _is_output(column: str) -> bool:
    """Return whether a column holds what a model says of a row, whatever the type of the model."""
    return column in OUTPUT_COLUMNS or column.startswith("predictedScores.")


def _index(chunk: Chunk, column: str, what: str) -> int:
    if column not in chunk.header:
        shown = ", ".join(repr(name) for name in chunk.header[:20])
        raise AirflowFailException(f"{what} should be in a column {column!r} of {chunk.uri}; its columns are {shown}")
    return list(chunk.header).index(column)


def json_columns(source: ResultSource) -> JSONColumns:
    """Return a function for ``read_chunks`` that makes columns of the true label, the prediction and the keys."""

    def columns(first: dict[str, object]) -> tuple[list[str], Callable[[dict[str, object]], Cells]]:
        truth, predicted = source.true_label_column, PREDICTED[source.model.type]
        keys = sorted(first.keys() - {truth, "predictedLabel", "predictedScores", "predictedValue"})

        def to_row(found: dict[str, object]) -> Cells:
            value = _score(found) if predicted == "predictedScore" else found.get(predicted)
            return [found.get(truth), value, *(str(found.get(key)) for key in keys)]

        return [truth, predicted, *keys], to_row

    return columns


def _score(found: Mapping[str, object]) -> object:
    """Return the one score of a BINARY model's prediction: it is that of class 1, whatever its label."""
    value = found.get("predictedScores")
    return next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else None
