"""A page in a real browser reaches nothing of the service: no reading, no writing, no levers, no SQL."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from amazon_ml_local import AmazonMLLocal, MemoryStorage
from amazon_ml_local.serving import serve
from amazon_ml_local.serving.guard import Guard
from scripts.browser import chromium
from tests.helpers.clients import client_at
from tests.helpers.three_targets import DATA, ROWS, schema

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

    from amazon_ml_local import Request, Response

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

ATTACK = Path(__file__).with_name("attack.js").read_text()
PAGE = "<!doctype html><title>A page</title><body></body>"
SECRET = "31337.5"
# Names of somebody else that lead to this machine, as DNS rebinding makes them.
RULES = "MAP *.example 127.0.0.1"
# It is the service that keeps pages out, and not a newer browser's own check of where they come from.
CHECKS = "LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
FLAGS = (f"--host-resolver-rules={RULES}", f"--disable-features={CHECKS}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The same, for which other names lead to this machine too."""
    with chromium(*FLAGS) as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Tabs of their own for each test."""
    with browser.new_context() as context:
        yield context


@pytest.fixture
def service(tmp_path: Path) -> Iterator[AmazonMLLocal]:
    """A service that has a database, a READY endpoint, and a request with a record in its memory."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
        database.execute("create table samples (x, y)")
    service = AmazonMLLocal(MemoryStorage({DATA: ROWS.encode()}), databases={"shop": f"sqlite:///{tmp_path}/shop.db"})
    client = service.client()
    service.clock.freeze()
    spec: Any = {"DataLocationS3": DATA, "DataSchema": schema("sign")}
    client.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec, ComputeStatistics=True)
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    service.clock.advance(3600)
    url = client.create_realtime_endpoint(MLModelId="ml-1")["RealtimeEndpointInfo"]["EndpointUrl"]
    service.clock.advance(3600)
    client.predict(MLModelId="ml-1", Record={"x": SECRET}, PredictEndpoint=url)
    service.clock.resume()
    yield service
    service.close()


@pytest.fixture
def url(service: AmazonMLLocal) -> Iterator[str]:
    """Where it answers, an object in S3 beside it."""
    with serve(service) as server:
        s3 = client_at(server.url, "s3")
        s3.create_bucket(Bucket="data")
        s3.put_object(Bucket="data", Key="train.csv", Body=SECRET.encode())
        yield server.url


def _state(service: AmazonMLLocal, url: str) -> dict[str, Any]:
    """Return all that a page could have changed or left its trace in."""
    requests = [(request.operation, request.parameters) for request in service.requests]
    region = service.state.region("us-east-1")
    return {
        "requests": requests,
        "frozen": service.clock.frozen,
        "data sources": [entity.id for entity in region.all("DataSource")],
        "endpoint": region.get("MLModel", "ml-1").endpoint_status(service.clock.now()),
        "buckets": [bucket["Name"] for bucket in client_at(url, "s3").list_buckets()["Buckets"]],
        "objects": [item["Key"] for item in client_at(url, "s3").list_objects_v2(Bucket="data").get("Contents", [])],
        "queues": client_at(url, "sqs").list_queues().get("QueueUrls", []),
    }


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of a server of somebody else's page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bool]]:
    """Every request that arrives: method, path, and whether the guard let it pass."""
    seen: list[tuple[str, str, bool]] = []
    check = Guard.check

    def checked(self: Guard, request: Request) -> Response | None:
        refusal = check(self, request)
        seen.append((request.method, request.path, refusal is None))
        return refusal

    monkeypatch.setattr(Guard, "check", checked)
    return seen


def _attack(context: BrowserContext, origin: str, url: str) -> str:
    """Open a page of that origin and let it try all; return what it could read."""
    page = context.new_page()
    page.goto(f"{origin}/page")
    read = page.evaluate(ATTACK, url)
    for opened in context.pages:
        opened.close()
    return str(read)


def _rebind(context: BrowserContext, origin: str) -> None:
    """Have a page at that origin, whose name leads to the service from then on."""
    context.route(f"{origin}/page", lambda route: route.fulfill(body=PAGE, content_type="text/html"))


@pytest.mark.parametrize(
    ("host", "called"), [("evil.example", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("evil.localhost", "localhost")]
)
def test_a_page_of_another_origin_reaches_nothing(
    host: str, called: str, context: BrowserContext, service: AmazonMLLocal, url: str, elsewhere: int, arrived: Any
) -> None:
    """Of another site, or of another port of this machine. It may open a tab with a page of ours, and not read it."""
    before = _state(service, url)
    arrived.clear()
    read = _attack(context, f"http://{host}:{elsewhere}", url.replace("127.0.0.1", called))
    assert read == "[]"
    passed = {(method, path) for method, path, passes in arrived if passes}
    assert passed == {("GET", "/_local/requests"), ("GET", "/favicon.ico")}
    assert len(arrived) > 50
    assert _state(service, url) == before


def test_a_page_whose_name_leads_to_this_machine_reaches_nothing(
    context: BrowserContext, service: AmazonMLLocal, url: str, arrived: Any
) -> None:
    """DNS rebinding: the page is of the service's own origin then, and may read whatever is answered."""
    before, own = _state(service, url), f"http://rebound.example:{urlsplit(url).port}"
    arrived.clear()
    _rebind(context, own)
    read = _attack(context, own, own)
    assert SECRET not in read
    assert not [request for request in arrived if request[2]]
    assert len(arrived) > 50
    assert _state(service, url) == before


def test_without_the_guard_the_same_pages_do_harm(
    context: BrowserContext, service: AmazonMLLocal, url: str, elsewhere: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attacks are real, so that the tests above fail where nothing keeps pages out."""
    monkeypatch.setattr(Guard, "check", lambda self, request: None)
    _attack(context, f"http://evil.example:{elsewhere}", url)
    assert client_at(url, "s3").list_buckets()["Buckets"] == []
    own = f"http://rebound.example:{urlsplit(url).port}"
    _rebind(context, own)
    assert SECRET in _attack(context, own, own)
    assert service.state.region("us-east-1").find("DataSource", "stolen")
    assert service.clock.frozen
