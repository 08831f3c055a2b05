"""An HTTP/1.1 server with keep-alive and a thread for each connection."""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from amazon_ml_local.errors import ServiceError
from amazon_ml_local.protocol import Request, Response, error_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

SILENCE_SECONDS = 60.0  # after which a connection is ended
MOST_CONNECTIONS = 500
MOST_BYTES = 256 * 1024 * 1024  # of a body
LINE_BYTES = 64  # the most that is read of the line with a chunk's size
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 seconds
# Where two of these disagree, what checks one would not see the other.
ONCE = ("Host", "Origin", "Sec-Fetch-Site", "Content-Length", "Transfer-Encoding")
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length"}


class Handler(BaseHTTPRequestHandler):
    """Read requests from one connection, and write a response to each."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = SILENCE_SECONDS
    server: _HTTPServer

    def handle_one_request(self) -> None:
        """Answer the next request of the connection, which counts as silent until the request is read."""
        self.server.mark_silent(self.connection)
        super().handle_one_request()

    def finish(self) -> None:
        """Close the connection, which then counts as silent no more."""
        self.server.silent.pop(self.connection, None)
        super().finish()

    def _serve(self) -> None:
        try:
            body = self._body()
        except ValueError as error:
            self.send_error(400, str(error))
            return
        if twice := [name for name in ONCE if len(self.headers.get_all(name, [])) > 1]:
            self.send_error(400, f"{twice[0]} is given twice")
            return
        self.server.silent.pop(self.connection, None)
        response = self._answer(Request(self.command, self.path, dict(self.headers.items()), body))
        if response.reset:
            self._reset()
        else:
            self._write(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = _serve

    def _answer(self, request: Request) -> Response:
        try:
            return self.server.answer(request)
        except Exception:
            logger.exception("%s %s broke", request.method, request.path)
            return error_answer(ServiceError("InternalServerException", "An internal error occurred", 500))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request that is not valid HTTP in AWS's format, and end the connection."""
        self.close_connection = True
        self._write(error_answer(ServiceError("BadRequestException", message or "Not a proper request", code)))

    def log_message(self, format: str, *args: object) -> None:
        """Log the standard library's lines at the level DEBUG."""
        logger.debug(format, *args)

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks())
        return self._read(int(self.headers.get("Content-Length") or 0), MOST_BYTES)

    def _chunks(self) -> Iterator[bytes]:
        left = MOST_BYTES
        while chunk := self._read(self._chunk_size(), left):
            left -= len(chunk)
            self.rfile.readline(LINE_BYTES)  # the end of the chunk's line
            yield chunk
        self.rfile.readline(LINE_BYTES)

    def _chunk_size(self) -> int:
        line = self.rfile.readline(LINE_BYTES)
        if not line.endswith(b"\n"):
            raise ValueError(f"The body ended early, or the line with the size of a chunk has over {LINE_BYTES} bytes")
        return int(line.split(b";")[0], 16)

    def _read(self, size: int, most: int) -> bytes:
        if not 0 <= size <= most:
            raise ValueError(f"The body must be in 0..{MOST_BYTES} bytes")
        body = self.rfile.read(size)
        if len(body) < size:
            raise ValueError(f"The body ended early: {size - len(body)} more bytes were announced")
        return body

    def _write(self, response: Response) -> None:
        """Send head and body in one write: in two, delayed acknowledgement would cost the client 40 ms."""
        has_body = getattr(self, "command", None) != "HEAD"  # it is not set when a refused request has no method
        lines = [f"HTTP/1.1 {response.status} {self.responses.get(response.status, ('',))[0]}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items() if name.lower() not in HOP_BY_HOP]
        lines += [f"Content-Length: {self._length(response)}"]
        lines += ["Connection: close"] if self.close_connection else []
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.wfile.write(head + response.body if has_body else head)

    @staticmethod
    def _length(response: Response) -> str:
        """Return the length of the body; for HEAD, that of the body which is not sent."""
        given = {name.lower(): value for name, value in response.headers.items()}
        return str(len(response.body)) if response.body else given.get("content-length", "0")

    def _reset(self) -> None:
        """End the connection by a TCP reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        os.close(self.connection.detach())  # close() would leave it open until rfile is closed


class _HTTPServer(ThreadingHTTPServer):
    """Serve connections; a silent one, which waits for a request, may be ended to make room for others."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    timeout = 1.0  # seconds; so a closed server ends also if no last connection can be made, as without a free file

    def __init__(self, address: tuple[str, int], answer: Callable[[Request], Response]) -> None:
        self.answer = answer
        self.silent: dict[socket.socket, None] = {}
        self.closed = False
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Handler)

    def server_bind(self) -> None:
        """Bind without the lookup of the host's name in HTTPServer, which may take seconds."""
        TCPServer.server_bind(self)

    def mark_silent(self, connection: socket.socket) -> None:
        """Count a connection as silent; if there are too many, end the one that has been silent the longest."""
        self.silent.pop(connection, None)
        self.silent[connection] = None
        if self.closed:
            _end(connection)
        if len(self.silent) > MOST_CONNECTIONS:
            oldest = list(self.silent)[0]  # noqa: RUF015 - next(iter()) fails if a thread changes it
            self.silent.pop(oldest, None)
            _end(oldest)

    def server_close(self) -> None:
        """Stop listening, and end every connection: a silent one now, any other after its response."""
        super().server_close()
        self.closed = True
        for connection in list(self.silent):
            _end(connection)

    def handle_error(self, request: object, client_address: object) -> None:
        """Log a broken connection for debugging only, since clients may end connections at any time."""
        logger.debug("connection from %s broke", client_address, exc_info=True)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class Server:
    """Answer requests on a socket from its creation until ``close()``.

    :param port: 0 takes a free one
    """

    def __init__(self, answer: Callable[[Request], Response], host: str = "127.0.0.1", port: int = 0) -> None:
        self._http = _HTTPServer((host, port), answer)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._http.closed:
            self._http.handle_request()

    @property
    def url(self) -> str:
        """The URL that clients on this machine call."""
        host, port = self._http.server_address[:2]
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(host), str(host))
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"

    def close(self) -> None:
        """Stop answering, at once: a last connection ends the wait for the next one."""
        self._http.closed = True
        address = urlsplit(self.url)
        with suppress(OSError):
            socket.create_connection((address.hostname, address.port), timeout=1).close()
        self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
