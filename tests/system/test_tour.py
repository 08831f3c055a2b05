"""What README.md promises a reader with a browser: the tour of ``make up``, and the docs site."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from scripts.browser import chromium
from scripts.processes import ROOT, free_port
from tests.system.commands import running

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


def test_the_tour_of_make_up(page: Page) -> None:
    """The Dag of README.md is chosen, its play button pressed, and every task becomes green; the log has the URL."""
    from scripts.picture import walk

    port = free_port()
    with running("up", "--port", str(port), "--service-port", str(free_port())) as up:
        up.read_until("Ctrl-C ends")
        walk(page, f"http://127.0.0.1:{port}")
        page.locator("a[href*='/runs/'][href$='/tasks/ready']").first.click()  # not the link to the Dag's task
        page.get_by_text(re.compile("status READY after .*: http://127.0.0.1")).first.wait_for()


def test_the_docs_site(page: Page, tmp_path: Path) -> None:
    """From the front page every page of the site opens, all images load, and the reference has inherited arguments."""
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "-c", "docs", ".", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    page.goto((tmp_path / "index.html").as_uri())
    page.wait_for_url("**/README.html")
    seen, left = set(), [page.url]
    while left:
        url = left.pop()
        seen.add(url)
        page.goto(url)
        assert page.locator("h1").count(), url
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)"), url
        links = page.evaluate("[...document.links].map(link => link.href.split('#')[0])")
        pages = {link for link in links if link.startswith("file:") and link.endswith(".html")}
        left += sorted(pages - seen - set(left))
    names = {url.removeprefix(tmp_path.as_uri()) for url in seen}
    for wanted in (
        "tutorial",
        "installing",
        "operators",
        "reference",
        "testing",
        "leaving",
        "waiting",
        "amazon-ml-local",
    ):
        assert f"/docs/{wanted}.html" in names
    page.goto((tmp_path / "docs" / "reference.html").as_uri())
    create = page.locator("dl.class", has_text="MachineLearningCreateRealtimeEndpointOperator").first
    for argument in ("ml_model_id", "waiter_delay", "deferrable", "aws_conn_id"):
        assert create.get_by_text(argument, exact=True).count(), argument
