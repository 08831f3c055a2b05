"""Web pages do not reach the service, and programs do not notice."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from amazon_ml_local.serving import serve
from tests.helpers.clients import client_at

ML = {
    "X-Amz-Target": "AmazonML_20141212.DescribeMLModels",
    "Content-Type": "application/x-amz-json-1.1",
    "Authorization": "AWS4-HMAC-SHA256 Credential=key/20261123/us-east-1/machinelearning/aws4_request, "
    "SignedHeaders=host, Signature=00",
}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# One request for each that answers: Amazon ML, the levers, moto's S3, its other services and its own API.
ROUTES = [
    ("POST", "/", ML, "{}"),
    ("GET", "/_local/requests", {}, ""),
    ("POST", "/_local/clock", {"Content-Type": "application/json"}, '{"frozen": true}'),
    ("DELETE", "/_local/requests", {}, ""),
    ("GET", "/", {}, ""),
    ("GET", "/data/train.csv", {}, ""),
    ("PUT", "/data/stolen", {}, "x"),
    ("DELETE", "/data/train.csv", {}, ""),
    ("POST", "/", FORM, "Action=GetCallerIdentity&Version=2011-06-15"),
    ("GET", "/?Action=GetCallerIdentity&Version=2011-06-15", {}, ""),
    ("POST", "/moto-api/reset", {}, ""),
    ("OPTIONS", "/data/train.csv", {"Access-Control-Request-Method": "PUT"}, ""),
    ("HEAD", "/data/train.csv", {}, ""),
]


@pytest.fixture
def url(service: Any) -> Iterator[str]:
    """Where the service and moto answer, with an object in S3."""
    with serve(service, allowed_hosts=["ml.example", "*.inside.example", "192.168.7.7"]) as server:
        s3 = client_at(server.url, "s3")
        s3.create_bucket(Bucket="data")
        s3.put_object(Bucket="data", Key="train.csv", Body=b"rows")
        yield server.url


@pytest.fixture
def send(url: str) -> Any:
    """Send a request as it is, with these headers alone: ``send(method, path, headers, body)`` returns what comes."""
    own = urlsplit(url)

    def exchange(
        method: str, path: str, headers: Any = (), body: str = "", version: str = "1.1", host: str | None = own.netloc
    ) -> tuple[int, str]:
        pairs = [*([("Host", host)] if host is not None else []), *dict(headers).items()]
        pairs += [("Content-Length", str(len(body))), ("Connection", "close")]
        head = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        with closing(socket.create_connection((own.hostname, own.port), timeout=30)) as connection:
            connection.sendall(f"{method} {path} HTTP/{version}\r\n{head}\r\n{body}".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        return int(answer.split()[1]), answer

    return exchange


@pytest.fixture
def untouched(service: Any, url: str) -> Iterator[None]:
    """Nothing changes in the service or in S3, and no request is seen by it."""
    state = service.clock.frozen, service.clock.speed
    yield
    assert (service.clock.frozen, service.clock.speed) == state
    assert len(service.requests) == 0
    s3 = client_at(url, "s3")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="data")["Contents"]] == ["train.csv"]


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
        {"Origin": "http://evil.example", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("untouched")
def test_no_route_answers_a_page_of_another_origin(foreign: dict[str, str], send: Any) -> None:
    """403 with what to do, nothing done, and no header by which a browser lets the page read the answer."""
    host = {"host": foreign["Host"]} if "Host" in foreign else {}
    headers = {name: value for name, value in foreign.items() if name != "Host"}
    for method, path, own, body in ROUTES:
        status, answer = send(method, path, {**own, **headers}, body, **host)
        assert status == 403, (method, path, answer)
        assert "access-control" not in answer.lower()
        assert method == "HEAD" or "127.0.0.1 or localhost" in answer or "from a program" in answer


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:5012", "127.0.0.1.evil.example", "localhost.evil.example", "evillocalhost",
        "localhost.", "127.0.0.1.", "0.0.0.0", "[::]", "169.254.169.254", "user@localhost", "localhost@evil.example",
        "localhost/", "localhost:80:80", "localhost, evil.example", "[localhost]", "2130706433", "0x7f.1", "", "::1",
        "example", "ml.example.evil.example", "inside.example", "machinelearning.us-east-1.amazonaws.com",
    ],
)  # fmt: skip
@pytest.mark.usefixtures("untouched")
def test_a_host_that_somebody_else_may_own_is_refused(host: str, send: Any) -> None:
    """By DNS rebinding a page calls this machine by a name of its own, and is of the same origin then."""
    status, answer = send("GET", "/_local/requests", host=host)
    assert status == 403
    assert json.loads(answer.partition("\r\n\r\n")[2])["__type"] == "AccessDeniedException"
    assert "--allowed-host" in answer


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:5012", "127.8.9.10", "localhost", "LOCALHOST:80", "bucket.localhost", "[::1]:5012",
        "ml.example", "ML.example:8080", "a.inside.example", "192.168.7.7:5012",
    ],
)  # fmt: skip
def test_a_host_of_loopback_or_one_that_is_named_may_be_called(host: str, send: Any) -> None:
    """The port does not matter: it may be forwarded."""
    assert send("GET", "/_local/health", host=host)[0] == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_without_a_host_a_request_is_refused(version: str, send: Any) -> None:
    """HTTP/1.0 needs none, but browsers always send one."""
    assert send("GET", "/_local", host=None, version=version)[0] == 403


@pytest.mark.parametrize("twice", [{"host": "evil.example"}, {"Origin": "http://127.0.0.1", "origin": "http://evil"}])
def test_two_hosts_or_origins_are_refused(twice: dict[str, str], send: Any) -> None:
    """Nobody knows which of them counts."""
    assert send("GET", "/_local", twice)[0] == 400


def test_the_host_that_a_proxy_adds_does_not_count(send: Any) -> None:
    """A page may set that header."""
    assert send("GET", "/_local", {"X-Forwarded-Host": "localhost"}, host="evil.example")[0] == 403


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://evil.example/", "localhost", 403),
        ("http://localhost/", "evil.example", 403),
        ("http://evil.example@localhost/", "localhost", 403),
        ("http://[evil/", "localhost", 403),
        ("http://machinelearning.us-east-1.amazonaws.com.evil.example/", "localhost", 403),
        ("http://machinelearning.us-east-1.amazonaws.com:80/", "evil.example", 403),
        ("http://machinelearning.us-east-1.amazonaws.com:80/", "machinelearning.us-east-1.amazonaws.com", 200),
        ("http://localhost:5012/", "localhost:5012", 200),
    ],
)
def test_the_host_in_the_target_counts_too(target: str, host: str, status: int, send: Any) -> None:
    """As a proxy's clients write it, boto 2 among them, which names AWS's own host."""
    assert send("POST", target, ML, "{}", host=host)[0] == status


def test_the_services_own_pages_may_call_it(send: Any, url: str) -> None:
    """What it serves itself is of its own origin."""
    own = {"Origin": url, "Sec-Fetch-Site": "same-origin"}
    assert send("GET", "/_local", own)[0] == 200
    assert send("GET", "/_local", {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"})[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_local", 200),
        ("GET", "/_local/requests", 200),
        ("POST", "/_local/clock", 403),
        ("DELETE", "/_local/requests", 403),
        ("GET", "/?Action=CreateQueue&QueueName=q", 403),
        ("GET", "/data/train.csv", 200),
        ("HEAD", "/data/train.csv", 200),
        ("GET", "/data?prefix=train", 200),
        ("DELETE", "/data/train.csv", 403),
        ("GET", "/data/train.csv?response-content-type=text/html", 403),
        ("GET", "/data?prefix=train&acl", 403),
        ("GET", "/data%3Facl", 403),
        ("GET", "/moto-api/", 403),
        ("GET", "/moto%2Dapi/config", 403),
    ],
)
def test_a_link_opens_a_page_or_an_object_and_does_nothing_else(method: str, path: str, status: int, send: Any) -> None:
    """A page that links to one cannot read what opens in the tab."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert send(method, path, link)[0] == status


