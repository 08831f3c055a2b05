"""A server on a socket that answers as no service should, and for the rest passes requests on to the service."""

from __future__ import annotations

import contextlib
import gzip
import socket
import socketserver
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import urlsplit

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
PAUSE = 0.05  # seconds: shorter than any time-out, so that every recv is answered in time
BLOCK = bytes(64 * 1024)
MUCH = 100 * 1024 * 1024


@cache
def bomb() -> bytes:
    return gzip.compress(bytes(MUCH), 1)


def drip(connection: socket.socket, data: bytes) -> None:
    while True:
        connection.sendall(data)
        time.sleep(PAUSE)


def flood(connection: socket.socket, data: bytes, count: float = float("inf")) -> None:
    while count > 0:
        connection.sendall(data)
        count -= 1


def drip_body(connection: Any) -> None:
    connection.sendall(OK + b"Content-Length: 100000\r\n\r\n")
    drip(connection, b" ")


def drip_headers(connection: Any) -> None:
    connection.sendall(OK)
    drip(connection, b"x")


def endless_headers(connection: Any) -> None:
    connection.sendall(OK)
    flood(connection, b"X-More: of the same\r\n")


def continue_for_ever(connection: Any) -> None:
    flood(connection, b"HTTP/1.1 100 Continue\r\n\r\n")


def endless_chunks(connection: Any) -> None:
    connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    flood(connection, b"10000\r\n" + BLOCK + b"\r\n")


def large_body(connection: Any) -> None:
    connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % MUCH)
    flood(connection, BLOCK, MUCH / len(BLOCK))


def gzip_bomb(connection: Any) -> None:
    connection.sendall(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb()))
    connection.sendall(bomb())


def silence(connection: Any) -> None:
    connection.sendall(OK + b"Content-Length: 100000\r\n\r\n")
    connection.recv(1)


def reset(connection: Any) -> None:
    connection.sendall(OK + b'Content-Length: 100000\r\n\r\n{"MLModelId"')
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(connection: Any) -> None:
    """Close the connection in place of an answer."""


def html(connection: Any) -> None:
    page = b"<html>Please log in</html>"
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page) + page)


def nested(connection: Any) -> None:
    """JSON that no parser reads to its end."""
    body = b'{"Prediction": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    connection.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def redirect(connection: Any) -> None:
    location = connection.server.elsewhere.encode()
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")


ANSWERS: dict[str, Callable[[Any], None]] = {
    answer.__name__: answer
    for answer in (
        drip_body, drip_headers, endless_headers, continue_for_ever, endless_chunks, large_body, gzip_bomb, silence,
        reset, hang_up, html, nested, redirect,
    )
}  # fmt: skip
TLS_STALL = "tls_stall"


class _Connection:
    """A connection that knows its server."""

    def __init__(self, sock: socket.socket, server: Hostile) -> None:
        self._sock, self.server = sock, server

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


class Hostile(socketserver.ThreadingTCPServer):
    """Answer requests badly when ``is_chosen`` says so, and pass the others on.

    ``asked`` holds the heads and bodies of what was answered badly.
    """

    daemon_threads = allow_reuse_address = True

    def __init__(
        self, kind: str, service_url: str = "", is_chosen: Callable[[bytes], bool] = lambda request: True
    ) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.kind, self.is_chosen = kind, is_chosen
        self.target = urlsplit(service_url)
        self.asked: list[bytes] = []
        self.elsewhere = ""
        self.connections = 0
        self.answers_a_connection = float("inf")
        scheme = "https" if kind == TLS_STALL else "http"
        self.url = f"{scheme}://127.0.0.1:{self.server_address[1]}"

    def finish_request(self, request: Any, client_address: object) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, ssl.SSLError):
            if self.kind == TLS_STALL:
                self.asked.append(request.recv(1))
                while request.recv(65536):
                    pass
            answers = 0
            while answers < self.answers_a_connection and (data := read_request(request)):
                answers += 1
                if self.is_chosen(data):
                    self.asked.append(data)
                    ANSWERS[self.kind](_Connection(request, self))
                    return
                request.sendall(self.passed_on(data))

    def passed_on(self, data: bytes) -> bytes:
        with socket.create_connection((self.target.hostname, self.target.port), timeout=30) as service:
            service.sendall(data.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            answer = b"".join(iter(lambda: service.recv(65536), b""))
            return answer.replace(b"Connection: close\r\n", b"", 1)  # this connection stays

    def handle_error(self, request: object, client_address: object) -> None:
        pass


def read_request(connection: socket.socket) -> bytes:
    """Return the next request, its body included; empty at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    if b"100-continue" in head.lower():
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextlib.contextmanager
def hostile(
    kind: str, service_url: str = "", is_chosen: Callable[[bytes], bool] = lambda request: True
) -> Iterator[Hostile]:
    """Run such a server."""
    with Hostile(kind, service_url, is_chosen) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()
