"""The base of the operator that creates an endpoint: it deletes the endpoint if the task fails or is killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import AIRFLOW_3, AirflowException, AirflowFailException, TaskDeferred, task_states
from airflow_ml_provider.operators.operation import MachineLearningWaitingOperator

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.ownership import Claim
    from airflow_ml_provider.waiting import Wait

DELETING = ("running", "deferred", "success")  # the states of a delete task that has read the claims, or is about to


class MachineLearningClaimingOperator(MachineLearningWaitingOperator):
    """Delete the endpoint of ``ml_model_id`` if the task that creates it fails or is killed.

    A claim (see ``ownership``) records whether this task has created the endpoint.

    :param delete_on_failure: whether to delete an endpoint that this task created and that did not become READY.
    """

    ml_model_id: str
    ends_on_kill = True  # until the task's work is done, or its endpoint is being deleted

    def __init__(self, *, delete_on_failure: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delete_on_failure = delete_on_failure

    def new_claim(self, context: Context, wait: Wait) -> Claim:
        """Return the running task's claim on the endpoint, which is not held yet."""
        from airflow_ml_provider.ownership import Claim

        return Claim.of(self.hook, wait, context)

    @contextmanager
    def delete_endpoint_on_failure(self, claim: Claim) -> Iterator[None]:
        """Delete the endpoint if this task created it and the block fails, times out or gets SIGTERM.

        Even with ``delete_on_failure=False`` it is deleted if nobody else would do so, and the claim if the service has
        refused every attempt at Create.
        """
        self.ends_on_kill = True
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException as error:
            self.ends_on_kill = False
            if self.delete_on_failure or claim.refused or claim.is_last:
                claim.delete_own_endpoint(is_killed=isinstance(error, SystemExit))
            raise
        finally:
            self.ends_on_kill = False

    def on_kill(self) -> None:
        """Raise SystemExit, so that the task creates nothing more, and deletes the endpoint that it has created.

        Airflow 3 calls this in its handler of SIGTERM and then lets the task go on; SystemExit counts as a failure that
        may be retried. Airflow 2 ends the task by itself; there SystemExit would undo that somebody marked it.
        """
        if AIRFLOW_3 and self.ends_on_kill:
            raise SystemExit(128 + signal.SIGTERM)

    def on_deferral_failed(self, context: Context, reason: str) -> NoReturn:
        """Delete the endpoint, if this task created it, after a deferral that Airflow itself ended."""
        from airflow_ml_provider.deleting import DELETE_SECONDS

        wait = self.new_wait(self.waiter, self.check_id("ml_model_id"), delay=1, timeout=DELETE_SECONDS)
        claim = self.new_claim(context, wait)
        with self.delete_endpoint_on_failure(claim):
            try:
                claim.resume()
            except Exception:
                self.log.exception("%s: kept, since its claims cannot be read; it costs money while it exists", wait)
            super().on_deferral_failed(context, reason)  # raises, so that the endpoint is deleted

    @property
    def delete_tasks(self) -> list[str]:
        """The ids of the Dag's tasks that delete the endpoint that this one creates."""
        tasks = self.dag.tasks if self.get_dag() else []
        # A mapped task holds its arguments in ``partial_kwargs``, any other in attributes.
        creators = {task.task_id: getattr(task, "partial_kwargs", vars(task)).get("created_by") for task in tasks}
        return [task_id for task_id, created_by in creators.items() if created_by == self.task_id]

    def check_before_create(self, context: Context, claim: Claim) -> None:
        """Raise AirflowFailException if the delete task has begun; what begins later, ``claim.is_late`` has in view."""
        claim.checked_at = CLOCK.now()
        self.check_delete_task(context, claim.register.wait)

    def check_delete_task(self, context: Context, wait: Wait, what: str = "not created") -> None:
        """Raise AirflowFailException if the delete task has begun already, so that it may not delete the endpoint.

        That happens to a create task that was cleared alone, and on Airflow 2, which may report one killed try more
        than once: the later reports make it run a task again that has succeeded meanwhile.

        :param what: what has become of the endpoint, for the message.
        """
        delete_tasks = self.delete_tasks if "ti" in context else []  # outside of a Dag run no other task can have run
        states = [state for task_id in delete_tasks for state in self.delete_states(context, task_id)]
        if states and all(state in DELETING for state in states):
            raise AirflowFailException(
                f"{wait}: {what}, since {', '.join(delete_tasks)} has already begun in this Dag run and would "
                f"not delete it. Clear {self.task_id} with its downstream tasks"
            )

    def check_not_taken_over(self, context: Context, claim: Claim) -> None:
        """Raise an AirflowException if nobody else would delete the endpoint, since this task has ended meanwhile.

        That happens to a try that Airflow had given up and that wakes again, such as on a frozen worker: between its
        first look at the endpoint and its Create the delete task has begun, or the last try has failed.
        """
        claim.is_last = True
        self.check_delete_task(context, claim.register.wait, "created too late")
        states = task_states(context, self.task_id, context["ti"].map_index) if "ti" in context else []
        if "failed" in states:
            raise AirflowException(
                f"{claim.register.wait}: created too late, since the last try of {self.task_id} has failed"
            )
        claim.is_last = False

    def delete_states(self, context: Context, task_id: str) -> list[str | None]:
        """Return the states of those instances of a delete task that may delete this task's endpoint.

        If both tasks are mapped alike, that is the one with this task's map index; any instance otherwise.
        """
        is_mapped_alike = _mapping(self.dag.get_task(task_id)) == _mapping(self.dag.get_task(self.task_id))
        return task_states(context, task_id, context["ti"].map_index if is_mapped_alike else None)


def _mapping(task: Any) -> tuple[object, object]:
    """Return what a task's map indexes count: its mapped task group, and the arguments that it is expanded over."""
    group = task.get_closest_mapped_task_group()
    expanded = getattr(getattr(task, "expand_input", None), "value", None)
    # The order of the arguments decides which map index their combinations get.
    return group and group.group_id, list(expanded.items()) if isinstance(expanded, dict) else expanded
