"""A task instance without Airflow's database."""

from __future__ import annotations

import json
from typing import Any


class TaskInstance:
    """What operators use of a task instance: its ids, and the XComs of its run, which hold plain JSON types."""

    def __init__(
        self,
        task_id: str = "create",
        *,
        dag_id: str = "dag",
        run_id: str = "run",
        map_index: int = -1,
        xcoms: dict[tuple[str, int, str], Any] | None = None,
    ) -> None:
        self.dag_id, self.task_id, self.run_id, self.map_index = dag_id, task_id, run_id, map_index
        self.xcoms = {} if xcoms is None else xcoms

    def xcom_push(self, key: str, value: object) -> None:
        json.dumps(value)
        self.xcoms[self.task_id, self.map_index, key] = value

    def xcom_pull(self, *, task_ids: list[str], key: str) -> list[Any]:
        return [value for (task_id, _, other), value in self.xcoms.items() if task_id in task_ids and other == key]

    @property
    def pushed(self) -> dict[str, Any]:
        """What this task has pushed, by its key."""
        own = (self.task_id, self.map_index)
        return {key: value for (*pusher, key), value in self.xcoms.items() if tuple(pusher) == own}