def test_no_cors_headers_leave_even_where_a_bucket_has_rules(url: str) -> None:
    """S3's own CORS rules open a bucket on AWS; here they are kept and have no effect."""
    s3 = client_at(url, "s3")
    rule: Any = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*"]}
    s3.put_bucket_cors(Bucket="data", CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket="data")["CORSRules"] == [rule]
    found = s3.get_object(Bucket="data", Key="train.csv")
    assert not [name for name in found["ResponseMetadata"]["HTTPHeaders"] if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/moto-api", "/moto-api/", "/moto-api/data.json", "/moto-api/lib.js", "/moto%2Dapi/"])
def test_motos_own_pages_are_not_served(path: str, send: Any) -> None:
    """They need scripts of other hosts. moto's API beside them works."""
    status, answer = send("GET", path)
    assert status == 404
    assert "The pages of moto are not served here" in answer
    assert send("GET", "/moto-api/config")[0] == 201


def test_clients_read_why_they_are_refused(url: str) -> None:
    """In JSON for Amazon ML, in XML for S3."""
    from botocore.exceptions import ClientError

    def foreign(request: Any, **_: Any) -> None:
        request.headers["Origin"] = "http://evil.example"

    for name, operation in (("machinelearning", "describe_ml_models"), ("s3", "list_buckets")):
        client = client_at(url, name)
        client.meta.events.register("before-send", foreign)
        with pytest.raises(ClientError, match="AccessDeniedException.*Call it from a program"):
            getattr(client, operation)()
