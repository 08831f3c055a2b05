"""What differs between Airflow's versions is known in one module, and what is too old is told so in one sentence."""

from __future__ import annotations

import ast
import asyncio
import importlib
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from airflow.exceptions import AirflowNotFoundException  # type: ignore[attr-defined] # Airflow imports it lazily

import airflow_ml_provider
from airflow_ml_provider import compat

pytestmark = pytest.mark.core

PACKAGE = Path(airflow_ml_provider.__file__).parent
NAMES = sorted(compat._PLACES)
OTHERS = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "compat.py")
VERSIONED = {"__version__", "version_info", "hexversion", "hasattr"}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_and_not_deprecated(name: Any) -> None:
    """On each Airflow it comes from where that version keeps it, without a warning of its own."""
    vars(compat).pop(name, None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert getattr(compat, name) is not None
    assert not [warning for warning in caught if name in str(warning.message)]


def test_an_unknown_name_is_an_attribute_error() -> None:
    """So ``hasattr`` and ``from compat import`` behave as with any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = compat.nothing


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_else_asks_for_a_version(path: Any) -> None:
    """No other module reads a version, looks whether Airflow has a name, or tries an import that may fail."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = {getattr(node, "id", None), getattr(node, "attr", None)}
        names |= {alias.name for alias in getattr(node, "names", ()) if isinstance(alias, ast.alias)}
        assert not names & VERSIONED, ast.unparse(node)
        if isinstance(node, ast.ExceptHandler) and node.type:
            assert not {"ImportError", "ModuleNotFoundError"} & set(ast.unparse(node.type).split()), node.lineno


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_else_looks_whether_airflow_has_a_module(path: Any) -> None:
    """What looks for a module that may be missing looks for an extra's."""
    for function in ast.walk(ast.parse(path.read_text())):
        text = ast.unparse(function) if isinstance(function, ast.FunctionDef) else ""
        if "find_spec(" in text or "import_module(" in text:
            assert "'airflow." not in text


@pytest.mark.parametrize(
    ("python", "airflow", "sentence"),
    [
        ((3, 12, 1), "2.10.3", "airflow-ml-provider needs Apache Airflow 2.11 or newer; this is 2.10.3."),
        ((3, 10, 13), "2.11.0", "airflow-ml-provider needs Python 3.11 or newer; this is 3.10.13."),
    ],
)
def test_what_is_too_old_is_told_so(python: tuple[Any, ...], airflow: str, sentence: str, tmp_path: Path) -> None:
    """Where pip was bypassed, the first import of an operator says what is needed and what is there."""
    (tmp_path / "airflow.py").write_text(f"__version__ = {airflow!r}")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(PACKAGE.parent)!r}]; sys.version_info = {python}; "
        f"sys.version = {'.'.join(map(str, python))!r}; import airflow_ml_provider.operators.realtime_endpoint"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert found.stderr.splitlines()[-1] == f"ImportError: {sentence}"


def test_a_connection_is_found_from_an_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a trigger looks it up; the lookup holds the credentials of the connection that is named."""
    monkeypatch.setenv("AIRFLOW_CONN_NAMED", "aws://id:secret@/")
    assert asyncio.run(compat.get_async_connection("named")).login == "id"


def test_a_connection_that_is_missing_is_an_error() -> None:
    """It is never replaced by whatever credentials are around."""
    with pytest.raises(AirflowNotFoundException, match="missing"):
        asyncio.run(compat.get_async_connection("missing"))


def test_what_moved_is_offered() -> None:
    """Whatever has a place is in ``__all__``."""
    assert set(NAMES) <= set(compat.__all__)


def test_the_flags_follow_the_version() -> None:
    """They say what this Airflow has, not what its number is."""
    base = importlib.import_module("airflow.triggers.base")
    assert hasattr(base, "BaseEventTrigger") == compat.AIRFLOW_3
    assert hasattr(base.BaseTrigger, "on_kill") == compat.AIRFLOW_3_3
