"""The service on a socket: HTTP/1.1 with keep-alive, a thread for each connection."""

from __future__ import annotations

import logging
import os
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

from airflow_ml_provider.local.protocol import Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

SILENCE_SECONDS = 60.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 seconds


class Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and writes an answer to each."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = SILENCE_SECONDS
    server: _HTTPServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        response = self.server.answer(Request(self.command, self.path, dict(self.headers.items()), body))
        if response.reset:
            self._reset()
        else:
            self._write(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = _serve

    def _write(self, response: Response) -> None:
        # Header and body leave in one write: apart they cost a client 40 ms by delayed acknowledgement.
        lines = [f"HTTP/1.1 {response.status} {self.responses.get(response.status, ('',))[0]}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        lines += [f"Content-Length: {len(response.body)}", "", ""]
        self.wfile.write("\r\n".join(lines).encode("latin-1") + response.body)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        os.close(self.connection.detach())

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, address: tuple[str, int], answer: Callable[[Request], Response]) -> None:
        self.answer = answer
        super().__init__(address, Handler)


class Server:
    """Serve ``answer`` on a socket from the moment of making until ``close()``.

    :param port: 0 takes a free one
    """

    def __init__(self, answer: Callable[[Request], Response], host: str = "127.0.0.1", port: int = 0) -> None:
        self._http = _HTTPServer((host, port), answer)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL that clients call."""
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    def close(self) -> None:
        """Stop answering."""
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
