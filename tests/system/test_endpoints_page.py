"""The page of endpoints in Airflow's UI, in a real browser: what it shows, and to whom."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from scripts.processes import BIN, ROOT, Processes, airflow_environment, free_port
from tests.helpers.polling import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.system.commands import Up

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

PAGE = "/plugin/amazon-ml-endpoints"


def frame_of(page: Page, up: Up) -> Any:
    """Open the page as the menu does, and return the frame that Airflow shows it in."""
    page.goto(f"{up.url}{PAGE}")
    frame = page.frame_locator("iframe")
    frame.locator("#age:not(:has-text('Reading'))").wait_for(timeout=60_000)
    return frame


def report(up: Up) -> None:
    """Run the report's Dag to its end."""
    run = up.press("endpoints_report")
    until(lambda: up.call("GET", run)["state"] == "success", 180, lambda: up.failed(run))


def test_it_shows_an_endpoint_and_then_that_it_is_gone(up: Up, page: Page) -> None:
    """The table names the model, its status and cost, and links to the Dag run that made it."""
    up.press("realtime_endpoint")
    client = up.service()

    def live() -> list[Any]:
        models = client.describe_ml_models(FilterVariable="RealtimeEndpointStatus", NE="NONE")["Results"]
        return [model["MLModelId"] for model in models if model["MLModelId"] != "their-model"]

    until(live, 180)
    (model,) = live()
    report(up)
    frame = frame_of(page, up)
    row = frame.locator("tbody tr", has_text=model)
    assert "realtime_endpoint.create" in row.inner_text()
    row.locator("a").click()
    page.wait_for_url("**/dags/realtime_endpoint/runs/**", timeout=30_000)
    assert page.frames == [page.main_frame], "the link leads out of the frame"
    until(lambda: not live(), 180)
    report(up)
    assert model not in frame_of(page, up).locator("#table").inner_text()
    assert "their-model" in frame_of(page, up).locator("#table").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_reads_well_on_a_phone_and_in_both_schemes(up: Up, page: Page, scheme: Literal["light", "dark"]) -> None:
    """Nothing is wider than the screen, and text stands out from its ground."""
    report(up)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(f"{up.url}/amazon-machine-learning/")
    page.locator("tbody tr").first.wait_for(timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    style = "getComputedStyle(document.body)"
    ground, text = page.evaluate(f"[{style}.backgroundColor, {style}.color]")
    assert ground != text


def test_it_can_be_used_by_keyboard(up: Up, page: Page) -> None:
    """The table can be reached, and so scrolled, with the Tab key alone."""
    report(up)
    page.goto(f"{up.url}/amazon-machine-learning/")
    page.locator("tbody tr").first.wait_for(timeout=60_000)
    reached = set()
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert "table" in reached


def test_a_thousand_endpoints_take_less_than_a_second(up: Up, page: Page) -> None:
    """From the answer of Airflow's API to the last row."""
    one: dict[str, Any] = {
        "AwsConnId": "aws_default",
        "RegionName": "us-east-1",
        "Name": "",
        "EndpointStatus": "READY",
        "CreatedAt": "",
    }
    one |= {
        "Hours": 5.0,
        "HourlyPrice": 0.001,
        "Cost": 0.005,
        "DagId": "d",
        "TaskId": "t",
        "RunId": "r",
        "MapIndex": -1,
    }
    endpoints = [{**one, "MLModelId": f"ml-{number}", "Action": "kept"} for number in range(1000)]
    value = {"ReportedAt": "2026-01-01T00:00:00+00:00", "Endpoints": endpoints, "Unreached": []}
    instance = {"dag_id": "d", "task_id": "t", "dag_run_id": "r", "map_index": -1}
    page.route("**/taskInstances?*", lambda route: route.fulfill(json={"task_instances": [instance]}))
    page.route("**/xcomEntries/*", lambda route: route.fulfill(json={"value": value}))
    page.goto(f"{up.url}/amazon-machine-learning/")
    page.locator("tbody tr").nth(999).wait_for(timeout=60_000)
    drawing = "report => { const began = performance.now(); show(report); return performance.now() - began; }"
    assert page.evaluate(drawing, value) < 1000


def test_text_of_a_report_is_text(up: Up, page: Page) -> None:
    """A model's name that looks like HTML is shown, and does nothing."""
    name = "<img src=x onerror=\"document.title='owned'\">"
    endpoint: dict[str, Any] = {
        "AwsConnId": name,
        "RegionName": name,
        "MLModelId": name,
        "Name": name,
        "EndpointStatus": name,
    }
    endpoint |= {"Hours": 1.0, "HourlyPrice": 1.0, "Cost": 1.0, "Action": "kept", "Reason": name}
    value = {"ReportedAt": "2026-01-01T00:00:00+00:00", "Endpoints": [endpoint], "Unreached": []}
    instance = {"dag_id": "d", "task_id": "t", "dag_run_id": "r", "map_index": -1}
    page.route("**/taskInstances?*", lambda route: route.fulfill(json={"task_instances": [instance]}))
    page.route("**/xcomEntries/*", lambda route: route.fulfill(json={"value": value}))
    page.goto(f"{up.url}/amazon-machine-learning/")
    page.locator("tbody tr").first.wait_for(timeout=60_000)
    assert name in page.locator("tbody").inner_text()
    assert page.title() == "Amazon ML endpoints"


def test_a_report_that_cannot_be_read_shows_no_other_one(up: Up, page: Page) -> None:
    """Of two reports the one that is chosen is gone: the page says so, and does not go on showing the first one."""
    value = {"ReportedAt": "2026-01-01T00:00:00+00:00", "Endpoints": [], "Unreached": []}
    instance = {"dag_id": "d", "task_id": "t", "dag_run_id": "r", "map_index": -1}
    instances = {"task_instances": [instance, {**instance, "task_id": "gone"}]}
    page.route("**/taskInstances?*", lambda route: route.fulfill(json=instances))
    page.route("**/t/xcomEntries/*", lambda route: route.fulfill(json={"value": value}))
    page.route("**/gone/xcomEntries/*", lambda route: route.fulfill(status=404, json={}))
    page.goto(f"{up.url}/amazon-machine-learning/")
    page.locator("#totals", has_text="No endpoint costs money").wait_for(timeout=60_000)
    page.locator("#report").select_option("d.gone")
    page.locator("#age.alarm", has_text="404").wait_for(timeout=60_000)
    assert page.locator("#totals").inner_text() == ""


def test_whoever_may_not_read_xcoms_sees_nothing(up: Up, browser: Browser, tmp_path: Path) -> None:
    """An api-server whose users may not read XComs serves the page, and the page says why it is empty."""
    port = free_port()
    env = airflow_environment(ROOT / ".up" / "airflow", f"http://127.0.0.1:{up.service_port}", port)
    env |= {"AIRFLOW__CORE__AUTH_MANAGER": "tests.system.auth.WithoutXComs", "PYTHONPATH": str(ROOT)}
    with Processes(tmp_path) as processes:
        processes.start("api-server", str(BIN / "airflow"), "api-server", env=env)
        processes.wait_for("api-server", f"http://127.0.0.1:{port}/api/v2/monitor/health", 180)
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}")
            page.wait_for_load_state("networkidle")
            page.goto(f"http://127.0.0.1:{port}/amazon-machine-learning/")
            page.locator("#age.alarm").wait_for(timeout=60_000)
            assert "no permission" in page.locator("#age").inner_text()
            assert page.locator("tbody tr").count() == 0


def test_no_other_process_pays_for_it() -> None:
    """Loading the plugin imports no web framework: only the api-server calls the page."""
    code = (
        "import sys\n"
        "from airflow.plugins_manager import AirflowPlugin\n"
        "before = set(sys.modules)\n"
        "import airflow_ml_provider.plugin\n"
        "print(sorted(name for name in set(sys.modules) - before if name.startswith(('fastapi', 'starlette'))))"
    )
    result = subprocess.run([BIN / "python", "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
