"""Store claims on endpoints: in tags of the MLModel, or if access to tags is denied, in Airflow.

In Airflow a claim goes to two places. The task state store (3.3) outlives the tries of a task, but only that task can
read it. An XCom can be read by other tasks, but is deleted when the next try begins.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from airflow_ml_provider import errors, retrying
from airflow_ml_provider.claim_tag import KEY, ClaimTag, in_utc, key_of, new_claim_tag, parse
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.resources import answered_at, endpoint_info

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import JSON, RealtimeEndpoint
    from airflow_ml_provider.waiting import Wait

log = logging.getLogger(__name__)


class TaskInstance(Protocol):
    """The part of a running task instance that is used here."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    try_number: int

    def xcom_pull(self, *, task_ids: list[str], key: str) -> Iterable[object] | None: ...

    def xcom_push(self, key: str, value: object) -> None: ...


class Store(Protocol):
    """The part of Airflow 3.3's task state store that is used here."""

    def get(self, key: str) -> JSON: ...

    def set(self, key: str, value: JSON) -> None: ...


class Register:
    """Read and write the claims on the endpoint of one model; get and delete the endpoint.

    ``service_time`` is the service's own time at the last call on tags; empty when its answer had none.

    :param wait: names the model; transient errors are retried until its deadline.
    :param context: the context of the running task; None in the triggerer. Outside of a Dag run nothing is stored.
    """

    def __init__(self, hook: MachineLearningClientHook, wait: Wait, context: Context | None = None) -> None:
        self.hook, self.wait = hook, wait
        self.task_instance = cast("TaskInstance | None", (context or {}).get("ti"))
        self.service_time = ""
        self._store = cast("Store | None", (context or {}).get("task_state_store"))
        is_outside_of_run = context is not None and self.task_instance is None
        # The operations on tags that the service has refused.
        self._refused = {"DescribeTags"} if is_outside_of_run else set[str]()

    def with_deadline(self, deadline: float) -> Register:
        """Return a copy whose calls are retried every second until another deadline."""
        other, started = copy(self), CLOCK.now()
        other.wait = replace(self.wait, deadline=deadline, started=started, delay=1, failures=0)
        return other

    def new_claim_tag(self) -> ClaimTag:
        """Return a new claim of the running try; outside of a Dag run one without a key."""
        ti = self.task_instance
        return new_claim_tag(ti.dag_id, ti.task_id, ti.run_id, ti.map_index, ti.try_number) if ti else ClaimTag()

    def read(self, task_id: str | None = None) -> list[ClaimTag]:
        """Return the claims in tags, if access to them is not denied, and those that Airflow stores for one task.

        :param task_id: the task whose claims are read from Airflow too; default is the running one.
        """
        answer = self._call_on_tags("DescribeTags") or {}
        tags = cast("Sequence[Mapping[str, str]]", answer.get("Tags") or [])
        return [claim for tag in [*tags, *self._read_from_airflow(task_id)] if (claim := parse(tag))]

    def of_task(self, task_id: str) -> list[ClaimTag]:
        """Return the claims of another task in the same run, of all its map indexes and tries."""
        if not (ti := self.task_instance):
            return []
        key = key_of(ti.dag_id, task_id, ti.run_id)
        return [claim for claim in self.read(task_id) if claim.instance == key or claim.instance.startswith(f"{key}:")]

    def write(self, *claims: ClaimTag) -> None:
        """Store claims; those made outside of a Dag run have no key and are not stored."""
        tags = [claim.to_tag() for claim in claims if claim.key]
        if tags and self._call_on_tags("AddTags", Tags=tags) is None:
            self._write_to_airflow(tags)

    def delete(self, *claims: ClaimTag) -> None:
        """Delete claims; that of the running try is overwritten by an empty one if Airflow stores it."""
        keys = list(dict.fromkeys(claim.key for claim in claims if claim.key))
        if keys:
            self._call_on_tags("DeleteTags", TagKeys=keys)
        own = self.new_claim_tag().key
        if self._refused and own in keys:
            self._write_to_airflow([{"Key": own, "Value": ""}])

    def endpoint(self) -> RealtimeEndpoint:
        """Return the present info of the endpoint."""
        return endpoint_info(self._call("GetMLModel", MLModelId=self.wait.resource_id))

    def _call(self, operation: str, **request: object) -> dict[str, object]:
        """Call an operation; its retries are counted apart from those of the call that they may stand in."""
        call = partial(self.hook.call_once, operation, self.wait.deadline, **request)
        attempts = replace(self.wait, failures=0, error="")
        try:
            return retrying.retry_until_deadline(attempts, call)
        finally:
            self.wait.calls = attempts.calls

    def _call_on_tags(self, operation: str, **request: object) -> Mapping[str, object] | None:
        """Call an operation on the model's tags; return None if the service refuses it, now or earlier.

        What cannot be read is not written either.
        """
        if {"DescribeTags", operation} & self._refused:
            return None
        try:
            answer = self._call(operation, ResourceId=self.wait.resource_id, ResourceType="MLModel", **request)
        except Exception as error:
            if not errors.is_refusal(error):
                raise
            log.info("%s: tags record its creator in part at most: %s is refused: %s", self.wait, operation, error)
            self._refused.add(operation)
            self.service_time = _earliest_time(getattr(error, "response", {}))
            return None
        self.service_time = _earliest_time(answer)
        return answer

    @property
    def _airflow_key(self) -> str:
        return f"{KEY}:{self.wait.resource_id}"

    def _write_to_airflow(self, tags: list[dict[str, str]]) -> None:
        """Store tags for the running task; of several on one model only the last stays."""
        for tag in tags:
            if self._store is not None:
                self._store.set(self._airflow_key, cast("JSON", tag))
            if self.task_instance is not None:
                self.task_instance.xcom_push(key=self._airflow_key, value=tag)

    def _read_from_airflow(self, task_id: str | None) -> list[Mapping[str, str]]:
        """Return the tags in the XComs of a task, by default the running one, and in the running task's state store."""
        if self.task_instance is None:
            return []
        task_ids = [task_id or self.task_instance.task_id]
        found: list[object] = [*(self.task_instance.xcom_pull(task_ids=task_ids, key=self._airflow_key) or [])]
        if self._store is not None:
            found.append(self._store.get(self._airflow_key))
        return [cast("Mapping[str, str]", tag) for tag in found if isinstance(tag, Mapping)]


def _earliest_time(answer: Mapping[str, object]) -> str:
    """Return the earliest time at which the service may have answered, a second before ``answered_at``; or empty.

    The second allows for the missing fractions, and for ``CreatedAt`` coming from another host's clock.
    """
    time = answered_at(answer)
    return in_utc(time.isoformat(), after=-1) if time else ""
