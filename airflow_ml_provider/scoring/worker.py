"""A file in, predictions out: everything between the rows and the parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.errors import RefusedRecord
from airflow_ml_provider.predicting.predictor import Predictor
from airflow_ml_provider.resources import endpoint_info, to_json
from airflow_ml_provider.scoring import answers
from airflow_ml_provider.scoring.parts import Parts, Progress
from airflow_ml_provider.scoring.progress_log import Teller
from airflow_ml_provider.scoring.rows import Place, Row
from airflow_ml_provider.scoring.variables import variables

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import Description, Format, Prediction
    from airflow_ml_provider.scoring.plan import Stretch
    from airflow_ml_provider.scoring.settings import Settings


class Summary(TypedDict):
    """What a file of predictions came to; ``seconds`` and ``rate`` (rows a second) are of all tries together."""

    output_uri: str
    output_format: Format
    errors_uri: str | None
    rows: int
    errors: int
    parts: int
    seconds: float
    rate: float


@dataclass(frozen=True, slots=True)
class _Done:
    """One row that needs nothing more."""

    stretch: int
    row: Row
    answer: Prediction | RefusedRecord


class Scoring:
    """Predict for the rows of some stretches, and write the predictions to one object.

    :param hook: for the model, its endpoint, and S3.
    :param ml_model_id: the model.
    :param stretches: the rows, in order.
    :param settings: how, and to which object.
    :raises AirflowException: when there is no endpoint, or the output is not writable.
    """

    def __init__(
        self,
        hook: MachineLearningClientHook,
        ml_model_id: str,
        stretches: Sequence[Stretch],
        settings: Settings,
    ) -> None:
        self._s3 = hook.s3
        self._stretches = stretches
        self._settings = settings
        self._hook, self._ml_model_id = hook, ml_model_id
        model = hook.conn.get_ml_model(MLModelId=ml_model_id)
        endpoint = endpoint_info(model)
        self._predictor = Predictor(hook, endpoint, settings.max_requests_per_second, settings.timeout)
        self._variables = variables(hook, model, settings.key_columns, settings.excluded_attribute_names)
        pins = {**_pins(model), "ml_model_id": ml_model_id, "source": _digest(stretches), **settings.pins()}
        self._parts = Parts(self._s3, settings.output_uri, pins)
        self._teller = Teller(sum(stretch.count for stretch in stretches), self._parts.progress["rows"])
        self._done: list[_Done] = []
        self._refused = self._parts.progress["errors"]

    def run(self) -> Summary:
        """Predict for every row that is not done yet, and put the output together.

        :raises AirflowFailException: when more rows are refused than allowed; what was done is written.
        """
        self._teller.begin(self._parts.changed)
        if not self._parts.progress["whole"]:
            self._check_refused()
            self._predict()
            self._check_unchanged()
        self._parts.finish(self._header())
        self._teller.end(answers.summary(self._parts.progress["tally"]))
        return self._summary()

    def _predict(self) -> None:
        records = (((stretch, self._kept(row)), self._variables.record(row.values)) for stretch, row in self._rows())
        with closing(self._predictor.predict(records)) as predictions:
            try:
                for (stretch, row), answer in predictions:
                    self._take(_Done(stretch, row, answer))
            finally:
                self._write()

    def _rows(self) -> Iterator[tuple[int, Row]]:
        progress = self._parts.progress
        place = None if progress["offset"] is None else Place(progress["offset"], progress["line"])
        for number in range(progress["stretch"], len(self._stretches)):
            for row in self._stretches[number].read(self._s3, self._settings.input_format, place):
                yield number, row
            place = None

    def _kept(self, row: Row) -> Row:
        """Give the row with no more of its values than are written beside its prediction."""
        if isinstance(row.values, RefusedRecord):
            return row
        return Row(row.begins, row.ends, {name: row.values.get(name) for name in self._settings.key_columns})

    def _check_unchanged(self) -> None:
        """Raise AirflowException when the predictions may be those of two models; the next try begins anew."""
        now = _pins(self._hook.conn.get_ml_model(MLModelId=self._ml_model_id))
        if changed := [name for name, value in now.items() if self._parts.progress["pins"][name] != value]:
            raise AirflowException(
                f"MLModel {self._ml_model_id} in {self._hook.conn_region_name}: this changed while it predicted: "
                f"{', '.join(changed)}. The next try begins anew."
            )

    def _take(self, done: _Done) -> None:
        self._done.append(done)
        self._refused += isinstance(done.answer, RefusedRecord)
        self._check_refused()
        if len(self._done) >= self._settings.rows_per_part:
            self._write()
        self._teller.tell(self._parts.progress["rows"] + len(self._done), self._refused)

    def _write(self) -> None:
        """Write a part of what is done. An exception from outside, as a time-out's, may come at every point here."""
        done, self._done = self._done, []
        if not done:
            return
        progress = deepcopy(self._parts.progress)
        lines = "".join([self._line(progress, item) for item in done])
        errors = "".join([self._error(item) for item in done])
        last = done[-1]
        progress["rows"] += len(done)
        progress["errors"] += sum(isinstance(item.answer, RefusedRecord) for item in done)
        progress["stretch"], progress["offset"], progress["line"] = (
            last.stretch,
            last.row.ends.offset,
            last.row.ends.line,
        )
        progress["seconds"] += self._teller.lap()
        self._parts.write(progress, lines, errors)

    def _line(self, progress: Progress, done: _Done) -> str:
        if isinstance(done.answer, RefusedRecord) or isinstance(done.row.values, RefusedRecord):
            return ""
        progress["columns"] = progress["columns"] or answers.columns(done.answer)
        answers.count(progress["tally"], done.answer)
        keys = {name: done.row.values[name] for name in self._settings.key_columns}
        return answers.line(self._settings.output_format, keys, done.answer, progress["columns"])

    def _error(self, done: _Done) -> str:
        if not isinstance(done.answer, RefusedRecord):
            return ""
        reason = f"{done.answer}: {done.answer.said}" if done.answer.said else str(done.answer)
        return answers.csv_line([self._stretches[done.stretch].uri, done.row.begins.line, reason])

    def _check_refused(self) -> None:
        if self._refused <= self._settings.max_errors:
            return
        self._write()
        self._parts.write_errors()
        raise AirflowFailException(
            f"max_errors: {self._refused} rows got no prediction, allowed are {self._settings.max_errors}; "
            f"{self._parts.errors_uri} says which and why. What was done is kept: with a higher max_errors the next "
            f"try goes on behind it."
        )

    def _header(self) -> str:
        columns = self._parts.progress["columns"]
        if self._settings.output_format != "CSV" or not columns:
            return ""
        return answers.csv_line([*self._settings.key_columns, *columns])

    def _summary(self) -> Summary:
        progress = self._parts.progress
        return Summary(
            output_uri=self._settings.output_uri,
            output_format=self._settings.output_format,
            errors_uri=self._parts.errors_uri if progress["errors"] else None,
            rows=progress["rows"],
            errors=progress["errors"],
            parts=progress["parts"],
            seconds=round(progress["seconds"], 3),
            rate=round(progress["rows"] / max(progress["seconds"], 1e-3), 1),
        )


def _pins(model: Mapping[str, object]) -> Description:
    """Give what of a model and its endpoint the predictions depend on."""
    created_at = endpoint_info(model).get("CreatedAt")
    return {"score_threshold": to_json(model.get("ScoreThreshold")), "endpoint_created_at": created_at}


def _digest(stretches: Sequence[Stretch]) -> str:
    text = json.dumps([stretch.to_json() for stretch in stretches])
    return hashlib.sha256(text.encode()).hexdigest()
