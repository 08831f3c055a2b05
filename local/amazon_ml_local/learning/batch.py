"""Predict for every row of a data source, into files in S3.

Source: Amazon Machine Learning developer guide, "Reading the BatchPrediction Output Files".
"""

from __future__ import annotations

import csv
import gzip
import json
from io import BytesIO, StringIO
from itertools import chain, islice, takewhile
from typing import TYPE_CHECKING, NamedTuple

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.log import silent
from amazon_ml_local.learning.values import binary_label
from amazon_ml_local.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from amazon_ml_local.learning.columns import Texts
    from amazon_ml_local.learning.log import Log
    from amazon_ml_local.learning.model import Model
    from amazon_ml_local.learning.table import Table
    from amazon_ml_local.storage import Storage


COMPRESSION = 6
LINES_AT_ONCE = 20_000


class BatchCounts(NamedTuple):
    """The number of records of a batch prediction, and of those that could not be read."""

    total: int
    invalid: int


class Results(NamedTuple):
    """The results of a batch prediction: its files by URI, the manifest last."""

    counts: BatchCounts
    files: dict[str, bytes]

    def write(self, storage: Storage) -> None:
        """Write the files. Raises LearningError when one cannot be written."""
        try:
            for uri, body in self.files.items():
                storage.write(uri, body)
        except StorageError as error:
            raise LearningError(f"The predictions cannot be written. {error}") from error


def predict_rows(
    model: Model,
    table: Table,
    threshold: float | None,
    batch_prediction_id: str,
    output_uri: str,
    log: Log = silent,
) -> Results:
    """Return a result file per input file, and the manifest that maps one to the other.

    A record that could not be read has a blank line.

    :param threshold: BINARY only: the least score for answer "1"; None means 0.5.
    :param output_uri: the s3:// folder that gets `batch-prediction/<id>.manifest` and `batch-prediction/result/`.
    """
    folder = f"{output_uri.rstrip('/')}/batch-prediction"
    lines = _lines(model, table, threshold)
    header = next(lines)
    files, manifest = {}, {}
    for file, name in zip(table.files, _names([file.uri for file in table.files]), strict=True):
        result = f"{folder}/result/{batch_prediction_id}-{name}.gz"
        files[result] = _compressed(header, islice(lines, file.last - file.first))
        manifest[file.uri] = result
        log(f"{result}: {file.last - file.first:,} lines")
    files[f"{folder}/{batch_prediction_id}.manifest"] = json.dumps(manifest).encode()
    return Results(BatchCounts(table.number_of_rows, len(table.unreadable)), files)


def scientific(value: float) -> str:
    """Return a number as Java's DecimalFormat("0.######E0") writes it: 0.996733 is 9.96733E-1."""
    mantissa, _, exponent = f"{value:.6e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}E{int(exponent)}"


def _names(uris: list[str]) -> list[str]:
    """Return a name for each file, all different: its path below the folder that all share, joined by ``-``."""
    parts = [uri.split("/") for uri in uris]
    steps = zip(*(folders for *folders, _ in parts), strict=False)
    shared = len(list(takewhile(lambda step: len(set(step)) == 1, steps)))
    names: dict[str, None] = {}
    for number, part in enumerate(parts, start=1):
        name = "-".join(part[shared:])
        while name in names:  # as a-b/c and a/b-c
            name = f"{number}-{name}"
        names[name] = None
    return list(names)


def _answer_columns(model: Model) -> Sequence[str]:
    columns = {"BINARY": ["bestAnswer", "score"], "REGRESSION": ["score"], "MULTICLASS": model.labels}
    return columns[model.model_type]


def _known(model: Model, table: Table) -> dict[str, Texts]:
    """Return the columns that are copied from the input: the row's id and its true label, if the data has them."""
    known, kinds = {"tag": table.schema.row_id, "trueLabel": model.target}, table.schema.kinds
    return {name: table.texts(attribute) for name, attribute in known.items() if attribute and attribute in kinds}


def _lines(model: Model, table: Table, threshold: float | None) -> Iterator[str]:
    """Yield the header, then a line for each row, which is blank for a row that could not be read."""
    known = _known(model, table)
    yield _line([*known, *_answer_columns(model)])
    columns = [_column(name, texts, model) for name, texts in known.items()]
    scores = chain.from_iterable(block.tolist() for block in model.scores_by_block(table))
    answers = map(_answer(model, threshold), scores)
    readable = map(",".join, zip(*columns, answers, strict=True))
    next_row = 0
    for unreadable in table.unreadable:
        yield from (f"{line}\n" for line in islice(readable, unreadable - next_row))
        yield "\n"
        next_row = unreadable + 1
    yield from (f"{line}\n" for line in readable)


def _column(name: str, texts: Texts, model: Model) -> Iterator[str]:
    """Yield the cells of a column of the input, as CSV.

    A BINARY label is written as 0 or 1 whatever its spelling, so that it compares with the answer (our choice).
    """
    is_binary = name == "trueLabel" and model.model_type == "BINARY"
    cells = [binary_label(text) if is_binary else _line([text]).rstrip("\n") for text in texts.values]
    return map(cells.__getitem__, texts.codes.tolist())


def _answer(model: Model, threshold: float | None) -> Callable[[list[float]], str]:
    """Return a function from the scores of a row to the columns of its answer, as CSV."""
    least = 0.5 if threshold is None else threshold
    if model.model_type == "BINARY":
        return lambda scores: f"{'1' if scores[0] >= least else '0'},{scientific(scores[0])}"
    return lambda scores: ",".join(map(scientific, scores))


def _line(values: Sequence[str]) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()


def _compressed(header: str, lines: Iterator[str]) -> bytes:
    """Return a gzip file without a time in its header, so that the same lines give the same bytes."""
    out = BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=COMPRESSION, mtime=0) as file:
        file.write(header.encode())
        while some := "".join(islice(lines, LINES_AT_ONCE)):
            file.write(some.encode())
    return out.getvalue()
