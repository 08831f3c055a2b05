"""Sockets that end every operation at the deadline of the current attempt, and botocore's connections on them.

botocore's own timeouts bound each ``recv``, so that an answer of one byte a second outlasts them all.
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
    """The time and the bytes that one attempt at a call has left.

    :param deadline: in seconds of ``time.monotonic``.
    :param most_bytes: the highest size of the answer.
    """

    def __init__(self, deadline: float, most_bytes: int) -> None:
        self._deadline = deadline
        self._bytes_left = self.most_bytes = most_bytes

    @property
    def is_answer_too_large(self) -> bool:
        return self._bytes_left < 0

    def seconds_left(self) -> float:
        """Return the seconds until the deadline.

        :raises TimeoutError: when it has passed.
        """
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        return seconds

    def count_received(self, count: int) -> None:
        """Count bytes of the answer, its head included.

        :raises OSError: when there are too many.
        """
        self._bytes_left -= count
        if self.is_answer_too_large:
            raise OSError("the answer is too large")


current_attempt: ContextVar[Attempt] = ContextVar("current_attempt")


class BoundedSocket(socket.socket):
    """A socket that ends every operation at the deadline of its attempt, and counts the bytes that it receives."""

    attempt: Attempt | None = None  # until the first operation; so also on the socket that TLS makes of a connected one

    def _set_time_limit(self) -> Attempt:
        """Bound the next operation by the time that the attempt has left, and return the attempt."""
        self.attempt = self.attempt or current_attempt.get()
        self.settimeout(self.attempt.seconds_left())
        return self.attempt

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        attempt = self._set_time_limit()
        count = super().recv_into(*args, **kwargs)
        attempt.count_received(count)
        return count

    def recv(self, *args: Any, **kwargs: Any) -> bytes:
        attempt = self._set_time_limit()
        data = super().recv(*args, **kwargs)
        attempt.count_received(len(data))
        return data

    def send(self, *args: Any, **kwargs: Any) -> int:
        self._set_time_limit()
        return super().send(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self._set_time_limit()
        super().sendall(*args, **kwargs)


class BoundedTLSSocket(BoundedSocket, ssl.SSLSocket):
    """The same, with TLS."""

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        self._set_time_limit()
        super().do_handshake(*args, **kwargs)


class BoundedConnection(awsrequest.AWSHTTPConnection):
    """botocore's connection, on a ``BoundedSocket``."""

    def _new_conn(self) -> socket.socket:
        try:
            return self._connect_to_host()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error

    def _connect_to_host(self) -> socket.socket:
        """Connect to the first of the host's addresses that answers; all of them share the time of the attempt."""
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
        """Send a request; a socket that an earlier attempt has used passes to the current one."""
        if self.sock is not None:
            self._pass_to_attempt()
        super().request(*args, **kwargs)

    def exchange(self, message: bytes) -> tuple[HTTPResponse, bytes]:
        """Send a complete HTTP request over this open connection, and return the answer and its body.

        botocore and urllib3 take five times the CPU time for the same.

        :raises OSError: when the connection breaks, or the attempt exceeds its time or size.
        :raises HTTPException: when the answer is not HTTP.
        """
        attempt = self._pass_to_attempt()
        assert self.sock
        self.sock.sendall(message)
        answer = HTTPResponse(cast("socket.socket", self.sock), method="POST")
        answer.begin()
        body = answer.read(attempt.most_bytes)
        is_read_to_its_end = answer.isclosed()
        if answer.will_close or not is_read_to_its_end:
            self.close()
        return answer, body

    def _pass_to_attempt(self) -> Attempt:
        """Pass the open socket to the current attempt, and return the attempt."""
        attempt = current_attempt.get()
        # An SSLTransport is TLS inside the TLS of a proxy.
        bounded_socket = self.sock.socket if isinstance(self.sock, SSLTransport) else self.sock
        cast("BoundedSocket", bounded_socket).attempt = attempt
        return attempt


class BoundedTLSConnection(BoundedConnection, awsrequest.AWSHTTPSConnection):  # type: ignore[misc]  # whose bases disagree
    """The same, with TLS."""

    def connect(self) -> None:
        assert self.ssl_context  # botocore's sessions create one
        self.ssl_context.sslsocket_class = BoundedTLSSocket
        super().connect()

    def _connect_tls_proxy(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        sock = super()._connect_tls_proxy(*args, **kwargs)
        sock.__class__ = BoundedTLSSocket  # urllib3 creates the context for a proxy itself, out of our reach
        return sock


class Pool(awsrequest.AWSHTTPConnectionPool):
    """The connections to one host."""

    ConnectionCls = BoundedConnection


class TLSPool(awsrequest.AWSHTTPSConnectionPool):
    """The same, with TLS."""

    ConnectionCls = BoundedTLSConnection
