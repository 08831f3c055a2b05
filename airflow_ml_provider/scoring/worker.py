"""Predict for the rows of a source, and write the predictions part by part until the output is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from typing import TYPE_CHECKING

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import RefusedRecord
from airflow_ml_provider.predicting.predictor import Predictor
from airflow_ml_provider.resources import endpoint_info, to_json
from airflow_ml_provider.scoring import answers
from airflow_ml_provider.scoring.lines import AnsweredRow, Lines
from airflow_ml_provider.scoring.parts import DamagedPart, Parts
from airflow_ml_provider.scoring.progress import End, Progress
from airflow_ml_provider.scoring.progress_log import ProgressLog, log
from airflow_ml_provider.scoring.refusals import Refusals
from airflow_ml_provider.scoring.rows import Place, Row
from airflow_ml_provider.scoring.summary import Summary, summary
from airflow_ml_provider.scoring.variables import get_with_retries, read_variables

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import JSONObject
    from airflow_ml_provider.scoring.plan import RowRange
    from airflow_ml_provider.scoring.rows import Values
    from airflow_ml_provider.scoring.settings import Settings

MOST_REPAIRS = 5


class Scoring:
    """Predict for the rows of row ranges, and write the predictions to one object.

    :param hook: the hook for the model, its endpoint, and S3.
    :param ml_model_id: the model.
    :param row_ranges: the rows, in order.
    :param settings: how to read and write, and the output.
    :param is_share: whether the rows are one worker's share; then it is no error if all of them are refused.
    :raises AirflowException: when there is no endpoint, or the output cannot be written.
    :raises AirflowFailException: when every row would be refused by its header.
    """

    def __init__(
        self,
        hook: MachineLearningClientHook,
        ml_model_id: str,
        row_ranges: Sequence[RowRange],
        settings: Settings,
        is_share: bool = False,
    ) -> None:
        self._s3 = hook.s3
        self._row_ranges = row_ranges
        self._lines = Lines(settings, row_ranges)
        self._settings = settings
        self._is_share = is_share
        self._hook, self._ml_model_id = hook, ml_model_id
        model = self._get_model()
        endpoint = endpoint_info(model)
        self._predictor = Predictor(hook, endpoint, settings.max_requests_per_second, settings.timeout)
        excluded = settings.excluded_attribute_names
        self._variables = read_variables(hook, model, settings.key_columns, excluded, settings.timeout)
        self._check_headers()
        depends_on = {
            **_model_versions(model),
            "ml_model_id": ml_model_id,
            "source": _digest(row_ranges),
            **settings.depends_on(),
        }
        self._parts = Parts(self._s3, settings.output_uri, depends_on)
        self._written = self._parts.row_count
        self._refusals = Refusals(self._parts.error_count, settings.max_errors, settings.output_uri)
        self._progress_log = ProgressLog(sum(row_range.count for row_range in row_ranges), self._written)
        self._answered: list[AnsweredRow] = []

    def run(self) -> Summary:
        """Predict for every row that is not done yet, and complete the output.

        :raises AirflowFailException: when more rows are refused than allowed; what was done is saved.
        :raises TakenOver: when another try has claimed this output.
        """
        self._progress_log.log_start(self._parts.changed)
        for _ in range(MOST_REPAIRS):
            self._raise_if_too_many_refused()
            if not self._parts.progress["whole"]:
                self._repair()
                self._predict()
                self._check_end()
            try:
                self._parts.finish(self._lines.header(self._parts.progress["columns"]))
            except DamagedPart as damaged:
                log.warning("%s; its rows are predicted again", damaged)
            else:
                self._log_end()
                return summary(self._settings, self._parts)
        raise AirflowException(
            f"output_uri: parts of {self._settings.output_uri} were missing or damaged {MOST_REPAIRS} times; does this "
            f"S3 keep what is written?"
        )

    def _log_end(self) -> None:
        """Log what was predicted, or why nothing was."""
        if self._parts.was_complete:
            log.info("%s is complete already, of the same rows, model and arguments", self._settings.output_uri)
        else:
            self._progress_log.log_end(answers.in_words(self._parts.progress["tally"]))

    def _get_model(self) -> dict[str, object]:
        return get_with_retries(self._hook, "GetMLModel", "MLModelId", self._ml_model_id, self._settings.timeout)

    def _check_headers(self) -> None:
        """Raise AirflowFailException for a header below which every row would be refused."""
        if self._settings.input_format != "CSV":
            return
        checked: set[tuple[str, ...]] = set()
        for row_range in self._row_ranges:
            if (columns := tuple(row_range.columns)) not in checked:
                self._variables.check_header(columns, row_range.uri)
                checked.add(columns)

    def _repair(self) -> None:
        """Predict for all rows of damaged parts again, and replace the parts."""
        for number in self._parts.damaged():
            part = self._parts.progress["parts"][number]
            log.warning("Part %s is missing or damaged; its rows are predicted again", part["name"])
            self._refusals.subtract(part["pieces"].get("errors"))
            rows = self._rows(self._start_of_part(number), part["end"])
            self._answered = list(self._answers(rows))
            self._refusals.count += sum(isinstance(item.answer, RefusedRecord) for item in self._answered)
            self._write(number)

    def _predict(self) -> None:
        """Predict for the rows after the last part; whatever ends this, the answers so far are written as a part."""
        rows = self._rows(self._start_of_part(len(self._parts.progress["parts"])))
        with closing(self._answers(rows)) as answered:
            try:
                for item in answered:
                    self._add(item)
            finally:
                self._write()

    def _answers(self, rows: Iterator[tuple[int, Row]]) -> Generator[AnsweredRow, None, None]:
        """Yield each row with its prediction, or with the reason for none."""
        with closing(self._predictor.predict(self._records(rows))) as predictions:
            for (row_range, row), answer in predictions:
                yield AnsweredRow(row_range, row, answer)

    def _records(self, rows: Iterator[tuple[int, Row]]) -> Iterator[tuple[tuple[int, Row], Values | RefusedRecord]]:
        """Yield a token and the record to send for each row; tokens are small, since many wait for predictions."""
        for row_range, row in rows:
            yield (row_range, self._with_keys_alone(row)), self._variables.record(row.values)

    def _start_of_part(self, number: int) -> End | None:
        """Return where a part starts, which is the end of the one before; None for the first."""
        return self._parts.progress["parts"][number - 1]["end"] if number else None

    def _rows(self, begin: End | None, end: End | None = None) -> Iterator[tuple[int, Row]]:
        """Yield the rows from one place to another, each with the number of its row range."""
        place = Place(begin["offset"], begin["line"]) if begin else None
        for number in range(begin["range"] if begin else 0, len(self._row_ranges)):
            for row in self._row_ranges[number].read(self._s3, self._settings.input_format, place):
                if end and (number, row.begins.offset) >= (end["range"], end["offset"]):
                    return
                yield number, row
            place = None

    def _with_keys_alone(self, row: Row) -> Row:
        """Return the row with the values of the key columns alone, which are written beside its prediction."""
        if isinstance(row.values, RefusedRecord):
            return row
        return Row(row.begins, row.ends, {name: row.values.get(name) for name in self._settings.key_columns})

    def _check_end(self) -> None:
        """Raise when the predictions may come from two versions of the model, or all rows were refused.

        When all were refused, the errors file stays, and the parts are deleted.
        """
        if self._written == self._refusals.count and not self._is_share:
            self._parts.write_errors()
            self._parts.clear()
            raise self._refusals.error_for_all()
        now = _model_versions(self._get_model())
        if changed := [name for name, value in now.items() if self._parts.progress["depends_on"][name] != value]:
            raise AirflowException(
                f"MLModel {self._ml_model_id} in {self._hook.conn_region_name}: this changed during the predictions: "
                f"{', '.join(changed)}. The next try restarts from the first row."
            )

    def _add(self, item: AnsweredRow) -> None:
        """Add an answered row; write a part when it is full, and fail when too many rows are refused."""
        self._answered.append(item)
        if isinstance(item.answer, RefusedRecord):
            self._refusals.add(self._row_ranges[item.row_range].uri, item.row.begins.line, item.answer)
            self._raise_if_too_many_refused()
        if len(self._answered) >= self._settings.rows_per_part:
            self._write()
        self._progress_log.log_progress(self._written + len(self._answered), self._refusals.count)

    def _write(self, number: int | None = None) -> None:
        """Write the answered rows as a part.

        A timeout may raise an exception at any point, and the next try continues from the record. So the rows are taken
        away first, to be written at most once, and the progress is a copy until it is recorded.

        :param number: the number of the part that it replaces, whose rows are counted already.
        """
        answered, self._answered = self._answered, []
        if not answered:
            return
        progress: Progress = {**self._parts.progress, "tally": deepcopy(self._parts.progress["tally"])}
        texts = self._lines.texts(answered, progress, is_new=number is None)
        progress["seconds"] += self._progress_log.lap()
        ends = answered[-1].row.ends
        end = End(range=answered[-1].row_range, offset=ends.offset, line=ends.line)
        self._parts.write(progress, texts, end, number)
        self._written = self._parts.row_count

    def _raise_if_too_many_refused(self) -> None:
        """Raise AirflowFailException if too many rows are refused, after writing the answers so far."""
        if not self._refusals.are_too_many:
            return
        self._write()
        self._parts.write_errors()
        raise self._refusals.error_for_too_many()


def _model_versions(model: Mapping[str, object]) -> JSONObject:
    """Return the members of a model and its endpoint that the predictions depend on."""
    created_at = endpoint_info(model).get("CreatedAt")
    return {"score_threshold": to_json(model.get("ScoreThreshold")), "endpoint_created_at": created_at}


def _digest(row_ranges: Sequence[RowRange]) -> str:
    text = json.dumps([row_range.to_json() for row_range in row_ranges])
    return hashlib.sha256(text.encode()).hexdigest()
