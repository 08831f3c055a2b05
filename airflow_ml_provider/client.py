"""Credentials and clients: one session of an ``aws`` connection, and the clients that are made of it."""

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
    import botocore.session
    from mypy_boto3_machinelearning.client import MachineLearningClient
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.compat import Connection
    from airflow_ml_provider.payloads import RealtimeEndpoint

# For STS, whose answers every call waits for; the user's own configuration wins.
FOR_STS = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 2})
FOR_ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})


def _botocore(session: boto3.session.Session) -> botocore.session.Session:
    return session._session  # boto3 has no public name for what it is made of


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


class MachineLearningClientHook(AwsBaseHook):
    """Make the clients of Amazon Machine Learning and of S3, and calls that a wait can rely on.

    The hook for tasks is ``MachineLearningHook``.
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
        return self._new_session(None)

    def _new_session(self, region_name: str | None) -> boto3.session.Session:
        """Make a session whose calls are bounded, those to STS for it too.

        One by an assumed role shares 9 MB of botocore's data with the session that assumes it.
        """
        config = FOR_STS.merge(self.config)
        factory = base_aws.SessionFactory(conn=self.conn_config, region_name=region_name, config=config)
        asking = transport.bound(factory.basic_session)
        session = transport.bound(factory.create_session())
        _botocore(session).register_component("data_loader", _botocore(asking).get_component("data_loader"))
        return session

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> boto3.session.Session:
        """Return the one session of this hook, so that an assumed role is assumed once; another for another region."""
        if deferrable:
            return super().get_session(region_name=region_name, deferrable=True)
        if region_name in (None, self.conn_config.region_name):
            return self._session
        return self._new_session(region_name)

    def _get_caller(self, target_function_name: str = "execute") -> str:
        """Return the caller's name for the user agent, without the walk up the stack that reads each source file."""
        return type(self).__name__

    def get_client_type(
        self, region_name: str | None = None, config: Config | None = None, deferrable: bool = False
    ) -> MachineLearningClient:
        """Make a client whose errors have hints.

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
        region = client.meta.region_name
        host = urlsplit(client.meta.endpoint_url).hostname or ""
        regions = self.get_session().get_available_regions("machinelearning")
        if host == f"machinelearning.{region.lower()}.amazonaws.com" and region not in regions:
            raise errors.InvalidArgument(
                f"region_name: Amazon Machine Learning does not exist in {region}; it does in "
                f"{', '.join(sorted(regions))}."
            )

    @cached_property
    def one_attempt_client(self) -> MachineLearningClient:
        """A client that makes one attempt a call: what waits around it does the retrying."""
        return self.get_client_type(config=self.config.merge(FOR_ONE_ATTEMPT))

    def forget_credentials(self) -> None:
        """Drop session and clients, so that the next call reads the connection and its credentials anew."""
        for name in ("conn", "s3", "one_attempt_client", "_session", "conn_config"):
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

    def call_once(self, operation: str, deadline: float, **request: object) -> dict[str, object]:
        """Make one attempt at an operation; expired credentials are read anew for the next.

        :param operation: AWS's name of it, as ``GetMLModel``.
        :param deadline: until when the answer is of use, in seconds of ``CLOCK.now``; the attempt ends with it, or a
            second from now, whichever is later.
        :param request: the members of the request, under AWS's names.
        :raises ResponseParserError: when the answer is none of the service's.
        """
        seconds = max(deadline - CLOCK.now(), transport.LEAST_SECONDS)
        with transport.time_limit(seconds), self._expired_forgotten():
            method = getattr(self.one_attempt_client, argument_name(operation))
            return cast("dict[str, object]", method(**request))

    def get(self, resource: Resource, resource_id: str, deadline: float) -> dict[str, object]:
        """Return the answer of one attempt at the Get operation of a resource."""
        return self.call_once(resource.get, deadline, **{resource.id_member: resource_id})

    def get_realtime_endpoint(self, ml_model_id: str) -> RealtimeEndpoint:
        """Return the present info of a model's endpoint; without an endpoint its status is NONE."""
        return endpoint_info(self.conn.get_ml_model(MLModelId=ml_model_id))

    def check_endpoint_url(self, url: str) -> str:
        """Return the URL when records may go there.

        :raises ValueError: when it leads elsewhere than to Amazon's realtime host or the configured endpoint override.
        """
        return check_destination(url, self.conn.meta.endpoint_url)

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
