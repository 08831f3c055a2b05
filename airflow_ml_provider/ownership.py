"""Whose an endpoint is, and who takes it down: it costs money while it exists.

A task writes down that it is about to create an endpoint before it does so, and the endpoint's ``CreatedAt`` after.
Airflow 3.3 keeps that over the tries of a task in its task state store. Before 3.3 an XCom of the task keeps it over
the deferrals of one try, and nothing outlives a killed try: an endpoint that one left counts as somebody else's, and is
kept.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

from airflow_ml_provider.resources import endpoint_info

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import JSON, RealtimeEndpoint
    from airflow_ml_provider.waiting import Wait

log = logging.getLogger(__name__)

KEY = "machine_learning_realtime_endpoint"
TAKE_DOWN_SECONDS = 25.0  # below Airflow's [triggerer] on_kill_timeout of 30


class Store(Protocol):
    """What of Airflow 3.3's task state store is used here."""

    def get(self, key: str) -> JSON: ...

    def set(self, key: str, value: JSON) -> None: ...

    def delete(self, key: str) -> None: ...


class TaskInstance(Protocol):
    """What of a running task instance is used here."""

    task_id: str
    map_index: int

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> object: ...

    def xcom_push(self, key: str, value: object) -> None: ...


class XComs:
    """The task's own XComs in a store's place; they last until the next try begins."""

    def __init__(self, task_instance: TaskInstance) -> None:
        self._task_instance = task_instance

    def get(self, key: str) -> JSON:
        task = self._task_instance
        return cast("JSON", task.xcom_pull(task_ids=task.task_id, key=key, map_indexes=task.map_index))

    def set(self, key: str, value: JSON) -> None:
        self._task_instance.xcom_push(key=key, value=value)

    def delete(self, key: str) -> None:
        self.set(key, False)  # Airflow 3 and 2 have no call in common that deletes one XCom


def _store(context: Context) -> Store | None:
    if (store := context.get("task_state_store")) is not None:
        return cast("Store", store)
    task_instance = cast("TaskInstance | None", context.get("ti"))
    return None if task_instance is None else XComs(task_instance)


def remember(context: Context, ml_model_id: str, created_at: str | None = None) -> None:
    """Write down that the endpoint is made by this task: without a time before Create, with it after."""
    if (store := _store(context)) is not None:
        store.set(KEY, {"MLModelId": ml_model_id, "CreatedAt": created_at})


def forget(context: Context) -> None:
    """Write down that no endpoint is this task's to take down."""
    if (store := _store(context)) is not None and store.get(KEY):
        store.delete(KEY)


def is_remembered(context: Context, endpoint: RealtimeEndpoint) -> bool:
    """Tell whether an earlier try of this task made the endpoint that exists now."""
    store = _store(context)
    made = None if store is None else store.get(KEY)
    if not isinstance(made, dict) or made["MLModelId"] != endpoint["MLModelId"]:
        return False
    return made["CreatedAt"] in (None, endpoint.get("CreatedAt"))


def _is_gone(hook: MachineLearningClientHook, wait: Wait) -> bool:
    """Tell by one look whether the endpoint that the task made is gone, or another one in its place.

    While Create was not answered, or the look is not, nobody knows, and it is not gone.
    """
    if not wait.created_at:
        return False
    try:
        now = endpoint_info(hook.get(wait.resource, wait.resource_id, wait.deadline))
    except Exception as error:
        log.info("%s: whether it is still the task's own is not known: %s", wait, error)
        return False
    return now["EndpointStatus"] == "NONE" or now.get("CreatedAt") != wait.created_at


def take_down(hook: MachineLearningClientHook, wait: Wait) -> bool:
    """Delete the endpoint that a task made; that this fails is logged, and hides no other error.

    One that somebody else has made in its place meanwhile is not deleted.

    :returns: whether nothing of the task is left.
    """
    from airflow_ml_provider import waiting

    started = waiting.now()
    last = replace(wait, deadline=started + TAKE_DOWN_SECONDS, started=started, delay=1, failures=0)
    if _is_gone(hook, last):
        log.info("%s: the one that the task made is gone already", wait)
        return True
    try:
        waiting.persist(
            last, lambda: hook.call_once("DeleteRealtimeEndpoint", last.deadline, MLModelId=wait.resource_id)
        )
    except Exception:
        log.exception("%s could not be deleted, and costs money until somebody deletes it", wait)
        return False
    log.info("%s: deleted, since the task that made it has failed", wait)
    return True
