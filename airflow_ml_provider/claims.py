"""Keep claims on endpoints: in tags of the MLModel, or where those are denied, in Airflow.

Airflow has the task state store (3.3), which outlives the tries of a task but is the task's alone, and an XCom, which
other tasks can read but which lasts only until the next try begins.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from airflow_ml_provider import errors, retrying
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.owners import KEY, Owner, in_utc, key_of, parse
from airflow_ml_provider.resources import endpoint_info

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import JSON, RealtimeEndpoint
    from airflow_ml_provider.waiting import Wait

log = logging.getLogger(__name__)


class TaskInstance(Protocol):
    """What of a running task instance is used here."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int

    def xcom_pull(self, *, task_ids: list[str], key: str) -> Iterable[object] | None: ...

    def xcom_push(self, key: str, value: object) -> None: ...


class Store(Protocol):
    """What of Airflow 3.3's task state store is used here."""

    def get(self, key: str) -> JSON: ...

    def set(self, key: str, value: JSON) -> None: ...


class Register:
    """The claims on one model's endpoint, where they are kept.

    :param wait: names the model; until its deadline calls are repeated through errors that pass.
    :param context: of the running task; None in the triggerer. Outside of a Dag run nothing is kept.
    """

    def __init__(self, hook: MachineLearningClientHook, wait: Wait, context: Context | None = None) -> None:
        self.hook, self.wait = hook, wait
        self.task_instance = cast("TaskInstance | None", (context or {}).get("ti"))
        self.time = ""
        self._store = cast("Store | None", (context or {}).get("task_state_store"))
        self._denied = context is not None and self.task_instance is None

    def until(self, deadline: float) -> Register:
        """Return the same for calls until another deadline, a second apart."""
        other, started = copy(self), CLOCK.now()
        other.wait = replace(self.wait, deadline=deadline, started=started, delay=1, failures=0)
        return other

    def read(self, task_id: str | None = None) -> list[Owner]:
        """Return all claims; where tags are denied, only those that Airflow keeps for a task.

        :param task_id: the task whose kept claims are read too; default is the running one.
        """
        answer = self._tags("DescribeTags") or {}
        tags = cast("Sequence[Mapping[str, str]]", answer.get("Tags") or [])
        return [owner for tag in [*tags, *self._kept(task_id)] if (owner := parse(tag))]

    def of_task(self, task_id: str) -> list[Owner]:
        """Return the claims of another task in the same run, those of all its map indexes."""
        if not (ti := self.task_instance):
            return []
        key = key_of(ti.dag_id, task_id, ti.run_id)
        return [owner for owner in self.read(task_id) if owner.key == key or owner.key.startswith(f"{key}:")]

    def write(self, *owners: Owner) -> None:
        """Write claims down, unless they are nobody's: outside of a Dag run."""
        tags = [owner.to_tag() for owner in owners if owner.key]
        if tags and self._tags("AddTags", Tags=tags) is None:
            self._keep(tags)

    def erase(self, *owners: Owner) -> None:
        """Remove claims."""
        keys = [owner.key for owner in owners if owner.key]
        if keys and self._tags("DeleteTags", TagKeys=keys) is None:
            self._keep([{"Key": key, "Value": ""} for key in keys])

    def endpoint(self) -> RealtimeEndpoint:
        """Return the endpoint as it is now."""
        return endpoint_info(self._call("GetMLModel", MLModelId=self.wait.resource_id))

    def delete_endpoint(self) -> None:
        """Delete the endpoint."""
        self._call("DeleteRealtimeEndpoint", MLModelId=self.wait.resource_id)

    def _call(self, operation: str, **request: object) -> dict[str, object]:
        call = partial(self.hook.call_once, operation, self.wait.deadline, **request)
        return retrying.retry_until_deadline(self.wait, call)

    def _tags(self, operation: str, **request: object) -> Mapping[str, object] | None:
        """Call an operation on the model's tags; None where the service refuses it."""
        if self._denied:
            return None
        try:
            answer = self._call(operation, ResourceId=self.wait.resource_id, ResourceType="MLModel", **request)
        except Exception as error:
            if not errors.is_refusal(error):
                raise
            log.info("%s: Airflow keeps who made it, since %s is refused: %s", self.wait, operation, error)
            self._denied, answer = True, getattr(error, "response", {})
        self.time = _date_of(answer)
        return None if self._denied else answer

    @property
    def _kept_as(self) -> str:
        return f"{KEY}:{self.wait.resource_id}"

    def _keep(self, tags: list[dict[str, str]]) -> None:
        for tag in tags:
            if self._store is not None:
                self._store.set(self._kept_as, cast("JSON", tag))
            if self.task_instance is not None:
                self.task_instance.xcom_push(key=self._kept_as, value=tag)

    def _kept(self, task_id: str | None) -> list[Mapping[str, str]]:
        if self.task_instance is None:
            return []
        task_ids = [task_id or self.task_instance.task_id]
        kept: list[object] = [*(self.task_instance.xcom_pull(task_ids=task_ids, key=self._kept_as) or [])]
        if self._store is not None:
            kept.append(self._store.get(self._kept_as))
        return [cast("Mapping[str, str]", tag) for tag in kept if isinstance(tag, Mapping)]


def _date_of(answer: Mapping[str, object]) -> str:
    """Return an answer's ``Date``, less a second: it has no fractions, and another host's clock than ``CreatedAt``."""
    metadata = cast("Mapping[str, Mapping[str, str]]", answer.get("ResponseMetadata") or {})
    date = metadata.get("HTTPHeaders", {}).get("date")
    return in_utc(parsedate_to_datetime(date).isoformat(), after=-1) if date else ""
