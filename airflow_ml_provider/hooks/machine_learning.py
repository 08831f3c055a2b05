"""Credentials, the client, the state of a resource, predictions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, NotRequired, TypedDict, TypeVar, cast
from urllib.parse import urlsplit

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.common.compat.sdk import AirflowException, AirflowNotFoundException
from botocore.config import Config
from botocore.exceptions import ClientError, NoRegionError
from botocore.parsers import ResponseParserError

from airflow_ml_provider import errors, waiting
from airflow_ml_provider.records import Record, check_destination, encode
from airflow_ml_provider.resources import RealtimeEndpoint, Resource, endpoint_info
from airflow_ml_provider.service_model import argument_name

if TYPE_CHECKING:
    import boto3
    from airflow.providers.common.compat.sdk import Connection
    from mypy_boto3_machinelearning.client import MachineLearningClient
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.predicting.engine import RefusedRecord
    from airflow_ml_provider.predicting.manifest import BatchRow

TIMEOUTS = (60.0, 20.0, 5.0, 1.0)  # seconds; a few steps, so that one client serves many waits

Answer = TypeVar("Answer")


class Prediction(TypedDict):
    """What Predict answers, under AWS's names: scores are float32, a class's or the value's members may be absent."""

    predictedLabel: NotRequired[str]
    predictedValue: NotRequired[float]
    predictedScores: NotRequired[dict[str, float]]
    details: NotRequired[dict[str, str]]


@contextmanager
def connection_exists(conn_id: str) -> Iterator[None]:
    """Refuse a named connection that is not found; the amazon provider would go on with any credentials it finds."""
    try:
        yield
    except AirflowNotFoundException:
        if conn_id == AwsBaseHook.default_conn_name:
            raise
        raise AirflowException(
            f"aws_conn_id: the connection {conn_id!r} does not exist. Create it, or pass aws_conn_id=None to use "
            f"boto3's own chain of credentials."
        ) from None


