"""What stands between a hook and an engine: which endpoint, how fast, whether it is still there."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from airflow_ml_provider import errors
from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import RefusedRecord
from airflow_ml_provider.predicting.engine import Engine
from airflow_ml_provider.predicting.pace import Pace
from airflow_ml_provider.predicting.wire import Wire

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import Prediction, RealtimeEndpoint
    from airflow_ml_provider.records import Record

Token = TypeVar("Token")

LOOK_AT_MOST_EVERY = 5.0


class Predictor:
    """Predict for many records at one realtime endpoint, at its full rate.

    :param hook: whose connection is used.
    :param endpoint: the endpoint's info, as the hook gives it.
    :param max_requests_per_second: at least 1; the endpoint's own ``PeakRequestsPerSecond`` when it is None.
    :param timeout: seconds to go on for with one record while errors that pass come back.
    :raises AirflowException: when there is no such endpoint.
    """

    def __init__(
        self,
        hook: MachineLearningClientHook,
        endpoint: RealtimeEndpoint,
        max_requests_per_second: int | None = None,
        timeout: float = 300.0,
    ) -> None:
        self._hook = hook
        self._id = endpoint["MLModelId"]
        self._timeout = timeout
        self._check(endpoint)
        self._wire = Wire(hook, self._id, hook.check_endpoint_url(endpoint["EndpointUrl"]))
        peak = endpoint["PeakRequestsPerSecond"]
        self.pace = Pace(peak if max_requests_per_second is None else max_requests_per_second)
        self._looked = self.pace.clock.now()

    def predict(
        self, records: Iterable[tuple[Token, Record | RefusedRecord]]
    ) -> Generator[tuple[Token, Prediction | RefusedRecord], None, None]:
        """Yield each token with the prediction for its record, or with why there is none, in the order of the input."""
        engine = Engine(self._wire.predict, self.pace, patience=self._timeout, still_there=self._look)
        return engine.run((token, self._body(record)) for token, record in records)

    def _body(self, record: Record | RefusedRecord) -> bytes | RefusedRecord:
        return record if isinstance(record, RefusedRecord) else self._wire.body(record)

    def _look(self) -> None:
        now = self.pace.clock.now()
        if now - self._looked < LOOK_AT_MOST_EVERY:
            return
        self._looked = now
        try:
            endpoint = self._hook.get_realtime_endpoint(self._id)
        except Exception as error:
            if not errors.is_transient(error):
                raise
        else:
            self._check(endpoint)

    def _check(self, endpoint: RealtimeEndpoint) -> None:
        if endpoint["EndpointStatus"] in ("NONE", "FAILED"):
            raise AirflowException(
                f"MLModel {self._id} in {self._hook.conn_region_name} has no realtime endpoint to predict with "
                f"(EndpointStatus {endpoint['EndpointStatus']}): create it with "
                f"MachineLearningCreateRealtimeEndpointOperator."
            )


def predict_records(
    hook: MachineLearningClientHook,
    ml_model_id: str,
    records: Iterable[Record],
    *,
    max_requests_per_second: int | None = None,
    timeout: float = 300.0,
    return_refused: bool = False,
) -> Iterator[Prediction | RefusedRecord]:
    """Predict for record after record; ``MachineLearningClientHook.predict_records`` says how."""
    predictor = Predictor(hook, hook.get_realtime_endpoint(ml_model_id), max_requests_per_second, timeout)
    for place, answer in predictor.predict(enumerate(records)):
        if isinstance(answer, RefusedRecord) and not return_refused:
            raise RefusedRecord(f"records[{place}]: {answer}", answer.said)
        yield answer
