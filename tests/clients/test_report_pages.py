"""Evaluation reports in a real browser: light and dark, phone and print, what a screen reader finds, what runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.report.page import page as page_of
from tests.helpers.reports import KINDS, NASTY, made_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

PHONE = {"width": 360, "height": 740}
COLOURS = """() => {
  const colour = (element, property) => getComputedStyle(element)[property];
  return {
    paper: colour(document.body, "backgroundColor"),
    inks: [...document.querySelectorAll("svg text")].map(text => colour(text, "fill")),
    texts: [...document.querySelectorAll("p, dt, dd, th, td, caption, span")].map(text => colour(text, "color")),
    lines: [...document.querySelectorAll("svg path")].map(path => colour(path, "stroke")),
  };
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The URL of each kind of report, as a file."""
    folder = tmp_path_factory.mktemp("reports")
    for type, models in KINDS:
        (folder / f"{type}-{models}.html").write_text(page_of(made_report(type, models)), encoding="utf-8")
    return lambda type, models: (folder / f"{type}-{models}.html").as_uri()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Any]]:
    """Open a URL in a tab of its own; dialogs, console messages and requests are kept in ``seen``."""
    contexts = []

    def run(url: str, **options: Any) -> tuple[Page, list[str]]:
        context = browser.new_context(**options)
        contexts.append(context)
        seen: list[str] = []

        def dismiss(dialog: Dialog) -> None:
            seen.append(f"dialog {dialog.message}")
            dialog.dismiss()

        page = context.new_page()
        page.on("dialog", dismiss)
        page.on("console", lambda message: seen.append(f"console {message.text}"))
        page.on("request", lambda request: seen.append(f"request {request.url}"))
        page.goto(url)
        return page, seen

    yield run
    for context in contexts:
        context.close()


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, by WCAG 2."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("type", "models"), KINDS)
def test_every_text_is_readable_in_light_and_dark(
    opened: Callable[..., Any], pages: Callable[..., str], type: Any, models: Any, scheme: str
) -> None:
    """Every text has WCAG's contrast of 4.5 with the paper, in tables and figures; the paper is light or dark."""
    page, _ = opened(pages(type, models), color_scheme=scheme)
    found = page.evaluate(COLOURS)
    assert (luminance(found["paper"]) > 0.5) == (scheme == "light")
    assert found["inks"]
    assert min(contrast(found["paper"], colour) for colour in {*found["inks"], *found["texts"]}) >= 4.5
    drawn = {colour for colour in found["lines"] if colour != "none"}
    assert sum(contrast(found["paper"], colour) >= 3 for colour in drawn) >= 1, "curves stand out too"


@pytest.mark.parametrize(("type", "models"), KINDS)
def test_a_report_fits_a_phone(opened: Callable[..., Any], pages: Callable[..., str], type: Any, models: Any) -> None:
    """Nothing but tables in boxes of their own is wider than the screen, and the figures' text keeps a size to read."""
    page, _ = opened(pages(type, models), viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    heights = page.evaluate(
        '[...document.querySelectorAll("svg text")].map(text => text.getBoundingClientRect().height)'
    )
    assert min(heights) >= 8


@pytest.mark.parametrize(("type", "models"), KINDS)
def test_a_report_prints_on_white(
    opened: Callable[..., Any], pages: Callable[..., str], type: Any, models: Any
) -> None:
    """Also where the screen is dark; the whole of it comes out as pages of paper."""
    page, _ = opened(pages(type, models), color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    found = page.evaluate(COLOURS)
    assert luminance(found["paper"]) > 0.9
    assert min(contrast(found["paper"], colour) for colour in {*found["inks"], *found["texts"]}) >= 4.5
    printed = page.pdf(format="A4", print_background=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 12


@pytest.mark.parametrize(("type", "models"), KINDS)
def test_each_figure_has_words(opened: Callable[..., Any], pages: Callable[..., str], type: Any, models: Any) -> None:
    """A screen reader finds each figure as a picture, with its title and what it shows."""
    page, _ = opened(pages(type, models))
    pictures = page.get_by_role("img").all()
    assert len(pictures) == page.locator("svg").count() > 0
    for picture in pictures:
        label = picture.get_attribute("aria-labelledby")
        assert len(page.locator(f"#{label}").inner_text()) > 20
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize(("type", "models"), KINDS)
def test_nothing_runs_and_nothing_is_fetched(
    opened: Callable[..., Any], pages: Callable[..., str], type: Any, models: Any
) -> None:
    """Labels and names that are markup are shown as text; the page asks for nothing but itself."""
    page, seen = opened(pages(type, models))
    assert seen == [f"request {pages(type, models)}"]
    assert page.title() == "Evaluation report: ml-1"
    assert NASTY[2] in page.inner_text("h1")
    if type == "MULTICLASS":
        assert NASTY[0] in page.inner_text("table.matrix")
        assert page.locator("svg text", has_text="$x^{$").count() >= 1
