"""Bound every attempt at a call: its whole time, from connecting to the last byte, and the size of its answer.

boto3 signs, retries, parses and keeps its connections as ever; only the sockets are ours. botocore's own time-outs
bound each ``recv``, so that an answer of one byte a second outlasts them all.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from botocore import awsrequest
from botocore.exceptions import HTTPClientError
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.ssltransport import SSLTransport

from airflow_ml_provider.parsing import ParserFactory

if TYPE_CHECKING:
    import boto3
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.client import BaseClient

SECONDS = 60.0  # for one attempt, where botocore's config has no read_timeout
LEAST_SECONDS = 1.0  # for an attempt, however near a deadline is: the last one begins then
MOST_BYTES = {"s3": 64 * 1024 * 1024}  # of an answer
MOST_BYTES_ELSEWHERE = 16 * 1024 * 1024

_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))


class AnswerTooLarge(HTTPClientError):
    """Raised for an answer of more bytes than any answer of the service has."""

    fmt = "The answer from {endpoint_url} has more than {most_bytes} bytes"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit all calls inside to so many seconds together, those to STS for their credentials included."""
    token = _deadline.set(min(_deadline.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


class Attempt:
    """What one attempt at a call may still take."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        self._until = min(_deadline.get(), time.monotonic() + seconds)
        self._bytes_left = most_bytes

    @property
    def is_too_large(self) -> bool:
        return self._bytes_left < 0

    def seconds_left(self) -> float:
        """Return the seconds that are left.

        :raises TimeoutError: when there are none.
        """
        seconds = self._until - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        return seconds

    def received(self, count: int) -> None:
        """Count bytes of the answer, its head included.

        :raises OSError: when there are too many.
        """
        self._bytes_left -= count
        if self.is_too_large:
            raise OSError("the answer is too large")


_attempt: ContextVar[Attempt] = ContextVar("attempt")


class BoundedSocket(socket.socket):
    """A socket whose every operation ends with the attempt that it serves."""

    attempt: Attempt | None = None  # TLS makes a new socket of a connected one, for the same attempt

    def _bounded(self) -> Attempt:
        self.attempt = self.attempt or _attempt.get()
        self.settimeout(self.attempt.seconds_left())
        return self.attempt

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        attempt = self._bounded()
        count = super().recv_into(*args, **kwargs)
        attempt.received(count)
        return count

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        attempt = self._bounded()
        data = super().recv(*args, **kwargs)
        attempt.received(len(data))
        return data

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._bounded()
        return super().send(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._bounded()
        super().sendall(*args, **kwargs)


class BoundedTLSSocket(BoundedSocket, ssl.SSLSocket):
    """The same, with TLS."""

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        self._bounded()
        super().do_handshake(*args, **kwargs)


class _BoundedConnection(awsrequest.AWSHTTPConnection):
    """botocore's connection, on sockets of ours."""

    def _new_conn(self) -> socket.socket:
        try:
            return self._connected()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error

    def _connected(self) -> socket.socket:
        """Connect to the first of the host's addresses that answers, within the time of the one attempt."""
        failure = OSError(f"{self.host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self._dns_host, self.port, 0, socket.SOCK_STREAM):
            sock = BoundedSocket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    sock.setsockopt(*option)
                sock.settimeout(min(_attempt.get().seconds_left(), self.timeout or SECONDS))
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure

    def request(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]  # whose bases do not agree on it
        """Send a request, which is another attempt than the last one on this connection."""
        if self.sock is not None:
            below = self.sock.socket if isinstance(self.sock, SSLTransport) else self.sock
            cast("BoundedSocket", below).attempt = _attempt.get()
        super().request(*args, **kwargs)


class _BoundedTLSConnection(_BoundedConnection, awsrequest.AWSHTTPSConnection):  # type: ignore[misc]  # botocore's own
    """The same, with TLS."""

    def connect(self) -> None:
        assert self.ssl_context  # botocore's sessions make one
        self.ssl_context.sslsocket_class = BoundedTLSSocket
        super().connect()

    def _connect_tls_proxy(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        sock = super()._connect_tls_proxy(*args, **kwargs)
        sock.__class__ = BoundedTLSSocket  # urllib3 makes the context for a proxy, and hands it to nobody
        return sock


class _Pool(awsrequest.AWSHTTPConnectionPool):
    ConnectionCls = _BoundedConnection


class _TLSPool(awsrequest.AWSHTTPSConnectionPool):
    ConnectionCls = _BoundedTLSConnection


class BoundedSession:
    """Send what botocore's HTTP session sends, with a bound on each attempt.

    :param session: with the user's proxies, certificates and time-outs.
    :param seconds: for each attempt.
    :param most_bytes: of an answer.
    """

    def __init__(self, session: Any, seconds: float, most_bytes: int) -> None:  # the names used here are private
        session._pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        session._manager.pool_classes_by_scheme = session._pool_classes_by_scheme
        self._session = session
        self._seconds, self._most_bytes = seconds, most_bytes

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Make one attempt.

        :raises HTTPClientError: when it failed, took too long, or its answer is too large.
        """
        attempt = Attempt(self._seconds, self._most_bytes)
        token = _attempt.set(attempt)
        try:
            return cast("AWSResponse", self._session.send(request))
        except HTTPClientError as error:
            if attempt.is_too_large:
                raise AnswerTooLarge(endpoint_url=request.url, most_bytes=self._most_bytes) from error
            raise
        finally:
            _attempt.reset(token)

    def close(self) -> None:
        self._session.close()


class _BoundedClient:
    """A base of the clients of a session, in front of botocore's own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        client: Any = self
        seconds = client.meta.config.read_timeout or SECONDS
        most_bytes = MOST_BYTES.get(client.meta.service_model.service_name, MOST_BYTES_ELSEWHERE)
        client._endpoint.http_session = BoundedSession(client._endpoint.http_session, seconds, most_bytes)


def session_of(client: BaseClient) -> BoundedSession:
    """Return what sends the requests of a client."""
    return cast("BoundedSession", cast("Any", client)._endpoint.http_session)


def _bound_client(**event: Any) -> None:
    event["base_classes"].insert(0, _BoundedClient)


def bound(session: boto3.session.Session) -> boto3.session.Session:
    """Bound all calls of all clients that a session makes from now on, and return it."""
    core = session._session  # boto3 has no public name for what it is made of
    core.register("creating-client-class", _bound_client, unique_id="airflow-ml-provider")
    core.register_component("response_parser_factory", ParserFactory())
    return session
