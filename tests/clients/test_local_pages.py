"""The service's own pages in a browser: no script is needed, no other host reached, and what is stored cannot run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from amazon_ml_local import AmazonMLLocal, MemoryStorage
from amazon_ml_local.serving import serve
from tests.helpers.clients import client_at
from tests.helpers.three_targets import DATA, HOUR, ROWS, TARGETS, schema

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

ATTACK = "<title>stored</title><script>document.title = 'ran'</script>"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where a service answers that has an evaluation of each type of model, and a READY endpoint."""
    service = AmazonMLLocal(MemoryStorage({DATA: ROWS.encode()}))
    client: Any = service.client()
    service.clock.freeze()
    for model_type, target in TARGETS.items():
        name = model_type.lower()
        spec: Any = {"DataLocationS3": DATA, "DataSchema": schema(target)}
        client.create_data_source_from_s3(DataSourceId=name, DataSpec=spec, ComputeStatistics=True)
        client.create_ml_model(MLModelId=name, MLModelType=model_type, TrainingDataSourceId=name)
        client.create_evaluation(EvaluationId=name, MLModelId=name, EvaluationDataSourceId=name)
    service.clock.advance(HOUR)
    client.create_realtime_endpoint(MLModelId="binary")
    service.clock.advance(HOUR)
    for name in ("binary", "multiclass", "regression"):
        assert client.get_evaluation(EvaluationId=name)["Status"] == "COMPLETED"
    with serve(service) as server:
        yield server.url
    service.close()


@pytest.fixture
def requested() -> list[str]:
    """The URLs that pages asked for."""
    return []


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, url: str, requested: list[str]) -> Iterator[Page]:
    """A tab of a phone without scripts, in either scheme; it ends with no complaint and no request elsewhere."""
    complaints: list[str] = []
    phone: ViewportSize = {"width": 360, "height": 700}
    with browser.new_context(java_script_enabled=False, color_scheme=request.param, viewport=phone) as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda sent: requested.append(sent.url))
        yield page
    assert complaints == []
    assert [sent for sent in requested if not sent.startswith((url, "data:"))] == []


def test_from_an_endpoint_to_the_answers_at_another_threshold(page: Page, url: str) -> None:
    """EndpointUrl leads to the model, that to its evaluation; the threshold moves by keyboard alone."""
    page.goto(client_at(url).get_ml_model(MLModelId="binary")["EndpointInfo"]["EndpointUrl"])
    page.get_by_role("region", name="Realtime endpoints").get_by_role("link", name="binary").click()
    assert page.title() == "MLModel binary – Amazon ML Local"
    for heading in ("Recipe", "Training parameters", "Schema", "Realtime endpoint", "Log"):
        assert page.get_by_role("heading", name=heading, exact=True).count() == 1
    page.locator("a[href*='/Evaluation/binary']").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Score threshold").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("0.25")
    page.keyboard.press("Enter")
    page.wait_for_url("**threshold=0.25")
    assert page.get_by_role("heading", name="At the threshold 0.25").count() == 1
    assert page.get_by_role("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


@pytest.mark.parametrize(
    "path",
    ["/", "/_local/DataSource/binary", "/_local/MLModel/binary", *(f"/_local/Evaluation/{t.lower()}" for t in TARGETS)],
)
def test_pages_fit_a_phone_and_stand_out_from_their_ground(page: Page, url: str, path: str) -> None:
    page.goto(url + path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    style = "getComputedStyle(document.body)"
    ground, text = page.evaluate(f"[{style}.backgroundColor, {style}.color]")
    assert ground != text
    scheme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (ground == "rgb(255, 255, 255)") is not scheme


def test_a_page_that_somebody_stored_runs_no_script(browser: Browser, url: str) -> None:
    """Its scripts would be of the service's origin, whose levers they could pull."""
    s3 = client_at(url, "s3")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="page.html", Body=ATTACK.encode(), ContentType="text/html")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(s3.generate_presigned_url("get_object", Params={"Bucket": "data", "Key": "page.html"}))
        assert page.title() == "stored"
