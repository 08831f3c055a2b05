"""Ways to a server: through TLS, and through a proxy that is asked to connect."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import trustme


class Authority(trustme.CA):
    """A certificate authority, whose own certificate is in a file."""

    def __init__(self, bundle: str) -> None:
        super().__init__()
        self.bundle = bundle
        self.cert_pem.write_to_path(bundle)


def pump(source: Any, sink: Any) -> None:
    """Carry bytes one way until the end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


class Gate(socketserver.ThreadingTCPServer):
    """A server before another one: it ends TLS if it has a context, and is a proxy if it has none or ``is_proxy``."""

    daemon_threads = True

    def __init__(self, target: Any, context: ssl.SSLContext | None = None, is_proxy: bool | None = None) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.target, self.context, self.passed = target, context, 0
        self.is_proxy = not context if is_proxy is None else is_proxy
        self.heads: list[str] = []
        self.port = self.server_address[1]

    def finish_request(self, request: Any, client_address: Any) -> None:
        with contextlib.suppress(ssl.SSLError), self.entered(request) as inside:
            self.passed += 1
            with socket.create_connection(self.target) as outside:
                back = threading.Thread(target=pump, args=(outside, inside), daemon=True)
                back.start()
                pump(inside, outside)
                back.join(10)

    def entered(self, request: Any) -> Any:
        """Return the connection inside of TLS, after the CONNECT of a proxy's client."""
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        if not self.is_proxy:
            return request
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += request.recv(1)
        self.heads.append(head.decode())
        request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return request


@contextlib.contextmanager
def opened(gate: Gate) -> Iterator[Any]:
    with gate:
        threading.Thread(target=gate.serve_forever, args=(0.02,), daemon=True).start()
        yield gate
        gate.shutdown()
