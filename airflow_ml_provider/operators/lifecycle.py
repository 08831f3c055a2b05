"""Create, get, change and delete: the bases of the operators of the four kinds of resource that have a ``Status``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from airflow_ml_provider import errors
from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.operation import MachineLearningOperator, MachineLearningWaitingOperator
from airflow_ml_provider.resources import WAITERS, Resource, describe

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import Description, Event, Outcome
    from airflow_ml_provider.waiting import Wait

MAX_ID_LENGTH = 64
NOT_FOUND = "ResourceNotFoundException"
MISMATCH = "IdempotentParameterMismatchException"


def deterministic_id(context: Context) -> str:
    """Return an id made of Dag, task, run and map index: the same on every retry, another in every run.

    :raises InvalidArgument: outside of a Dag run.
    """
    import hashlib
    import json

    task_instance = context.get("ti")
    if task_instance is None:
        raise InvalidArgument(
            "an id may be left out only in a Dag run, since it is made of Dag, task, run and map index"
        )
    identity = [getattr(task_instance, name) for name in ("dag_id", "task_id", "run_id", "map_index")]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    readable = re.sub("[^a-zA-Z0-9_.-]+", "-", ".".join(identity[:2]))
    return f"{readable[: MAX_ID_LENGTH - len(digest) - 1]}-{digest}"


def failure_code(error: AirflowException) -> str:
    """Return AWS's code of the error by which a request failed; empty if no request failed."""
    return error.code if isinstance(error, errors.RequestFailed) else ""


class MachineLearningCreateOperator(MachineLearningWaitingOperator):
    """Create a resource, and wait until it is COMPLETED.

    Safe to retry: a Create with the id and the parameters of an existing resource changes nothing. A FAILED resource
    keeps its id, and fails the task even with ``wait_for_completion=False``.

    :param if_exists: what to do when a resource has this id already. ``skip`` goes on with it if its parameters are
        the same, and fails otherwise. ``replace`` too, but deletes and creates it again if it is FAILED or its
        parameters differ (AWS does not document that the id of a deleted resource can be used again). ``fail`` fails,
        even if an earlier try of this task created it.
    """

    def __init__(self, *, if_exists: Literal["skip", "replace", "fail"] = "skip", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if if_exists not in ("skip", "replace", "fail"):
            raise InvalidArgument(f"if_exists: {if_exists!r}; it must be 'skip', 'replace' or 'fail'")
        self.if_exists = if_exists

    @property
    def id_argument(self) -> str:
        """The argument with the id of the resource."""
        from airflow_ml_provider.service_model import argument_name

        return argument_name(WAITERS[self.waiter].id_member)

    def find_resource_id(self, context: Context) -> str:
        """Return the id that the argument holds, or if it was left out, one that every try of the task has."""
        if getattr(self, self.id_argument) is None:
            return deterministic_id(context)
        return self.check_id(self.id_argument)

    def execute(self, context: Context) -> str:
        id_argument, resource_id = self.id_argument, self.find_resource_id(context)
        request = self.request(**{id_argument: resource_id})
        wait = self.start_wait(resource_id)
        self.create(wait, request)
        self.log.info("%s: the service has accepted %s", wait, self.operation)
        if self.wait_for_completion:
            return self.push_result(context, wait, self.wait_or_defer(wait, "execute_complete"))
        return self.push_result(context, wait, self.final_outcome_now(wait))

    def execute_complete(self, context: Context, event: Event) -> str:
        """Go on after the deferred wait."""
        from airflow_ml_provider.waiting import Wait

        return self.push_result(context, Wait.from_json(event["wait"]), event["outcome"])

    def create(self, wait: Wait, request: Mapping[str, object]) -> None:
        """Create the resource, or go on with an existing one, by ``if_exists``.

        :raises AirflowException: when one exists that ``if_exists`` allows neither to use nor to replace.
        """
        status = None if self.if_exists == "skip" else self.existing(wait).get("Status")
        if self.if_exists == "fail" and status not in (None, "DELETED"):
            raise AirflowException(f"{wait}: it exists already, with status {status}; if_exists='skip' would use it")
        if self.if_exists == "replace" and status == "FAILED":
            self.delete(wait)
        try:
            self.request_with_retries(wait, self.operation, request)
        except AirflowException as error:
            if self.if_exists != "replace" or failure_code(error) != MISMATCH:
                raise
            self.delete(wait)
            self.request_with_retries(wait, self.operation, request)

    def delete(self, wait: Wait) -> None:
        """Delete the resource before it is created again."""
        self.log.info("%s: it is FAILED or has other parameters; deleting it to create it again", wait)
        self.request_with_retries(wait, f"Delete{wait.resource.name}", {wait.resource.id_member: wait.resource_id})

    def existing(self, wait: Wait) -> Description:
        """Return the description of the resource with this id; empty when there is none."""
        try:
            answer = self.request_with_retries(wait, wait.resource.get, {wait.resource.id_member: wait.resource_id})
        except AirflowException as error:
            if failure_code(error) == NOT_FOUND:
                return {}
            raise
        return describe(wait.resource, answer)

    def final_outcome_now(self, wait: Wait) -> Outcome | None:
        """Poll once, and return how the resource has ended, or None if it has not.

        For a task that does not wait: a resource that existed, and that Create left as it is, may be FAILED. A poll
        without an answer does not fail such a task.
        """
        outcome = self.poll(wait)
        return outcome if outcome and outcome["kind"] in ("success", "failure") else None

    def push_result(self, context: Context, wait: Wait, outcome: Outcome | None) -> str:
        """Push each member of the description under its own key, and return the id."""
        description = self.raise_unless_success(outcome) if outcome else {}
        self.push_members(context, {wait.resource.id_member: wait.resource_id, **description})
        # The one poll of a task that does not wait may have failed, and then has shown no status.
        status: Description = {} if wait.error else {wait.resource.status_member: wait.status}
        self.remember({wait.resource.id_member: wait.resource_id, **status, **description})
        return wait.resource_id

    def raise_unless_success(self, outcome: Outcome) -> Description:
        """As in the base class; the error of a wait that failed also says how to go on."""
        hint = ". The id stays taken: mend the cause, then use if_exists='replace' or another id"
        message = outcome["message"]
        if outcome["kind"] == "failure":
            message = message.rstrip(".") + hint
        return super().raise_unless_success({**outcome, "message": message})


class MachineLearningGetOperator(MachineLearningOperator):
    """Return the description of a resource: times in ISO 8601, without ``LogUri``; each member is also an XCom."""

    resource: ClassVar[Resource]
    returns_members = True

    def execute(self, context: Context) -> Description:
        return self.remember(describe(self.resource, self.call(self.request())))


class MachineLearningChangeOperator(MachineLearningOperator):
    """Change a resource, and return its id."""

    id_member: ClassVar[str]

    def execute(self, context: Context) -> str:
        changed = cast("str", self.call(self.request())[self.id_member])
        self.remember({self.id_member: changed})
        return changed


class MachineLearningDeleteOperator(MachineLearningChangeOperator):
    """Delete a resource, and return its id; one that does not exist counts as deleted."""

    def execute(self, context: Context) -> str:
        try:
            deleted = super().execute(context)
        except AirflowException as error:
            if failure_code(error) != NOT_FOUND:
                raise
            self.log.info("There was nothing to delete: %s", error)
            deleted = str(self.request()[self.id_member])
        self.remember({self.id_member: deleted, "Status": "DELETED"})
        return deleted
