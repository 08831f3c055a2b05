"""Build HTML from elements of the standard library, which escapes every text and attribute."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote
from xml.etree.ElementTree import Element, tostring

from amazon_ml_local.clock import LATEST_DATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Child: TypeAlias = Element | str
STYLESHEET = "/_local/page.css"
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def element(tag: str, *children: Child, **attributes: str) -> Element:
    """Return an element; an attribute whose name is a Python keyword ends in ``_``."""
    made = Element(tag, {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()})
    for child in children:
        if not isinstance(child, str):
            made.append(child)
        elif len(made):  # ElementTree keeps a text that follows a child as that child's tail
            made[-1].tail = (made[-1].tail or "") + child
        else:
            made.text = (made.text or "") + child
    return made


def document(title: str, *children: Child) -> bytes:
    """Return a whole HTML page."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} – Amazon ML Local"),
        element("link", rel="stylesheet", href=STYLESHEET),
        element("link", rel="icon", href="data:,"),
    )
    header = element("header", element("a", "Amazon ML Local", href="/"))
    body = element("body", header, element("main", element("h1", title), *children))
    page = tostring(element("html", head, body, lang="en"), encoding="unicode", method="html")
    # An id of a refused request, which the index shows, may have a lone surrogate.
    return f"<!doctype html>\n{page}\n".encode(errors="replace")


def section(title: str, *children: Child) -> Element:
    """Return a section of a page with its heading."""
    return element("section", element("h2", title), *children)


def table(label: str, headings: Sequence[str], rows: Iterable[Sequence[Child]], class_: str = "") -> Element:
    """Return a table whose first column is the headers of the rows; a wide table scrolls, also by keyboard."""
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in others))
        for first, *others in rows
    ]
    if not body:
        return element("p", "None.", class_="quiet")
    whole = element("table", element("thead", head), element("tbody", *body), class_=class_)
    return element("div", whole, class_="wide", tabindex="0", role="region", aria_label=label)


def facts(values: Mapping[str, Child]) -> Element:
    """Return a list of names with their values."""
    return element(
        "dl", *(child for name, value in values.items() for child in (element("dt", name), element("dd", value)))
    )


def link(kind: str, entity_id: str, region: str) -> Element:
    """Return a link to the page of an entity."""
    return element("a", entity_id, href=address(kind, entity_id, region))


def address(kind: str, entity_id: str, region: str, more: str = "") -> str:
    """Return the path of an entity's page."""
    return f"/_local/{kind}/{quote(entity_id, safe='')}{more}?region={quote(region, safe='')}"


def status(text: str) -> Element:
    """Return a status as a word in a colour."""
    return element("span", text, class_=f"status {text.lower()}")


def time_text(seconds: float) -> str:
    """Return a time of the service as text."""
    return f"{datetime.fromtimestamp(min(seconds, LATEST_DATE), UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(seconds: float) -> str:
    """Return an age in its largest unit, as text."""
    return next((f"{seconds / unit:,.1f} {name}" for unit, name in UNITS if seconds >= unit), f"{seconds:.0f} s")
