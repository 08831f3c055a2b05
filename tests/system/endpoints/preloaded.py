"""The executor of the endpoint matrix: its tasks are forked with everything imported that they use."""

from __future__ import annotations

from airflow.executors.local_executor import LocalExecutor

import tests.helpers.preloading  # noqa: F401 - imported for the tasks that are forked


class PreloadedExecutor(LocalExecutor):
    """LocalExecutor, whose processes are the scheduler's children."""
