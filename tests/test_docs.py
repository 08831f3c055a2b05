"""The documents say what the code does now: snippets, links, modules, commands."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (ROOT / "airflow_ml_provider", ROOT / "local" / "amazon_ml_local")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "local" / "README.md"])
SNIPPET = re.compile(r"<!-- (?P<file>dags/\w+\.py) (?P<name>\w+) -->\n```python\n(?P<code>.*?)```\n", re.DOTALL)
WHOLE = re.compile(r"<!-- (?P<file>docs/testing/[\w/.]+) -->\n```python\n(?P<code>.*?)```\n", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")
MARKED = re.compile(r" *# \[START (\w+)\]\n(.*?)\n *# \[END \1\]\n", re.DOTALL)


def marked(path: Path) -> dict[str, Any]:
    """Return what stands between the markers of a Dag file, by name."""
    return {name: textwrap.dedent(code).strip() for name, code in MARKED.findall(path.read_text())}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_snippets_are_what_the_dags_have(page: Any) -> None:
    """A snippet under ``<!-- dags/file.py marker -->`` is what stands there; pages import from Airflow 3's SDK."""
    for snippet in SNIPPET.finditer(page.read_text()):
        code = marked(ROOT / snippet["file"])[snippet["name"]].replace("airflow_ml_provider.compat", "airflow.sdk")
        assert snippet["code"].strip() == code, snippet["name"]


def test_the_testing_page_shows_its_project() -> None:
    """Each file of the project in docs/testing stands in docs/testing.md, word for word."""
    shown = {found["file"]: found["code"] for found in WHOLE.finditer((ROOT / "docs" / "testing.md").read_text())}
    assert shown == {name(path): path.read_text() for path in (ROOT / "docs" / "testing").rglob("*.py")}


def test_every_marker_is_shown() -> None:
    """What is marked in a Dag is in a document, and each document says so in the same way."""
    text = "".join(page.read_text() for page in PAGES)
    shown = {(found["file"], found["name"]) for found in SNIPPET.finditer(text)}
    there = {(name(path), marker) for path in (ROOT / "dags").glob("*.py") for marker in marked(path)}
    assert shown == there
    assert len(SNIPPET.findall(text)) == len(re.findall("<!-- dags/", text))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Any) -> None:
    """A relative link names a file that is there."""
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


def purposes() -> dict[str, str]:
    """Return each module's path and the first line of its docstring."""
    files = [path for package in PACKAGES for path in package.rglob("*.py")]
    docstrings = {path: ast.get_docstring(ast.parse(path.read_text())) for path in files}
    return {name(path): text.split("\n")[0] for path, text in docstrings.items() if text}


def test_the_module_table_is_complete() -> None:
    """CONTRIBUTING.md lists every module with the purpose that its docstring states, and no other."""
    rows = re.findall(r"^\| `(.*\.py)` \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert dict(rows) == purposes()


def test_answers_name_what_is_there() -> None:
    """Each file that the table of questions names exists, and each function or class in that row is defined in one."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Where it happens")[1].split("##")[0]
    for row in re.findall(r"^\| [A-Z].*\? \| (.*) \|$", text, re.MULTILINE):
        quoted = re.findall(r"`([^`]+)`", row)
        sources = [(ROOT / file).read_text() for file in quoted if file.endswith(".py")]
        assert sources
        for symbol in quoted:
            if "/" not in symbol:
                definition = rf"(def|class) {symbol.rpartition('.')[2]}\b"
                assert any(re.search(definition, source) for source in sources), symbol


def test_commands_on_pages_are_targets_of_make() -> None:
    """README and CONTRIBUTING name no ``make`` command that the Makefile does not have."""
    targets = set(re.findall(r"^([a-z0-9.-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert set(re.findall(r"\bmake ((?:test|demo|up|help|lock|bench|install)[a-z0-9.-]*)", pages)) <= targets


def test_every_class_is_in_the_reference() -> None:
    """Each module with an operator, a sensor or a hook for users is read by the reference page."""
    text = (ROOT / "docs" / "reference.md").read_text()
    folders = [ROOT / "airflow_ml_provider" / folder for folder in ("operators", "sensors", "hooks")]
    modules = {path for folder in folders for path in folder.glob("*.py") if path.stem != "__init__"}
    public = {
        path
        for path in modules
        if re.search(r"^class MachineLearning\w+(Operator|Sensor|Hook)\b", path.read_text(), re.M)
    }
    shared = {"base", "operation", "lifecycle", "claiming"}
    for path in public:
        module = name(path).removesuffix(".py").replace("/", ".")
        assert path.stem in shared or f"automodule:: {module}\n" in text, module


def test_leaving_names_what_there_is() -> None:
    """Each class that the page names exists: ours, and the amazon provider's."""
    from importlib import import_module

    text = (ROOT / "docs" / "leaving.md").read_text()
    amazon = "airflow.providers.amazon.aws"
    modules = (
        "operators.sagemaker",
        "sensors.sagemaker",
        "hooks.sagemaker",
        "transfers.sql_to_s3",
        "transfers.redshift_to_s3",
    )
    there = {symbol for module in modules for symbol in vars(import_module(f"{amazon}.{module}"))}
    named = set(re.findall(r"`((?:SageMaker|Redshift|Sql)\w+?)(?:\(\)[^`]*)?`", text))
    assert named
    assert named <= there
    code = "".join(path.read_text() for package in PACKAGES for path in package.rglob("*.py"))
    for ours in re.findall(r"`(MachineLearning\w+)`", text):
        assert f"class {ours}(" in code
