"""The operators, sensors and triggers that provider info names, for tests that walk over all of them."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, TypeVar

import airflow.triggers.base

from airflow_ml_provider.get_provider_info import get_provider_info
from airflow_ml_provider.operators.base import MachineLearningBase
from airflow_ml_provider.sensors.base import MachineLearningSensor

T = TypeVar("T")

INFO: dict[str, Any] = get_provider_info()
NEEDS_AIRFLOW_3 = [] if hasattr(airflow.triggers.base, "BaseEventTrigger") else ["airflow_ml_provider.triggers.event"]


def module_names(section: str) -> list[str]:
    """Return the modules in a section of provider info."""
    return [name for entry in INFO.get(section, []) for name in entry["python-modules"]]


def classes(section: str, base: type[T]) -> list[type[T]]:
    """Return the public classes that the modules in a section of provider info define."""
    modules = [importlib.import_module(name) for name in module_names(section) if name not in NEEDS_AIRFLOW_3]
    return [
        found
        for module in modules
        for name, found in vars(module).items()
        if inspect.isclass(found)
        and issubclass(found, base)
        and found.__module__ == module.__name__
        and not name.startswith("_")
    ]


OPERATORS: list[type[Any]] = classes("operators", MachineLearningBase)
SENSORS: list[type[Any]] = classes("sensors", MachineLearningSensor)


def own_arguments(found: type) -> dict[str, inspect.Parameter]:
    """Return the explicit arguments of a class's own ``__init__``."""
    signature = inspect.signature(vars(found)["__init__"])
    return {
        name: parameter
        for name, parameter in signature.parameters.items()
        if name != "self" and parameter.kind is parameter.KEYWORD_ONLY
    }


def class_name(found: type) -> str:
    """Return the name of a class, as the id of a test."""
    return found.__name__
