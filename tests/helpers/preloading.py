"""Import what the tasks of the tests use: the processes that a preloaded executor or worker forks need not."""

from __future__ import annotations

from contextlib import suppress

import airflow_ml_provider.hooks.machine_learning
import airflow_ml_provider.operators.prediction
import airflow_ml_provider.operators.realtime_endpoint
import airflow_ml_provider.ownership
import airflow_ml_provider.predicting.predictor
import airflow_ml_provider.sensors.machine_learning  # noqa: F401

with suppress(ImportError):  # Airflow 2 has none
    import airflow.sdk.execution_time.task_runner  # noqa: F401
