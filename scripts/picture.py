"""Walk the tour of docs/tutorial.md in a running ``make up``, and keep a picture of the Dag after its run."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from browser import chromium
from processes import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURE = ROOT / "docs" / "images" / "deploy_and_predict.png"
DAG_ID = "deploy_and_predict"
TASKS = 4
SIZE = {"width": 1000, "height": 360}
MILLISECONDS = 180_000  # for a step of the tour, the run included


def walk(page: Page, url: str) -> None:
    """Choose the Dag, press its play button, and wait until the run has succeeded."""
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
    page.get_by_role("button", name="Show Graph").click()
    page.get_by_role("button", name="Collapse Details Panel").click()
    page.add_style_tag(content=".react-flow__minimap { display: none }")
    page.get_by_role("button", name="Fit View").click()
    page.wait_for_timeout(2_000)  # until nothing moves any more


def main() -> None:
    """Make the picture; the URL of Airflow's UI may be given."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    PICTURE.parent.mkdir(exist_ok=True)
    with chromium() as browser:
        page = browser.new_page(viewport=SIZE)
        walk(page, url)
        page.get_by_text("successfully triggered").wait_for(state="hidden")
        show_graph(page)
        page.screenshot(path=PICTURE)
    print(PICTURE)


if __name__ == "__main__":
    main()
