"""The service on a socket, and whatever strange clients send to it."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from amazon_ml_local.protocol import Response
from amazon_ml_local.serving import serve
from amazon_ml_local.serving import server as server_module
from tests.helpers.clients import client_at

HEADERS = {
    "X-Amz-Target": "AmazonML_20141212.DescribeMLModels",
    "Content-Type": "application/x-amz-json-1.1",
    "Authorization": "AWS4-HMAC-SHA256 Credential=key/20261123/us-east-1/machinelearning/aws4_request, "
    "SignedHeaders=host, Signature=00",
}


@pytest.fixture
def address(service: Any) -> Iterator[tuple[str, int]]:
    """Where the service listens."""
    with serve(service) as server:
        url = urlsplit(server.url)
        assert url.hostname
        assert url.port
        yield url.hostname, url.port


@pytest.fixture
def send(address: tuple[str, int]) -> Any:
    """Send one request: ``send(body, **headers)``, None for a header that is to be left out."""

    def post(body: bytes = b"{}", method: str = "POST", path: str = "/", **changes: str | None) -> Any:
        headers = {**HEADERS, **{name.replace("_", "-"): value for name, value in changes.items()}}
        with closing(HTTPConnection(address[0], int(address[1]), timeout=30)) as connection:
            connection.request(method, path, body, {k: v for k, v in headers.items() if v is not None})
            response: Any = connection.getresponse()
            response.text = response.read().decode()
            return response

    return post


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "SerializationException"),
        (b"[]", {}, 400, "SerializationException"),
        (b'{"Limit": NaN}', {}, 400, "SerializationException"),
        (b"\xff\xfe", {}, 400, "SerializationException"),
        (b"[" * 100_000, {}, 400, "SerializationException"),
        (b"{}", {"Content_Type": "text/plain"}, 400, "SerializationException"),
        (b"{}", {"X_Amz_Target": "AmazonML_20141212.GetModel"}, 400, "UnknownOperationException"),
        (b"{}", {"X_Amz_Target": "DynamoDB_20120810.ListTables"}, 400, "UnknownOperationException"),
        (b"{}", {"X_Amz_Target": None, "Authorization": None}, 400, "UnknownOperationException"),
        (b"{}", {"X_Amz_Target": None}, 400, "UnknownOperationException"),
        (b"{}", {"Authorization": None}, 403, "MissingAuthenticationTokenException"),
        (b"{}", {"Authorization": "Bearer x"}, 403, "IncompleteSignatureException"),
        (b'{"Limit": "5"}', {}, 400, "InvalidInputException"),
        (b'{"x": "' + b"x" * 2_000_000 + b'"}', {}, 413, "RequestEntityTooLargeException"),
        (b"{}", {"Content_Length": "-5"}, 400, "BadRequestException"),
        (b"{}", {"Content_Length": "many"}, 400, "BadRequestException"),
        (b"{}", {"Content_Length": str(10**12)}, 400, "BadRequestException"),
    ],
)
def test_bad_input_gets_an_error_in_the_shape_of_aws_and_the_service_goes_on(
    body: bytes, headers: Any, status: int, code: str, send: Any
) -> None:
    response = send(body, **headers)
    error = json.loads(response.text)
    assert (response.status, error["__type"]) == (status, code)
    assert error["message"]
    assert "Traceback" not in response.text
    assert send().status == 200


def test_a_defect_shows_the_client_no_traceback(send: Any, service: Any, monkeypatch: Any) -> None:
    from amazon_ml_local import operations

    def broken(call: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setitem(operations.OPERATIONS, "DescribeMLModels", broken)
    response = send()
    assert response.status == 500
    assert json.loads(response.text) == {"__type": "InternalServerException", "message": "An internal error occurred"}


@pytest.mark.parametrize("sent", [b"no HTTP at all\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"BREW / HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_gets_an_error_and_the_connection_is_closed(sent: bytes, address: Any, send: Any) -> None:
    with closing(socket.create_connection(address, timeout=30)) as connection:
        connection.sendall(sent)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"BadRequestException" in answer
    assert b"Traceback" not in answer
    assert send().status == 200


def test_a_chunked_body_is_read(address: Any) -> None:
    with closing(HTTPConnection(address[0], int(address[1]), timeout=30)) as connection:
        connection.request("POST", "/", iter([b'{"Limit"', b": 5}"]), HEADERS, encode_chunked=True)
        assert connection.getresponse().status == 200


def test_a_hundred_silent_connections_stop_nobody(address: Any, send: Any) -> None:
    silent = [socket.create_connection(address, timeout=30) for _ in range(100)]
    try:
        assert send().status == 200
    finally:
        for connection in silent:
            connection.close()


def test_of_too_many_silent_connections_the_oldest_is_ended(address: Any, send: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "MOST_CONNECTIONS", 10)
    silent = [socket.create_connection(address, timeout=30) for _ in range(15)]
    try:
        assert send().status == 200
        assert silent[0].recv(1) == b""
    finally:
        for connection in silent:
            connection.close()


def test_a_connection_that_stays_silent_is_closed(service: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module.Handler, "timeout", 0.05)
    with serve(service) as server:
        url = urlsplit(server.url)
        with closing(socket.create_connection((url.hostname, url.port))) as silent:
            silent.settimeout(30)
            assert silent.recv(1) == b""


def test_an_answer_leaves_in_one_write_without_delay(address: Any, monkeypatch: Any) -> None:
    """Header and body apart, or Nagle's algorithm, cost boto3 40 ms a call."""
    written: list[bytes] = []
    no_delay: list[int] = []
    write = server_module.Handler._write

    def watched(self: Any, response: Any) -> None:
        no_delay.append(self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        wfile, self.wfile = self.wfile, Recorder(self.wfile, written)
        write(self, response)
        self.wfile = wfile

    monkeypatch.setattr(server_module.Handler, "_write", watched)
    with closing(HTTPConnection(address[0], int(address[1]), timeout=30)) as connection:
        connection.request("POST", "/", b"{}", HEADERS)
        assert connection.getresponse().read() == b'{"Results":[]}'
    assert len(written) == 1
    assert written[0].endswith(b'\r\n\r\n{"Results":[]}')
    assert all(no_delay)


class Recorder:
    """Notes what is written."""

    def __init__(self, wfile: Any, written: list[bytes]) -> None:
        self._wfile, self._written = wfile, written

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._wfile.write(data)


def test_a_connection_is_kept_alive(address: Any) -> None:
    with closing(HTTPConnection(address[0], int(address[1]), timeout=30)) as connection:
        for _ in range(3):
            connection.request("POST", "/", b"{}", HEADERS)
            connection.getresponse().read()
            kept = connection.sock
            assert kept is not None


def test_a_connection_that_is_kept_ends_with_the_service(service: Any) -> None:
    with serve(service) as server:
        connection = HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        connection.request("POST", "/", b"{}", HEADERS)
        connection.getresponse().read()
    with closing(connection):
        assert connection.sock.recv(1) == b""


def test_a_reset_is_a_true_tcp_reset(address: Any, service: Any) -> None:
    service.faults.add("reset")
    with closing(HTTPConnection(address[0], int(address[1]), timeout=30)) as connection:
        connection.request("POST", "/", b"{}", HEADERS)
        with pytest.raises(ConnectionResetError):
            connection.getresponse()


def test_a_client_that_leaves_in_the_middle_harms_nobody(address: Any, send: Any) -> None:
    for sent in (b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{", b"POST / HT"):
        connection = socket.create_connection(address, timeout=30)
        connection.sendall(sent)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert send().status == 200


def test_predict_arrives_by_the_endpoint_url_that_is_handed_out(service: Any, endpoint: Any, model: Any) -> None:
    model("ml-1")
    with serve(service) as server:
        client = client_at(server.url)
        url = client.create_realtime_endpoint(MLModelId="ml-1")["RealtimeEndpointInfo"]["EndpointUrl"]
        service.clock.advance(3600)
        assert url == server.url
        answer = client.predict(MLModelId="ml-1", Record={"x": "58"}, PredictEndpoint=url)
        assert answer["Prediction"]["predictedLabel"] == "1"


def test_an_endpoint_url_of_ones_own_can_be_handed_out(service: Any, model: Any) -> None:
    service.endpoint_url = "http://ml.example:8080"
    model("ml-1")
    info = service.client().create_realtime_endpoint(MLModelId="ml-1")["RealtimeEndpointInfo"]
    assert info["EndpointUrl"] == "http://ml.example:8080"


def test_a_call_that_takes_long_blocks_no_other(service: Any, address: Any, send: Any) -> None:
    service.clock.resume()
    service.faults.add("slow", operation="DescribeEvaluations", seconds=3600)
    slow = threading.Thread(target=lambda: send(X_Amz_Target="AmazonML_20141212.DescribeEvaluations"))
    slow.start()
    assert send().status == 200
    assert slow.is_alive()
    while slow.is_alive():
        service.clock.advance(3601)
        slow.join(0.01)


def test_a_get_that_waits_for_a_training_blocks_no_other(
    service: Any, client: Any, data_source: Any, monkeypatch: Any
) -> None:
    """With a frozen clock a Get past the scheduled end waits for the real work; others are answered meanwhile."""
    from amazon_ml_local.learning import training

    begun, release = threading.Event(), threading.Event()
    train = training.train

    def held(*given: Any) -> Any:
        begun.set()
        release.wait(30)
        return train(*given)

    monkeypatch.setattr(training, "train", held)
    data_source("ds-1")
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    assert begun.wait(30)
    service.clock.advance(3600)
    answers: list[str] = []
    waiting = threading.Thread(target=lambda: answers.append(client.get_ml_model(MLModelId="ml-1")["Status"]))
    waiting.start()
    data_source("ds-2")
    client.update_data_source(DataSourceId="ds-2", DataSourceName="b")
    assert client.get_data_source(DataSourceId="ds-2")["Name"] == "b"
    assert answers == []
    release.set()
    waiting.join(30)
    assert answers == ["COMPLETED"]


def test_it_stops_where_no_connection_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has no file left to open: the wait for the next connection ends by itself."""
    server = server_module.Server(lambda request: Response(200, {}, b""))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("Too many open files")

    monkeypatch.setattr(socket, "create_connection", refuse)
    stopping = threading.Thread(target=server.close, daemon=True)
    stopping.start()
    stopping.join(20)
    assert not stopping.is_alive()
