"""A task instance without Airflow's database, and the context of its task."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context

States = dict[tuple[str, int], str | None]  # task id and map index → state


class TaskInstance:
    """What operators use of a task instance: its ids, its run's XComs in plain JSON types and states."""

    def __init__(
        self,
        task_id: str = "create",
        *,
        dag_id: str = "dag",
        run_id: str = "run",
        map_index: int = -1,
        try_number: int = 1,
        xcoms: dict[tuple[str, int, str], Any] | None = None,
        states: States | None = None,
    ) -> None:
        self.dag_id, self.task_id, self.run_id, self.map_index = dag_id, task_id, run_id, map_index
        self.try_number = try_number
        self.xcoms = {} if xcoms is None else xcoms
        self.states = {} if states is None else states

    def xcom_push(self, key: str, value: object) -> None:
        json.dumps(value)
        self.xcoms[self.task_id, self.map_index, key] = value

    def xcom_pull(self, *, task_ids: list[str], key: str) -> list[Any]:
        return [value for (task_id, _, other), value in self.xcoms.items() if task_id in task_ids and other == key]

    def get_task_states(
        self, *, dag_id: str, task_ids: list[str], run_ids: list[str], map_index: int | None = None
    ) -> dict[str, Any]:
        """Return the states of task instances by run, as on Airflow 3, which ignores a negative ``map_index``."""
        wanted_index = -1 if map_index is None else map_index
        states = {
            task_id if index < 0 else f"{task_id}_{index}": state
            for (task_id, index), state in self.states.items()
            if task_id in task_ids and wanted_index in (index, -1)
        }
        return {self.run_id: states}

    def get_dagrun(self) -> Any:
        """Return the run with the states of its task instances, as on Airflow 2."""
        instances = [
            SimpleNamespace(task_id=task_id, map_index=index, state=state)
            for (task_id, index), state in self.states.items()
        ]
        return SimpleNamespace(get_task_instances=lambda: instances)

    @property
    def pushed(self) -> dict[str, Any]:
        """What this task has pushed, by its key."""
        own = (self.task_id, self.map_index)
        return {key: value for (*pusher, key), value in self.xcoms.items() if tuple(pusher) == own}


def context_of(ti: object, **members: object) -> Context:
    """Return the context of a task whose task instance is a stand-in, which has no more than the test needs."""
    return cast("Context", {"ti": ti, **members})
