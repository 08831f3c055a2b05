"""The documentation says what the code does now."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "airflow_ml_provider"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def purposes() -> dict[str, str]:
    """Give each module's path and the first line of its docstring."""
    docstrings = {path: ast.get_docstring(ast.parse(path.read_text())) for path in PACKAGE.rglob("*.py")}
    return {str(path.relative_to(PACKAGE)): text.split("\n")[0] for path, text in docstrings.items() if text}


def test_the_module_table_is_complete():
    """CONTRIBUTING.md lists every module with the purpose that its docstring states, and no other."""
    rows = re.findall(r"^\| `(.*\.py)` \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert dict(rows) == purposes()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    """A relative link names a file that is there."""
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing


def test_readme_names_every_command():
    """Each make target that has a description is one that the Makefile defines, and the README's commands are there."""
    targets = set(re.findall(r"^([a-z0-9.-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"\bmake ((?:test|demo|up|help|lock|bench|install)[a-z0-9.-]*)", pages)) <= targets


def test_the_readmes_dag_is_a_dag():
    """The first screen's Dag parses on this Airflow: three tasks, the last a teardown."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["predict"].upstream_task_ids == {"create"}
    assert names["delete"].is_teardown
