"""A Dag whose mapped creates run after their delete tasks, of which the second has deleted nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_ml_provider.compat import DAG, AirflowSkipException
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

MODELS = ["ml-1", "ml-2"]


def skip_the_second(context: Any) -> None:
    """Skip the instance for the second model."""
    if context["ti"].map_index == 1:
        raise AirflowSkipException


with DAG("late_creates", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    delete = MachineLearningDeleteRealtimeEndpointOperator.partial(
        task_id="delete", created_by="create", pre_execute=skip_the_second
    ).expand(ml_model_id=MODELS)
    create = MachineLearningCreateRealtimeEndpointOperator.partial(
        task_id="create", wait_for_completion=False, trigger_rule="all_done"
    ).expand(ml_model_id=MODELS)
    delete >> create
