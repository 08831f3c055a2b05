"""A Dag file costs nothing: what importing our modules loads, and what it must not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import airflow_ml_provider

PACKAGE = Path(airflow_ml_provider.__file__).parent
DAG_MODULES = sorted(
    f"airflow_ml_provider.{path.parent.name}.{path.stem}"
    for folder in ("operators", "sensors")
    for path in (PACKAGE / folder).glob("*.py")
    if path.stem != "__init__"
)
HEAVY = (
    "boto3",
    "botocore",
    "jinja2.ext",
    "airflow.triggers.base",
    "airflow.providers.amazon",
    "airflow_ml_provider.hooks.machine_learning",
    "amazon_ml_local",
    "airflow_ml_provider.predicting",
    "airflow_ml_provider.report",
    "airflow_ml_provider.scoring",
    "matplotlib",
    "sklearn",
    "numpy",
    "moto",
)


def run(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


def test_operators_and_sensors_load_nothing_heavy() -> None:
    """No boto3, no hook and no trigger base before a task runs, beyond what Airflow's own bases load."""
    code = f"""
import importlib, sys
from airflow_ml_provider import compat
for name in ("BaseOperator", "BaseSensorOperator", "conf", "DAG", "PokeReturnValue", "TaskDeferred"):
    getattr(compat, name)
before = set(sys.modules)
for module in {DAG_MODULES!r}:
    importlib.import_module(module)
print(sorted(set({HEAVY!r}) & (set(sys.modules) - before)))
"""
    assert run(code) == "[]"


def test_boto_is_not_loaded_at_all() -> None:
    """After importing every operator and sensor neither boto3 nor botocore is there."""
    code = f"""
import importlib, sys
for module in {DAG_MODULES!r}:
    importlib.import_module(module)
print(sorted({{"boto3", "botocore"}} & set(sys.modules)))
"""
    assert run(code) == "[]"


@pytest.mark.parametrize("module", ["airflow_ml_provider", "amazon_ml_local"])
def test_root_and_local_load_no_airflow(module: str) -> None:
    """The root imports nothing of Airflow, and Amazon ML Local runs without it."""
    assert run(f"import sys, {module}\nprint('airflow' in sys.modules)") == "False"
