"""Sockets whose every operation ends with the attempt that it serves, and botocore's connections on them.

The time-outs of botocore's own bound each ``recv``, so that an answer of one byte a second outlasts them all.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any, cast

from botocore import awsrequest
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util.ssltransport import SSLTransport

CONNECT_SECONDS = 60.0  # where botocore's config has no connect_timeout


class Attempt:
    """What one attempt at a call may still take.

    :param until: when it ends, in seconds of ``time.monotonic``.
    :param most_bytes: of the answer.
    """

    def __init__(self, until: float, most_bytes: int) -> None:
        self._until = until
        self._bytes_left = self.most_bytes = most_bytes

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


current_attempt: ContextVar[Attempt] = ContextVar("current_attempt")


class BoundedSocket(socket.socket):
    """A socket whose every operation ends with the attempt that it serves."""

    attempt: Attempt | None = None  # TLS makes a new socket of a connected one, for the same attempt

    def _bounded(self) -> Attempt:
        self.attempt = self.attempt or current_attempt.get()
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


class BoundedConnection(awsrequest.AWSHTTPConnection):
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
                sock.settimeout(min(current_attempt.get().seconds_left(), self.timeout or CONNECT_SECONDS))
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
            self._begin_attempt()
        super().request(*args, **kwargs)

    def exchange(self, message: bytes) -> tuple[HTTPResponse, bytes]:
        """Send a request that is written out already on a connection that stands, and return its answer and the body.

        botocore and urllib3 take five times the processor's time for that, whatever the request is.

        :raises OSError: when the connection broke, or the attempt's time or size is up.
        :raises HTTPException: when the answer is no HTTP.
        """
        attempt = self._begin_attempt()
        assert self.sock
        self.sock.sendall(message)
        answer = HTTPResponse(cast("socket.socket", self.sock), method="POST")
        answer.begin()
        body = answer.read(attempt.most_bytes)
        if answer.will_close or not answer.isclosed():
            self.close()
        return answer, body

    def _begin_attempt(self) -> Attempt:
        attempt = current_attempt.get()
        below = self.sock.socket if isinstance(self.sock, SSLTransport) else self.sock
        cast("BoundedSocket", below).attempt = attempt
        return attempt


class BoundedTLSConnection(BoundedConnection, awsrequest.AWSHTTPSConnection):  # type: ignore[misc]  # botocore's own
    """The same, with TLS."""

    def connect(self) -> None:
        assert self.ssl_context  # botocore's sessions make one
        self.ssl_context.sslsocket_class = BoundedTLSSocket
        super().connect()

    def _connect_tls_proxy(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        sock = super()._connect_tls_proxy(*args, **kwargs)
        sock.__class__ = BoundedTLSSocket  # urllib3 makes the context for a proxy, and hands it to nobody
        return sock


class Pool(awsrequest.AWSHTTPConnectionPool):
    """The connections to one host."""

    ConnectionCls = BoundedConnection


class TLSPool(awsrequest.AWSHTTPSConnectionPool):
    """The same, with TLS."""

    ConnectionCls = BoundedTLSConnection
