"""A mapped task whose arguments are known to be wrong only when it runs."""

from __future__ import annotations

from datetime import timedelta

from airflow_ml_provider.compat import dag as make_dag
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator


@make_dag(schedule=None)
def mapped_wrong() -> None:
    """Wait with no pause between two looks."""
    MachineLearningCreateRealtimeEndpointOperator.partial(
        task_id="create", ml_model_id="ml-1", retries=2, retry_delay=timedelta(seconds=0)
    ).expand(waiter_delay=[0])


dag = mapped_wrong()
