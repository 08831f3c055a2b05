"""Create the session of an ``aws`` connection and its clients, and make single calls with a deadline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from airflow.providers.amazon.aws.hooks import base_aws
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.config import Config
from botocore.exceptions import ClientError, NoRegionError

from airflow_ml_provider import errors, hints, transport, waiting
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import AirflowException, AirflowNotFoundException
from airflow_ml_provider.records import check_destination
from airflow_ml_provider.resources import Resource, endpoint_info
from airflow_ml_provider.service_model import argument_name

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_machinelearning.client import MachineLearningClient
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.compat import Connection
    from airflow_ml_provider.payloads import RealtimeEndpoint

# For STS, which every call waits for; the user's own configuration wins.
FOR_STS = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 2})
FOR_ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})


@contextmanager
def connection_required(conn_id: str) -> Iterator[None]:
    """Raise AirflowException when the block does not find the connection, but AirflowNotFoundException for aws_default.

    After AirflowNotFoundException the amazon provider goes on without a connection, with whatever credentials boto3
    finds. That is wanted for ``aws_default`` alone, which is used where nobody has named a connection.
    """
    try:
        yield
    except AirflowNotFoundException:
        if conn_id == AwsBaseHook.default_conn_name:
            raise
        raise AirflowException(
            f"aws_conn_id: the connection {conn_id!r} does not exist. Create it, or pass aws_conn_id=None to use "
            f"boto3's own chain of credentials."
        ) from None


class MachineLearningClientHook(AwsBaseHook):
    """Create clients of Amazon Machine Learning and S3, and make single calls with a deadline.

    The base of ``MachineLearningHook``, which is the hook for tasks.
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
        """Return the Airflow connection.

        :raises AirflowException: when a connection other than ``aws_default`` does not exist.
        """
        with connection_required(conn_id):
            return super().get_connection(conn_id)

    @cached_property
    def waiter_path(self) -> os.PathLike[str] | None:
        """The file with our waiters; the amazon provider looks in its own folder only."""
        return waiting.WAITERS_FILE

    @cached_property
    def _session(self) -> boto3.session.Session:
        return self._new_session(None)

    def _new_session(self, region_name: str | None) -> boto3.session.Session:
        """Return a new session whose calls are bounded in time and size, its calls to STS too.

        The session of an assumed role shares botocore's data, 9 MB, with the session that assumes the role.
        """
        config = FOR_STS.merge(self.config)
        factory = base_aws.SessionFactory(conn=self.conn_config, region_name=region_name, config=config)
        basic_session = transport.bound(factory.basic_session)
        session = transport.bound(factory.create_session())
        data_loader = transport.botocore_session(basic_session).get_component("data_loader")
        transport.botocore_session(session).register_component("data_loader", data_loader)
        return session

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> boto3.session.Session:
        """Return the one session of this hook, so that a role is assumed once; for another region a new session."""
        if deferrable:
            return super().get_session(region_name=region_name, deferrable=True)
        if region_name in (None, self.conn_config.region_name):
            return self._session
        return self._new_session(region_name)

    def _get_caller(self, target_function_name: str = "execute") -> str:
        """Return the class's name for the user agent; the base class walks up the stack and reads source files."""
        return type(self).__name__

    def get_client_type(
        self, region_name: str | None = None, config: Config | None = None, deferrable: bool = False
    ) -> MachineLearningClient:
        """Return a new client, which adds hints to AWS's error messages.

        :raises InvalidArgument: when no region is known, or the service does not exist in it.
        """
        try:
            client: MachineLearningClient = super().get_client_type(
                region_name=region_name, config=config, deferrable=deferrable
            )
        except NoRegionError:
            if self.conn_config.conn_type not in (None, "aws"):
                raise errors.InvalidArgument(
                    f"aws_conn_id: the connection {self.aws_conn_id!r} is of type {self.conn_config.conn_type!r}; it "
                    f"must be of type 'aws'"
                ) from None
            raise errors.InvalidArgument(
                f"region_name: neither the argument nor the connection {self.aws_conn_id!r} names a region; "
                f"Amazon Machine Learning exists in us-east-1 and eu-west-1."
            ) from None
        self._check_region(client)
        hint = partial(hints.add_hint, region=client.meta.region_name)
        client.meta.events.register("after-call.machine-learning", hint)
        return client

    def _check_region(self, client: MachineLearningClient) -> None:
        """Raise InvalidArgument for a region without the service; with an endpoint override every region is allowed."""
        region = client.meta.region_name
        host = urlsplit(client.meta.endpoint_url).hostname or ""
        regions = self.get_session().get_available_regions("machinelearning")
        is_amazons = host == f"machinelearning.{region.lower()}.amazonaws.com"
        if is_amazons and region not in regions:
            raise errors.InvalidArgument(
                f"region_name: Amazon Machine Learning does not exist in {region}; it does in "
                f"{', '.join(sorted(regions))}."
            )

    @cached_property
    def one_attempt_client(self) -> MachineLearningClient:
        """A client that makes one attempt a call; its callers retry until their own deadlines."""
        return self.get_client_type(config=self.config.merge(FOR_ONE_ATTEMPT))

    @property
    def conn_region_name(self) -> str:
        """The region. It is asked of ``conn`` only if that exists already, since creating a client takes a while."""
        client = self.__dict__.get("conn") or self.one_attempt_client
        return str(client.meta.region_name)

    def forget_credentials(self) -> None:
        """Drop session and clients, so that the next call reads the connection and its credentials again."""
        for name in ("conn", "s3", "one_attempt_client", "_session", "conn_config"):
            with suppress(KeyError):
                del self.__dict__[name]

    @contextmanager
    def _forget_expired_credentials(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if errors.code(error) in errors.EXPIRED:
                self.forget_credentials()
            raise

    def call_once(self, operation: str, deadline: float, **request: object) -> dict[str, object]:
        """Make one attempt at an operation, and return the answer.

        If the credentials have expired, the next call reads them again.

        :param operation: AWS's name of the operation, as ``GetMLModel``.
        :param deadline: in seconds of ``CLOCK.now``; the attempt ends then, or in a second if that is later.
        :param request: the members of the request, under AWS's names.
        :raises ResponseParserError: when the answer does not come from the service, but from a proxy for instance.
        """
        seconds = max(deadline - CLOCK.now(), transport.LEAST_SECONDS)
        with transport.time_limit(seconds), self._forget_expired_credentials():
            method = getattr(self.one_attempt_client, argument_name(operation))
            return cast("dict[str, object]", method(**request))

    def get(self, resource: Resource, resource_id: str, deadline: float) -> dict[str, object]:
        """Make one attempt at the Get operation of a resource, and return the answer."""
        return self.call_once(resource.get, deadline, **{resource.id_member: resource_id})

    def get_realtime_endpoint(self, ml_model_id: str) -> RealtimeEndpoint:
        """Return the present info of a model's endpoint; without an endpoint its status is NONE."""
        return endpoint_info(self.conn.get_ml_model(MLModelId=ml_model_id))

    def check_endpoint_url(self, url: str) -> str:
        """Return the URL of an endpoint if records may be sent there.

        :raises InvalidArgument: when it is neither Amazon's realtime host nor the configured endpoint override.
        """
        return check_destination(url, self.one_attempt_client.meta.endpoint_url)

    @cached_property
    def s3(self) -> S3Client:
        """A client of S3 with the same connection and session."""
        client: S3Client = self.get_session().client(
            "s3",
            endpoint_url=self.conn_config.get_service_endpoint_url("s3"),
            config=self._get_config(),
            verify=self.verify,
        )
        return client
