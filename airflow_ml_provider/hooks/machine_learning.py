"""The hook for tasks: endpoints, the state of a resource, predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from airflow_ml_provider import errors, retrying
from airflow_ml_provider.client import MachineLearningClientHook
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.payloads import BilledEndpoint, Prediction, RealtimeEndpoint
from airflow_ml_provider.prices import PRICE_PER_10_MB
from airflow_ml_provider.records import Record, encode
from airflow_ml_provider.resources import endpoint_info

if TYPE_CHECKING:
    from airflow_ml_provider.errors import RefusedRecord
    from airflow_ml_provider.scoring.manifest import BatchRow


PREDICT_DELAY = 5  # seconds; each failed attempt of ``predict`` doubles the pause before the next


class MachineLearningHook(MachineLearningClientHook):
    """Talk to Amazon Machine Learning with the credentials of an ``aws`` connection.

    The client adds hints to AWS's error messages, such as the IAM action that is missing, or the region that was asked.

    :param aws_conn_id: the Airflow connection; None means boto3's own chain of credentials. A named connection that
        does not exist is an error; only ``aws_default`` may be missing.
    :param region_name: the region, else the connection's; the service exists in us-east-1 and eu-west-1.
    :param verify: whether to verify SSL certificates, or the path of a CA bundle.
    :param config: configuration for botocore's client, a ``Config`` or its keyword arguments.
    """

    def create_realtime_endpoint(self, ml_model_id: str) -> RealtimeEndpoint:
        """Create the endpoint of a model and return its info; an existing endpoint is returned unchanged.

        :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]``.
        """
        return endpoint_info(self.conn.create_realtime_endpoint(MLModelId=ml_model_id))

    def delete_realtime_endpoint(self, ml_model_id: str) -> RealtimeEndpoint:
        """Delete the endpoint of a model and return its info (``EndpointStatus`` NONE)."""
        return endpoint_info(self.conn.delete_realtime_endpoint(MLModelId=ml_model_id))

    def predict(
        self, ml_model_id: str, record: Record, endpoint_url: str | None = None, *, mount_timeout: float = 300
    ) -> Prediction:
        """Predict for one record at the model's realtime endpoint.

        Numbers become text, booleans ``"1"`` and ``"0"``; None and NaN are left out, as missing variables. An endpoint
        is READY some time before its predictor is mounted, so ``PredictorNotMountedException`` is retried, as transient
        errors are.

        :param ml_model_id: the model.
        :param record: variable → value, without the target.
        :param endpoint_url: the endpoint's URL with its scheme; None means that a GetMLModel call finds it.
        :param mount_timeout: seconds during which failed attempts are retried.
        :returns: AWS's Prediction: ``predictedLabel`` or ``predictedValue``, ``predictedScores``, ``details``.
        :raises ValueError: when the record is not a flat mapping, or the URL is neither Amazon's realtime host nor the
            configured endpoint override.
        :raises DeadlinePassed: when transient errors have lasted for all of ``mount_timeout``.
        """
        encoded = encode(record)
        started = CLOCK.now()
        deadline = started + mount_timeout
        what = f"Predict with MLModel {ml_model_id} in {self.conn_region_name}"
        retries = retrying.Retries(what, deadline, PREDICT_DELAY, started)

        def get_endpoint_url() -> str:
            return self._url_of(endpoint_info(self.call_once("GetMLModel", deadline, MLModelId=ml_model_id)))

        url = self.check_endpoint_url(endpoint_url or retrying.retry_until_deadline(retries, get_endpoint_url))

        def predict_once() -> Prediction:
            answer = self.call_once("Predict", deadline, MLModelId=ml_model_id, Record=encoded, PredictEndpoint=url)
            return cast("Prediction", answer["Prediction"])

        return retrying.retry_until_deadline(retries, predict_once, errors.is_transient_at_predict)

    def predict_records(
        self,
        ml_model_id: str,
        records: Iterable[Record],
        *,
        max_requests_per_second: int | None = None,
        timeout: float = 300,
        return_refused: bool = False,
    ) -> Iterator[Prediction | RefusedRecord]:
        """Predict for many records at the full rate of the model's realtime endpoint, in the order of the input.

        Records are read in the caller's thread, some seconds ahead of the predictions; memory does not grow with their
        number. Throttling lowers the rate and is retried, as transient errors are.

        :param ml_model_id: the model.
        :param records: each variable → value, without the target.
        :param max_requests_per_second: a whole number from 1 on; default is the endpoint's ``PeakRequestsPerSecond``.
        :param timeout: seconds during which transient errors are retried for one record.
        :param return_refused: whether to yield the RefusedRecord of a record that the service refuses, in place of its
            prediction, instead of raising it.
        :raises RefusedRecord: naming the record's place.
        :raises AirflowException: when the model has no endpoint, or loses it meanwhile.
        """
        from airflow_ml_provider.predicting.predictor import predict_records

        return predict_records(
            self,
            ml_model_id,
            records,
            max_requests_per_second=max_requests_per_second,
            timeout=timeout,
            return_refused=return_refused,
        )

    def realtime_endpoints(self, *, price_per_10_mb: float = PRICE_PER_10_MB) -> list[BilledEndpoint]:
        """Return every realtime endpoint of the connection's account and region that costs money, the oldest first.

        Needs permission for DescribeMLModels. With DescribeTags the result also names the Dag, task and run that
        created each endpoint.

        :param price_per_10_mb: US dollars an hour for each 10 MB of a model. The default is a third party's figure.
        :returns: for each endpoint that is not NONE: its model's id and name, ``EndpointStatus``, ``CreatedAt``
            (ISO 8601), hours, price and cost so far, and the task that created it where a tag says so.
        """
        from airflow_ml_provider.billing import realtime_endpoints

        return realtime_endpoints(self, price_per_10_mb)

    def read_batch_prediction(self, batch_prediction_id: str) -> Iterator[BatchRow | None]:
        """Read the results of a batch prediction, row by row in the order of its input.

        :param batch_prediction_id: a batch prediction that is COMPLETED.
        :returns: column → value: ``tag``, ``trueLabel`` and ``bestAnswer`` as text, scores as numbers; None for a
            record that AWS could not read.
        :raises AirflowException: when it is not COMPLETED.
        """
        from airflow_ml_provider.scoring.manifest import read_rows

        return read_rows(self, batch_prediction_id)

    def realtime_endpoint_url(self, ml_model_id: str) -> str:
        """Return the URL of a model's endpoint.

        :raises AirflowException: when the model has no endpoint.
        """
        return self._url_of(self.get_realtime_endpoint(ml_model_id))

    def _url_of(self, endpoint: RealtimeEndpoint) -> str:
        if "EndpointUrl" not in endpoint:
            raise AirflowException(
                f"MLModel {endpoint['MLModelId']} in {self.conn_region_name} has no realtime endpoint (EndpointStatus "
                f"{endpoint['EndpointStatus']}): create it with MachineLearningCreateRealtimeEndpointOperator."
            )
        return endpoint["EndpointUrl"]
