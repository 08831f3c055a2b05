"""The layers of CONTRIBUTING.md hold: every import runs down the list, and no modules import each other in a circle."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = {"airflow_ml_provider": ROOT, "amazon_ml_local": ROOT / "local"}


def layers(package: str) -> list[str]:
    """Return the package's layers as CONTRIBUTING.md lists them, the highest first."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (block,) = re.findall(rf"```text\n{package}\n(.*?)```", text, re.DOTALL)
    return [f"{package}.{name}" for line in block.splitlines() for name in line.split("#")[0].split()]


def modules(package: str) -> dict[str, Path]:
    """Return the package's modules, by dotted name."""
    source = SOURCES[package]
    files = (source / package).rglob("*.py")
    names = {".".join(path.relative_to(source).with_suffix("").parts): path for path in files}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules that a file imports, at the top, late or for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update((names & known.keys()) or {node.module})
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # import_module takes a module's name as text
    return found & known.keys()


def layer(name: str, order: list[str]) -> int:
    """Return the place of a module in the list; its own line counts before its package's."""
    places = [place for place, entry in enumerate(order) if name == entry or name.startswith(f"{entry}.")]
    assert places, f"{name} stands in no layer"
    return max(places, key=lambda place: len(order[place]))


@pytest.mark.parametrize("package", SOURCES)
def test_imports_run_down_the_layers(package: str) -> None:
    """A module imports from its own layer and from lower ones, late and typed imports included."""
    order, known = layers(package), modules(package)
    upward = [
        f"{name} imports {target}"
        for name, path in known.items()
        for target in imports(path, known) - {name, package}
        if name != package and layer(target, order) < layer(name, order)
    ]
    assert upward == []


@pytest.mark.parametrize("package", SOURCES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    """The imports of a package have an order, late and typed ones included; graphlib names a circle."""
    known = modules(package)
    TopologicalSorter({name: imports(path, known) - {name} for name, path in known.items()}).prepare()


@pytest.mark.parametrize("package", SOURCES)
def test_every_layer_exists(package: str) -> None:
    """Each name in the list is a module or a package."""
    assert set(layers(package)) <= set(modules(package))
