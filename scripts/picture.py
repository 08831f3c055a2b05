"""Make the docs' pictures of Airflow's UI in a running ``make up``: the Dag of the tutorial, the page of endpoints."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from scripts.browser import chromium
from scripts.processes import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

IMAGES = ROOT / "docs" / "images"
DAG_ID = "deploy_and_predict"
TASKS = 4
RUNNING = "predict_s3"  # the Dag that has an endpoint up for longest
REPORT = "endpoints_report"
REPORTS = 20  # at most, until one shows the endpoint
SIZE: ViewportSize = {"width": 1000, "height": 360}
MILLISECONDS = 180_000  # for a step of the tour, the run included


def walk(page: Page, url: str) -> None:
    """Choose the Dag of docs/tutorial.md, press its play button, and wait until the run has succeeded."""
    page.set_default_timeout(MILLISECONDS)
    page.goto(url)
    page.get_by_role("link", name="Dags").first.click()
    page.get_by_role("link", name=DAG_ID).first.click()
    page.wait_for_url(f"**/dags/{DAG_ID}")
    page.get_by_text("Latest Dag Version").wait_for()  # until then the list's own buttons are still there
    page.get_by_role("button", name="Trigger Dag").click()
    page.get_by_role("dialog").get_by_role("button", name="Trigger", exact=True).click()
    page.wait_for_url("**/runs/**")
    page.get_by_text(re.compile("^Success$")).nth(TASKS).wait_for()  # the run's own, and one of each task


def show_graph(page: Page) -> None:
    """Show the run's graph alone."""
    page.get_by_text("successfully triggered").wait_for(state="hidden")
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_role("button", name="Collapse Details Panel").click()
    page.add_style_tag(content=".react-flow__minimap { display: none }")
    page.get_by_role("button", name="Fit View").click()
    page.wait_for_timeout(2_000)  # until nothing moves any more


def show_endpoints(page: Page, url: str) -> None:
    """Show the page of endpoints while a run has one up."""
    start(page, url, RUNNING)
    for _ in range(REPORTS):
        wait_for_success(page, start(page, url, REPORT))
        page.goto(f"{url}/plugin/amazon-ml-endpoints")
        table = page.frame_locator("iframe").locator("#table")
        table.locator("tbody tr").first.wait_for()
        if f"{RUNNING}.create" in table.inner_text():
            return
    raise SystemExit(f"No report showed the endpoint of {RUNNING}")


def start(page: Page, url: str, dag_id: str) -> str:
    """Start a run of a Dag through Airflow's API, as the play button does, and return the run's URL there."""
    dag = f"{url}/api/v2/dags/{dag_id}"
    page.request.patch(dag, data={"is_paused": False})
    answer = page.request.post(f"{dag}/dagRuns", data={"logical_date": None})
    return f"{dag}/dagRuns/{answer.json()['dag_run_id']}"


def wait_for_success(page: Page, run: str) -> None:
    """Wait until a run has succeeded."""
    while (state := page.request.get(run).json()["state"]) != "success":
        if state == "failed":
            raise SystemExit(f"{run} failed")
        page.wait_for_timeout(500)


def main() -> None:
    """Make the pictures; the URL of Airflow's UI may be given."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    IMAGES.mkdir(exist_ok=True)
    with chromium() as browser:
        page = browser.new_page(viewport=SIZE)
        walk(page, url)
        show_graph(page)
        page.screenshot(path=IMAGES / "deploy_and_predict.png")
        show_endpoints(page, url)
        page.screenshot(path=IMAGES / "endpoints.png")
    print(IMAGES)


if __name__ == "__main__":
    main()
