"""Whether Airflow has given up a task whose deferral it ended."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from airflow_ml_provider.compat import AIRFLOW_3
from airflow_ml_provider.payloads import TRIGGER_FAILED
from airflow_ml_provider.triggers.threads import in_thread

# The states in which a task neither needs its endpoint nor will run again. Airflow skips the unfinished tasks of a run
# that has timed out.
GIVEN_UP = frozenset({"failed", "skipped", "upstream_failed", "removed"})


class TaskInstanceKey(Protocol):
    """What identifies a task instance."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int


async def is_given_up(task: TaskInstanceKey) -> bool:
    """Return whether a task that was stopped while deferred has failed for good, or was deleted with its run.

    A task that was marked as success keeps its endpoint, and the next try of a cleared task goes on with it.
    """
    return await in_thread(partial(_state_in_airflow_3 if AIRFLOW_3 else _state_in_airflow_2, task)) in GIVEN_UP


def _state_in_airflow_3(task: TaskInstanceKey) -> str | None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(
        dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], map_index=task.map_index
    )
    return next(iter(states.get(task.run_id, {}).values()), "removed")


def _state_in_airflow_2(task: TaskInstanceKey) -> str | None:
    """Return the state from the database, to which a triggerer of Airflow 2 is connected.

    A task whose deferral Airflow has ended (``execution_timeout``) counts as failed: it fails when it resumes.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        found = (
            session.query(TaskInstance.state, TaskInstance.next_method)
            .filter_by(dag_id=task.dag_id, task_id=task.task_id, run_id=task.run_id, map_index=task.map_index)
            .one_or_none()
        )
    if not found:
        return "removed"
    state, next_method = found
    return "failed" if next_method == TRIGGER_FAILED else state
