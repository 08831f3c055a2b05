"""Bound every attempt at a call: its whole time, from connecting to the last byte, and the size of its answer.

boto3 signs, retries, parses and pools connections as usual; only the sockets are ours (see ``sockets``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import HTTPClientError

from airflow_ml_provider.parsing import ParserFactory
from airflow_ml_provider.sockets import Attempt, Pool, TLSPool, current_attempt

if TYPE_CHECKING:
    import boto3
    import botocore.session
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.client import BaseClient

SECONDS = 60.0  # for one attempt, where botocore's config has no read_timeout
LEAST_SECONDS = 1.0  # for an attempt: the last one begins at the deadline itself
MOST_BYTES = {"s3": 64 * 1024 * 1024}  # of an answer, by service
MOST_BYTES_ELSEWHERE = 16 * 1024 * 1024

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


class AnswerTooLarge(HTTPClientError):
    """Raised for an answer with more bytes than any answer of the service has."""

    fmt = "The answer from {endpoint_url} has more than {most_bytes} bytes"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the time of all calls in the block together, including those to STS for their credentials."""
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


class BoundedSession:
    """botocore's HTTP session, with a bound on each attempt.

    :param session: botocore's, with the user's proxies, certificates and timeouts.
    :param seconds: the time of each attempt.
    :param most_bytes: the highest size of an answer.
    """

    def __init__(self, session: Any, seconds: float, most_bytes: int) -> None:  # Any: the attributes are private
        session._pool_classes_by_scheme = {"http": Pool, "https": TLSPool}
        session._manager.pool_classes_by_scheme = session._pool_classes_by_scheme
        self._session = session
        self._seconds, self._most_bytes = seconds, most_bytes

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Make one attempt.

        :raises HTTPClientError: when it failed, took too long, or its answer is too large.
        """
        with self.attempt(request.url):
            return cast("AWSResponse", self._session.send(request))

    @contextmanager
    def attempt(self, url: str) -> Iterator[None]:
        """Bound everything in the block as one attempt.

        :raises AnswerTooLarge: instead of the error that botocore raises when the socket stops such an answer.
        """
        attempt = Attempt(min(_deadline.get(), time.monotonic() + self._seconds), self._most_bytes)
        token = current_attempt.set(attempt)
        try:
            yield
        except HTTPClientError as error:
            if attempt.is_answer_too_large:
                raise AnswerTooLarge(endpoint_url=url, most_bytes=self._most_bytes) from error
            raise
        finally:
            current_attempt.reset(token)

    def pool(self, url: str) -> Pool | TLSPool | None:
        """Return the pool of connections to a URL's host; None if an HTTP proxy must read each request."""
        proxy_url = self._session._proxy_config.proxy_url_for(url)
        if proxy_url and url.startswith("http:"):
            return None
        manager = self._session._get_connection_manager(url, proxy_url)
        return cast("Pool | TLSPool", manager.connection_from_url(url))

    def close(self) -> None:
        self._session.close()


class _BoundedClient:
    """The first base of all clients of a session that ``bound`` has changed: it replaces their HTTP session."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        client: Any = self
        seconds = client.meta.config.read_timeout or SECONDS
        most_bytes = MOST_BYTES.get(client.meta.service_model.service_name, MOST_BYTES_ELSEWHERE)
        client._endpoint.http_session = BoundedSession(client._endpoint.http_session, seconds, most_bytes)


def session_of(client: BaseClient) -> BoundedSession:
    """Return the HTTP session of a client."""
    return cast("BoundedSession", cast("Any", client)._endpoint.http_session)


def _add_base(**event: Any) -> None:
    event["base_classes"].insert(0, _BoundedClient)


def bound(session: boto3.session.Session) -> boto3.session.Session:
    """Bound all calls of all clients that a session creates from now on, and return the session."""
    core = botocore_session(session)
    core.register("creating-client-class", _add_base, unique_id="airflow-ml-provider")
    core.register_component("response_parser_factory", ParserFactory())
    return session


def botocore_session(session: boto3.session.Session) -> botocore.session.Session:
    """Return the botocore session of a boto3 session, which has no public name for it."""
    return session._session
