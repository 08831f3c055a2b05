"""Import names that moved between Airflow 2.11 and 3.x; the only module that knows Airflow's versions.

Each name is imported when it is first used, so that a Dag file pays only for those that it uses. Flags and functions
here cover all other differences between the versions.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow import __version__

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import (
        DAG,
        Asset,
        BaseHook,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Connection,
        Context,
        Param,
        PokeReturnValue,
        dag,
        task,
    )
    from airflow.sdk._shared.secrets_masker import redact
    from airflow.sdk.bases.branch import BaseBranchOperator
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferred,
    )
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.sdk.log import mask_secret
    from airflow.sdk.types import TaskInstanceKey

__all__ = [
    "AIRFLOW_3",
    "AIRFLOW_3_3",
    "DAG",
    "VERSION",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "Asset",
    "BaseBranchOperator",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "Connection",
    "Context",
    "Param",
    "PokeReturnValue",
    "TaskDeferred",
    "TaskInstanceKey",
    "XCom",
    "conf",
    "dag",
    "first_rescheduled",
    "get_async_connection",
    "is_resumed",
    "is_run_active",
    "mask_secret",
    "redact",
    "task",
    "task_states",
]

VERSION = tuple(int(number) for number in re.findall(r"\d+", __version__)[:2])
AIRFLOW_3 = VERSION >= (3, 0)
AIRFLOW_3_3 = VERSION >= (3, 3)

if sys.version_info < (3, 11):  # noqa: UP036 - also for an installation that ignored python_requires
    raise ImportError(f"airflow-ml-provider needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
if VERSION < (2, 11):
    raise ImportError(f"airflow-ml-provider needs Apache Airflow 2.11 or newer; this is {__version__}.")

# Airflow version → the module that has the name since then; after a colon, what the name is called there.
_Places = dict[tuple[int, int], str]
_EXCEPTIONS: _Places = {(2, 11): "airflow.exceptions", (3, 2): "airflow.sdk.exceptions"}
_SENSORS: _Places = {(2, 11): "airflow.sensors.base", (3, 0): "airflow.sdk"}
_DECORATORS: _Places = {(2, 11): "airflow.decorators", (3, 0): "airflow.sdk"}
_PLACES: dict[str, _Places] = {
    **dict.fromkeys(
        (
            "AirflowException",
            "AirflowFailException",
            "AirflowNotFoundException",
            "AirflowSensorTimeout",
            "AirflowSkipException",
            "AirflowTaskTimeout",
            "TaskDeferred",
        ),
        _EXCEPTIONS,
    ),
    **dict.fromkeys(("BaseSensorOperator", "PokeReturnValue"), _SENSORS),
    **dict.fromkeys(("dag", "task"), _DECORATORS),
    "Asset": {(2, 11): "airflow.datasets:Dataset", (3, 0): "airflow.sdk"},
    "BaseOperator": {(2, 11): "airflow.models.baseoperator", (3, 0): "airflow.sdk"},
    "BaseOperatorLink": {(2, 11): "airflow.models.baseoperatorlink", (3, 0): "airflow.sdk"},
    "BaseBranchOperator": {
        (2, 11): "airflow.operators.branch",
        (3, 0): "airflow.providers.standard.operators.branch",
        (3, 2): "airflow.sdk.bases.branch",
    },
    "BaseHook": {(2, 11): "airflow.hooks.base", (3, 1): "airflow.sdk"},
    "Connection": {(2, 11): "airflow.models.connection", (3, 0): "airflow.sdk"},
    "Context": {(2, 11): "airflow.utils.context", (3, 0): "airflow.sdk"},
    "DAG": {(2, 11): "airflow.models.dag", (3, 0): "airflow.sdk"},
    "Param": {(2, 11): "airflow.models.param", (3, 0): "airflow.sdk"},
    "TaskInstanceKey": {(2, 11): "airflow.models.taskinstancekey", (3, 3): "airflow.sdk.types"},
    "XCom": {(2, 11): "airflow.models.xcom", (3, 0): "airflow.sdk.execution_time.xcom"},
    "conf": {(2, 11): "airflow.configuration", (3, 2): "airflow.sdk.configuration"},
    "mask_secret": {
        (2, 11): "airflow.utils.log.secrets_masker",
        (3, 0): "airflow.sdk.execution_time.secrets_masker",
        (3, 1): "airflow.sdk.log",
    },
    "redact": {
        (2, 11): "airflow.utils.log.secrets_masker",
        (3, 0): "airflow.sdk.execution_time.secrets_masker",
        (3, 1): "airflow.sdk._shared.secrets_masker",
        (3, 2): "airflow.sdk.log",
    },
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    newest = max(since for since in _PLACES[name] if since <= VERSION)
    module, _, attribute = _PLACES[name][newest].partition(":")
    value = globals()[name] = getattr(import_module(module), attribute or name)
    return value


async def get_async_connection(conn_id: str) -> Connection:
    """Return a connection without blocking the event loop.

    Airflow before 3.1 only has a blocking lookup, and 3.0 allows that one only in asgiref's thread.
    """
    from airflow_ml_provider.compat import BaseHook  # through __getattr__, which a global name would bypass

    if VERSION >= (3, 1):
        return await BaseHook.aget_connection(conn_id)
    from asgiref.sync import sync_to_async

    return await sync_to_async(BaseHook.get_connection)(conn_id)


def first_rescheduled(context: Context) -> datetime | None:
    """Return when the first run of a rescheduled task started; None in the first run itself on Airflow 3.

    On Airflow 2 ``start_date`` is the start of the first run.
    """
    ti = context.get("ti")
    if ti is None:
        return None
    return ti.get_first_reschedule_date(context) if AIRFLOW_3 else ti.start_date


def is_resumed(context: Context) -> bool:
    """Return whether a task resumes after a deferral."""
    ti = context.get("ti")
    state = getattr(ti, "_ti_context_from_server", None) if AIRFLOW_3 else ti  # Airflow 3 has no public name for it
    return bool(getattr(state, "next_method", None))


def task_states(context: Context, task_id: str, map_index: int | None = None) -> list[str | None]:
    """Return the states of a task's instances in the context's run; None of an instance that has not begun.

    :param map_index: of the one instance that is meant; None means all of them.
    """
    ti: Any = context["ti"]  # its class differs between the versions
    if AIRFLOW_3:
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id], map_index=map_index)
        return list(states.get(ti.run_id, {}).values())
    return [
        instance.state
        for instance in ti.get_dagrun().get_task_instances()
        if instance.task_id == task_id and map_index in (None, instance.map_index)
    ]


def is_run_active(context: Context, dag_id: str, run_id: str) -> bool:
    """Return whether a Dag run is queued or running; False for a run that this Airflow does not know."""
    states = ["queued", "running"]
    if AIRFLOW_3:
        return bool(context["ti"].get_dr_count(dag_id=dag_id, run_ids=[run_id], states=states))
    from airflow.models.dagrun import DagRun

    return any(run.state in states for run in DagRun.find(dag_id=dag_id, run_id=run_id))
