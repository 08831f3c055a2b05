"""Mapped tasks that are deferred, one of which fails."""

from __future__ import annotations

from datetime import datetime

from airflow_ml_provider.compat import DAG
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator

with DAG("links", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    MachineLearningCreateRealtimeEndpointOperator.partial(
        task_id="create", deferrable=True, waiter_delay=0.1, waiter_max_attempts=1000
    ).expand(ml_model_id=["ml-1", "unknown", "ml-failed"])
