"""What the operators of data sources, models, evaluations and batch predictions share: make, read, change, delete."""

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

ID_LENGTH = 64
NOT_FOUND = "ResourceNotFoundException"
MISMATCH = "IdempotentParameterMismatchException"


def deterministic_id(context: Context) -> str:
    """Make an id of Dag, task, run and map index: the same on every retry, another in every run.

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
    return f"{readable[: ID_LENGTH - len(digest) - 1]}-{digest}"


def code(error: AirflowException) -> str:
    """Return AWS's name of the error behind a failure; empty when AWS was not the cause."""
    return error.code if isinstance(error, errors.RequestFailed) else ""


class MachineLearningCreateOperator(MachineLearningWaitingOperator):
    """Create something that takes its time, and wait until it is COMPLETED.

    Safe to retry: AWS takes the same id with the same parameters for the same thing. What FAILED keeps its id, and is
    never reported as done, not even with waiting off.

    :param if_exists: what to do when there is something with this id: ``skip`` goes on with it, when its parameters
        are the same; ``replace`` does so too, but deletes one that FAILED or has other parameters, and makes it anew
        (that a deleted id can be used again is not documented by AWS); ``fail`` fails, even for what an earlier try
        of this very task made.
    """

    def __init__(self, *, if_exists: Literal["skip", "replace", "fail"] = "skip", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if if_exists not in ("skip", "replace", "fail"):
            raise InvalidArgument(f"if_exists: {if_exists!r}; it must be 'skip', 'replace' or 'fail'")
        self.if_exists = if_exists

    def thing_id(self, context: Context) -> str:
        return deterministic_id(context) if getattr(self, self.id_argument) is None else self.check_id(self.id_argument)

    def execute(self, context: Context) -> str:
        id_argument, resource_id = self.id_argument, self.thing_id(context)
        request = self.request(**{id_argument: resource_id})
        wait = self.start_wait(resource_id)
        self.create(wait, request)
        self.log.info("%s: created", wait)
        if self.wait_for_completion:
            return self.push_result(context, wait, self.wait_or_defer(wait, "execute_complete"))
        return self.push_result(context, wait, self.final_outcome_now(wait))

    def execute_complete(self, context: Context, event: Event) -> str:
        """Go on after the deferred wait."""
        from airflow_ml_provider.waiting import Wait

        return self.push_result(context, Wait.from_json(event["wait"]), event["outcome"])

    @property
    def id_argument(self) -> str:
        """The argument with the id of what is made."""
        from airflow_ml_provider.service_model import argument_name

        return argument_name(WAITERS[self.waiter].id_member)

    def create(self, wait: Wait, request: Mapping[str, object]) -> None:
        """Create the thing, or go on with one that exists, as ``if_exists`` says.

        :raises AirflowException: when something exists that may neither be used nor replaced.
        """
        status = None if self.if_exists == "skip" else self.present(wait).get("Status")
        if self.if_exists == "fail" and status not in (None, "DELETED"):
            raise AirflowException(f"{wait}: it exists already, with status {status}; if_exists='skip' would use it")
        if self.if_exists == "replace" and status == "FAILED":
            self.delete(wait)
        try:
            self.request_with_retries(wait, self.operation, request)
        except AirflowException as error:
            if self.if_exists != "replace" or code(error) != MISMATCH:
                raise
            self.delete(wait)
            self.request_with_retries(wait, self.operation, request)

    def delete(self, wait: Wait) -> None:
        """Delete what is to be made anew."""
        self.log.info("%s: FAILED, or made with other parameters; deleting it to make it anew", wait)
        self.request_with_retries(wait, f"Delete{wait.resource.name}", {wait.resource.id_member: wait.resource_id})

    def present(self, wait: Wait) -> Description:
        """Return what the service says of the thing now; empty when there is none."""
        try:
            answer = self.request_with_retries(wait, wait.resource.get, {wait.resource.id_member: wait.resource_id})
        except AirflowException as error:
            if code(error) == NOT_FOUND:
                return {}
            raise
        return describe(wait.resource, answer)

    def final_outcome_now(self, wait: Wait) -> Outcome | None:
        """Look once, with waiting off, whether the id belongs to something that has FAILED."""
        outcome = self.look(wait)
        return outcome if outcome and outcome["kind"] in ("success", "failure") else None

    def push_result(self, context: Context, wait: Wait, outcome: Outcome | None) -> str:
        """Push each member of the description under its own key, and return the id."""
        learnt = self.raise_unless_success(outcome) if outcome else {}
        self.push(context, {wait.resource.id_member: wait.resource_id, **learnt})
        self.saw({wait.resource.id_member: wait.resource_id, wait.resource.status: wait.status, **learnt})
        return wait.resource_id

    def raise_unless_success(self, outcome: Outcome) -> Description:
        """Return what was seen at the end of the wait.

        :raises AirflowException: when it did not end well.
        """
        hint = ". The id stays taken: mend the cause, then use if_exists='replace' or another id"
        message = outcome["message"]
        if outcome["kind"] == "failure":
            message = message.rstrip(".") + hint
        return super().raise_unless_success({**outcome, "message": message})


class MachineLearningGetOperator(MachineLearningOperator):
    """Return a resource's description: times in ISO 8601, without ``LogUri``; each member is an XCom of its own too."""

    resource: ClassVar[Resource]
    returns_members = True

    def execute(self, context: Context) -> Description:
        return self.saw(describe(self.resource, self.call(self.request())))


class MachineLearningChangeOperator(MachineLearningOperator):
    """Change a thing, and return its id."""

    id_member: ClassVar[str]

    def execute(self, context: Context) -> str:
        changed = cast("str", self.call(self.request())[self.id_member])
        self.saw({self.id_member: changed})
        return changed


class MachineLearningDeleteOperator(MachineLearningChangeOperator):
    """Delete a thing, which its Get then says is DELETED; what does not exist counts as deleted."""

    def execute(self, context: Context) -> str:
        try:
            deleted = super().execute(context)
        except AirflowException as error:
            if code(error) != NOT_FOUND:
                raise
            self.log.info("There was nothing to delete: %s", error)
            deleted = str(self.request()[self.id_member])
        self.saw({self.id_member: deleted, "Status": "DELETED"})
        return deleted
