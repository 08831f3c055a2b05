"""The documents: snippets are what the example Dags have, and links lead somewhere."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPET = re.compile(r"<!-- (?P<file>dags/\w+\.py) (?P<name>\w+) -->\n```python\n(?P<code>.*?)```\n", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")
MARKED = re.compile(r" *# \[START (\w+)\]\n(.*?)\n *# \[END \1\]\n", re.DOTALL)


def marked(path):
    """Give what stands between the markers of a Dag file, by name."""
    return {name: textwrap.dedent(code).strip() for name, code in MARKED.findall(path.read_text())}


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_snippets_are_what_the_dags_have(page):
    """A snippet under ``<!-- dags/file.py marker -->`` is, word for word, what stands there."""
    for snippet in SNIPPET.finditer(page.read_text()):
        assert snippet["code"].strip() == marked(ROOT / snippet["file"])[snippet["name"]], snippet["name"]


def test_every_marker_is_shown():
    """What is marked in a Dag is in a document, and each document says so in the same way."""
    text = "".join(page.read_text() for page in PAGES)
    shown = {(found["file"], found["name"]) for found in SNIPPET.finditer(text)}
    there = {(name(path), marker) for path in (ROOT / "dags").glob("*.py") for marker in marked(path)}
    assert shown == there
    assert len(SNIPPET.findall(text)) == len(re.findall("<!-- dags/", text))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page):
    """A relative link names a file that is there."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
