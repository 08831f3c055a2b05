"""The page of a report as text: it is whole, needs nothing else, and escapes what it shows."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_ml_provider.report.columns import ModelType
from airflow_ml_provider.report.page import page
from tests.helpers.reports import KINDS, NASTY, made_report

VOID = {"meta", "path", "use", "circle", "rect", "br", "line"}


class Parsed(HTMLParser):
    """The elements of a page; each that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@cache
def elements(type: Any, models: Any) -> list[tuple[str, dict[str, str | None]]]:
    """Return the elements of a page, whose figures take a while to draw."""
    return Parsed(page(made_report(type, models))).elements


@pytest.mark.parametrize(("type", "models"), KINDS)
def test_a_page_is_whole_and_needs_nothing_else(type: Any, models: Any) -> None:
    """No script, no event handler, nothing from elsewhere; what names of classes and models hold is text."""
    found = elements(type, models)
    assert not {"script", "img", "link", "iframe", "object"} & {tag for tag, _ in found}
    for _, attributes in found:
        assert not [name for name in attributes if name.startswith("on")]
        links = [attributes[name] or "" for name in ("href", "xlink:href", "src") if name in attributes]
        assert all(link.startswith("#") for link in links)


@pytest.mark.parametrize(("type", "models"), KINDS)
def test_inner_ids_are_unique(type: Any, models: Any) -> None:
    """Figures of one page do not take each other's clips and markers."""
    ids = [attributes["id"] for _, attributes in elements(type, models) if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_labels_are_shown_as_they_are() -> None:
    """Neither markup nor mathematics is made of them, in tables and in figures alike."""
    text = page(made_report("MULTICLASS"))
    assert "<script>" not in text
    assert "&lt;script&gt;document.title" in text
    assert "$x^{$ &amp;" in text
    assert NASTY[0] not in text


@pytest.mark.parametrize(("type", "models"), KINDS)
def test_a_report_is_plain_json(type: Any, models: Any) -> None:
    """So XCom, and any other program, can have it; no NaN is in it."""
    report = made_report(type, models)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


@pytest.mark.parametrize(("type", "most_kb"), [("BINARY", 100), ("MULTICLASS", 60), ("REGRESSION", 200)])
def test_a_page_of_many_rows_stays_small(type: ModelType, most_kb: int) -> None:
    """Curves are thinned and rows counted in cells, so the page does not grow with the rows."""
    assert len(page(made_report(type, rows=100_000))) < most_kb * 1024


def test_a_hundred_classes_have_a_page() -> None:
    """AWS's most."""
    text = page(made_report("MULTICLASS", names=[f"class {number}" for number in range(100)], rows=5000))
    assert len(re.findall("<td class=", text)) == 100 * 100
