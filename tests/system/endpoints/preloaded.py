"""The executor of the endpoint matrix: its tasks are forked with everything imported that they use."""

from __future__ import annotations

from contextlib import suppress

from airflow.executors.local_executor import LocalExecutor

import airflow_ml_provider.hooks.machine_learning
import airflow_ml_provider.operators.prediction
import airflow_ml_provider.operators.realtime_endpoint
import airflow_ml_provider.ownership
import airflow_ml_provider.predicting.predictor
import airflow_ml_provider.sensors.machine_learning  # noqa: F401

with suppress(ImportError):  # Airflow 3
    import airflow.sdk.execution_time.task_runner  # noqa: F401


class PreloadedExecutor(LocalExecutor):
    """LocalExecutor, whose processes are the scheduler's children."""
