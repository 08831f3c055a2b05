"""Send many requests to one URL, over connections that botocore's session has opened."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from http.client import HTTPException
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from urllib3.util.connection import is_connection_dropped

if TYPE_CHECKING:
    from airflow_ml_provider.sockets import BoundedConnection
    from airflow_ml_provider.transport import BoundedSession


class Answer(NamedTuple):
    """One answer, its body as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class Lane:
    """Send POST requests to one URL.

    botocore's session sends the first request on each connection, and so handles all that concerns the connection:
    proxies, TLS, certificates, errors. Later requests are written to the connection directly, without the session's
    work for each request. Where an HTTP proxy must read each request, the session sends them all.

    :param session: the session whose connections are used.
    :param url: the URL of all requests.
    """

    def __init__(self, session: BoundedSession, url: str) -> None:
        self._session, self._url = session, url
        self._pool = session.pool(url)
        self._request_line = f"POST {urlsplit(url).path or '/'} HTTP/1.1\r\n"

    def send(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Make one attempt, from any thread.

        :param headers: of the request, ``Host`` among them.
        :raises HTTPClientError: when it failed, took too long, or its answer is too large.
        """
        connection = self._take_open_connection()
        if connection is None:
            return self._send_by_session(headers, body)
        with self._session.attempt(self._url):
            return self._exchange(connection, self._message(headers, body))

    def _take_open_connection(self) -> BoundedConnection | None:
        """Take a connection that is open already from the pool; return None if there is none."""
        if self._pool is None or self._pool.pool is None:
            return None
        try:
            connection = self._pool.pool.get_nowait()
        except queue.Empty:
            return None
        if connection and not is_connection_dropped(connection):
            return cast("BoundedConnection", connection)
        self._pool._put_conn(connection)  # None or dropped, it is a place in which the session may open one
        return None

    def _send_by_session(self, headers: Mapping[str, str], body: bytes) -> Answer:
        request = AWSRequest("POST", self._url, dict(headers), body)
        answer = self._session.send(request.prepare())
        return Answer(answer.status_code, dict(answer.headers), answer.content)

    def _message(self, headers: Mapping[str, str], body: bytes) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self._request_line}{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def _exchange(self, connection: BoundedConnection, message: bytes) -> Answer:
        """Send a message and return the answer; errors become those that botocore raises in their place."""
        try:
            answer, body = connection.exchange(message)
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
            if isinstance(error, (OSError, HTTPException)):
                raise ConnectionClosedError(endpoint_url=self._url, error=error) from error
            raise
        finally:
            assert self._pool
            self._pool._put_conn(connection)  # also if it is closed now
        return Answer(answer.status, dict(answer.headers.items()), body)
