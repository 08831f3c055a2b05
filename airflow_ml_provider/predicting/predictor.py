"""Send many records to one realtime endpoint, and stop when it is deleted meanwhile."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from airflow_ml_provider import errors
from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import RefusedRecord
from airflow_ml_provider.predicting.engine import Engine
from airflow_ml_provider.predicting.pace import Pace
from airflow_ml_provider.predicting.wire import Wire
from airflow_ml_provider.resources import endpoint_info

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import Prediction, RealtimeEndpoint
    from airflow_ml_provider.records import Record

Token = TypeVar("Token")

CHECK_AT_MOST_EVERY = 5.0  # seconds


class Predictor:
    """Predict for many records at one realtime endpoint, at its full rate.

    :param hook: the hook whose connection is used.
    :param endpoint: the endpoint's info, as the hook returns it.
    :param max_requests_per_second: a whole number from 1 on; None means the endpoint's own ``PeakRequestsPerSecond``.
    :param timeout: seconds during which transient errors are retried for one record.
    :raises AirflowException: when the model has no endpoint, or a FAILED one.
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
        self._raise_if_unusable(endpoint)
        self._wire = Wire(hook, self._id, hook.check_endpoint_url(endpoint["EndpointUrl"]))
        peak = endpoint["PeakRequestsPerSecond"]
        self.pace = Pace(peak if max_requests_per_second is None else max_requests_per_second)
        self._checked_at = self.pace.clock.now()

    def predict(
        self, records: Iterable[tuple[Token, Record | RefusedRecord]]
    ) -> Generator[tuple[Token, Prediction | RefusedRecord], None, None]:
        """Yield each token with the prediction for its record, or with the reason for none, in the input's order.

        A token is what the caller wants back with the answer, and stays as it is.
        """
        engine = Engine(self._wire.predict, self.pace, patience=self._timeout, check_endpoint=self._check_endpoint)
        return engine.run((token, self._body(record)) for token, record in records)

    def _body(self, record: Record | RefusedRecord) -> bytes | RefusedRecord:
        return record if isinstance(record, RefusedRecord) else self._wire.body(record)

    def _check_endpoint(self, deadline: float) -> None:
        """Get the endpoint, at most every few seconds, and raise AirflowException if it is NONE or FAILED.

        :param deadline: until which the record is retried that has found no predictor.
        """
        now = self.pace.clock.now()
        if now - self._checked_at < CHECK_AT_MOST_EVERY:
            return
        self._checked_at = now
        try:
            endpoint = endpoint_info(self._hook.call_once("GetMLModel", deadline, MLModelId=self._id))
        except Exception as error:
            if not errors.is_transient(error):
                raise
        else:
            self._raise_if_unusable(endpoint)

    def _raise_if_unusable(self, endpoint: RealtimeEndpoint) -> None:
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
    """Predict for many records; ``MachineLearningHook.predict_records`` documents the arguments."""
    predictor = Predictor(hook, hook.get_realtime_endpoint(ml_model_id), max_requests_per_second, timeout)
    for place, answer in predictor.predict(enumerate(records)):
        if isinstance(answer, RefusedRecord) and not return_refused:
            raise RefusedRecord(f"records[{place}]: {answer}", answer.said)
        yield answer