class MachineLearningHook(AwsBaseHook):
    """Talk to Amazon Machine Learning with the credentials of an ``aws`` connection.

    Errors of the client say what AWS leaves out: the closed service, the missing IAM action, the region.

    :param aws_conn_id: the Airflow connection; None means boto3's own chain of credentials. A named connection that
        does not exist is an error; only ``aws_default`` may be missing.
    :param region_name: the region, else the connection's; the service exists in us-east-1 and eu-west-1.
    :param verify: whether to verify SSL certificates, or the path of a CA bundle.
    :param config: configuration for botocore's client, a ``Config`` or its keyword arguments.
    """

    def __init__(
        self,
        aws_conn_id: str | None = AwsBaseHook.default_conn_name,
        region_name: str | None = None,
        verify: bool | str | None = None,
        config: Config | dict[str, object] | None = None,
    ) -> None:
        super().__init__(
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            verify=verify,
            client_type="machinelearning",
            config=config,
        )

    if TYPE_CHECKING:

        @cached_property
        def conn(self) -> MachineLearningClient: ...

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """Look the connection up.

        :raises AirflowException: when a connection other than ``aws_default`` does not exist.
        """
        with connection_exists(conn_id):
            return super().get_connection(conn_id)

    @cached_property
    def waiter_path(self) -> os.PathLike[str] | None:
        """Where our waiters are; the amazon provider looks in its own folder."""
        return waiting.WAITERS_FILE

    @cached_property
    def _session(self) -> boto3.session.Session:
        return super().get_session()

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> boto3.session.Session:
        """Give the one session of this hook, so that an assumed role is assumed once; another for another region."""
        if region_name or deferrable:
            return super().get_session(region_name=region_name, deferrable=deferrable)
        return self._session

    def _get_caller(self, target_function_name: str = "execute") -> str:
        """Name the caller in the user agent, without the walk up the stack that reads every frame's source file."""
        return type(self).__name__

    def get_client_type(
        self, region_name: str | None = None, config: Config | None = None, deferrable: bool = False
    ) -> MachineLearningClient:
        """Make a client whose errors are explained.

        :raises AirflowException: when no region is known, or the service does not exist in it.
        """
        try:
            client: MachineLearningClient = super().get_client_type(
                region_name=region_name, config=config, deferrable=deferrable
            )
        except NoRegionError:
            raise AirflowException(
                f"region_name: neither the argument nor the connection {self.aws_conn_id!r} names a region; "
                f"Amazon Machine Learning exists in us-east-1 and eu-west-1."
            ) from None
        self._check_region(client)
        explain = partial(errors.explain, region=client.meta.region_name)
        client.meta.events.register("after-call.machine-learning", explain)
        return client

    def _check_region(self, client: MachineLearningClient) -> None:
        region = client.meta.region_name
        host = urlsplit(client.meta.endpoint_url).hostname or ""
        regions = self.get_session().get_available_regions("machinelearning")
        if host == f"machinelearning.{region.lower()}.amazonaws.com" and region not in regions:
            raise AirflowException(
                f"region_name: Amazon Machine Learning does not exist in {region}; it does in "
                f"{', '.join(sorted(regions))}."
            )

    def polling_client(self, seconds_left: float) -> MachineLearningClient:
        """Give a client that makes one attempt a call, with timeouts no longer than the time left.

        The wait around it does the retrying, so that no call outlasts a deadline. The user's botocore config holds in
        all else.
        """
        seconds = next((step for step in TIMEOUTS if step <= seconds_left), TIMEOUTS[-1])
        if seconds not in self._polling:
            config = Config(
                retries={"total_max_attempts": 1},
                connect_timeout=min(seconds, self.config.connect_timeout or seconds),  # type: ignore[attr-defined]
                read_timeout=min(seconds, self.config.read_timeout or seconds),  # type: ignore[attr-defined]
            )
            self._polling[seconds] = self.get_client_type(config=self.config.merge(config))
        return self._polling[seconds]

    @cached_property
    def _polling(self) -> dict[float, MachineLearningClient]:
        return {}

    def forget_credentials(self) -> None:
        """Drop session and clients, so that the next call reads the connection and its credentials anew."""
        for name in ("conn", "s3", "_polling", "_session", "conn_config"):
            with suppress(KeyError):
                del self.__dict__[name]

    @contextmanager
    def _expired_forgotten(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if errors.code(error) in errors.EXPIRED:
                self.forget_credentials()
            raise

    def poll(self, operation: str, deadline: float, **request: object) -> dict[str, object]:
        """Make one attempt at an operation; expired credentials are read anew for the next.

        :param operation: AWS's name of it, as ``GetMLModel``.
        :param deadline: until when the answer is of use, in seconds since the epoch.
        :param request: the members of the request, under AWS's names.
        :raises ResponseParserError: when the answer is garbage.
        """
        client = self.polling_client(deadline - waiting.now())
        method: Callable[..., dict[str, object]] = getattr(client, argument_name(operation))
        try:
            with self._expired_forgotten():
                answer = method(**request)
        except (AttributeError, TypeError, ValueError) as error:  # JSON of another shape than botocore's parser expects
            raise ResponseParserError(f"{operation}: an answer that is none of the service's: {error}") from error
        if not answer.keys() - {"ResponseMetadata"}:  # a proxy's page, which botocore reads as an empty answer
            raise ResponseParserError(f"{operation}: an answer without a member")
        return answer

    def get(self, resource: Resource, resource_id: str, deadline: float) -> dict[str, object]:
        """Ask once for the state of a resource, by its Get operation."""
        return self.poll(resource.get, deadline, **{resource.id_member: resource_id})

    def create_realtime_endpoint(self, ml_model_id: str) -> RealtimeEndpoint:
        """Create the endpoint of a model, and return its info; one that exists is returned as it is.

        :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]``.
        """
        return endpoint_info(self.conn.create_realtime_endpoint(MLModelId=ml_model_id))

    def delete_realtime_endpoint(self, ml_model_id: str) -> RealtimeEndpoint:
        """Delete the endpoint of a model, and return its info (status NONE)."""
        return endpoint_info(self.conn.delete_realtime_endpoint(MLModelId=ml_model_id))

    def get_realtime_endpoint(self, ml_model_id: str) -> RealtimeEndpoint:
        """Return the present info of a model's endpoint; without an endpoint its status is NONE."""
        return endpoint_info(self.conn.get_ml_model(MLModelId=ml_model_id))

    def predict(
        self, ml_model_id: str, record: Record, endpoint_url: str | None = None, *, mount_timeout: float = 300
    ) -> Prediction:
        """Predict for one record at the model's realtime endpoint.

        Numbers become text, booleans ``"1"`` and ``"0"``; None and NaN are left out, as variables that are missing.
        An endpoint is READY some time before its predictor is mounted: ``PredictorNotMountedException`` and errors
        that pass are asked again.

        :param ml_model_id: the model.
        :param record: variable → value, without the target.
        :param endpoint_url: the endpoint's URL with its scheme; asked of the endpoint when it is None.
        :param mount_timeout: seconds to go on for; AWS's own test goes on for 5 minutes.
        :returns: AWS's Prediction: ``predictedLabel`` or ``predictedValue``, ``predictedScores``, ``details``.
        :raises ValueError: when the record is not a flat mapping, or the URL leads elsewhere than to Amazon's
            realtime host or the configured endpoint override.
        """
        url = self.check_endpoint_url(endpoint_url or self.realtime_endpoint_url(ml_model_id))
        sent = encode(record)
        started = waiting.now()
        wait = waiting.Wait(
            "realtime_endpoint_ready", ml_model_id, self.conn_region_name, started + mount_timeout, 5, started
        )

        def ask() -> Prediction:
            with self._expired_forgotten():
                answer = self.conn.predict(MLModelId=ml_model_id, Record=sent, PredictEndpoint=url)
            return cast("Prediction", answer["Prediction"])

        return waiting.persist(wait, ask, errors.is_passing_at_predict)

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

        Records are read as they are needed, some seconds ahead of the predictions, in the caller's thread; memory does
        not grow with their number. Throttling lowers the rate and is retried, and so are all errors that pass.

        :param ml_model_id: the model.
        :param records: each variable → value, without the target.
        :param max_requests_per_second: at least 1; default is the endpoint's own ``PeakRequestsPerSecond``.
        :param timeout: seconds to go on for with one record while errors that pass come back.
        :param return_refused: whether a record that the service refuses gives its RefusedRecord instead of raising it.
        :raises RefusedRecord: naming the record's place.
        :raises AirflowException: when the model has no endpoint, or it disappears meanwhile.
        """
        from airflow_ml_provider.predicting.endpoint import predict_records

        return predict_records(
            self,
            ml_model_id,
            records,
            max_requests_per_second=max_requests_per_second,
            timeout=timeout,
            return_refused=return_refused,
        )

    @cached_property
    def s3(self) -> S3Client:
        """A client of S3 by the same connection and session."""
        client: S3Client = self.get_session().client(
            "s3",
            endpoint_url=self.conn_config.get_service_endpoint_url("s3"),
            config=self._get_config(),
            verify=self.verify,
        )
        return client

    def read_batch_prediction(self, batch_prediction_id: str) -> Iterator[BatchRow | None]:
        """Read the result of a batch prediction back, row by row in the order of its input.

        :param batch_prediction_id: a batch prediction that is COMPLETED.
        :returns: column → value: ``tag``, ``trueLabel`` and ``bestAnswer`` as text, scores as numbers; None for a
            record that AWS could not read.
        :raises AirflowException: when it is not COMPLETED.
        """
        from airflow_ml_provider.predicting.manifest import read_rows

        return read_rows(self, batch_prediction_id)

    def realtime_endpoint_url(self, ml_model_id: str) -> str:
        """Return the URL of a model's endpoint.

        :raises AirflowException: when the model has no endpoint.
        """
        endpoint = self.get_realtime_endpoint(ml_model_id)
        if "EndpointUrl" not in endpoint:
            raise AirflowException(
                f"MLModel {ml_model_id} in {self.conn_region_name} has no realtime endpoint (EndpointStatus "
                f"{endpoint['EndpointStatus']}): create it with MachineLearningCreateRealtimeEndpointOperator."
            )
        return endpoint["EndpointUrl"]

    def check_endpoint_url(self, url: str) -> str:
        """Return the URL when records may go there.

        :raises ValueError: when it leads elsewhere than to Amazon's realtime host or the configured endpoint override.
        """
        return check_destination(url, self.conn.meta.endpoint_url)
