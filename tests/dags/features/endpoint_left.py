"""A Dag that leaves the endpoint of ``ml_model_id`` behind."""

from __future__ import annotations

from datetime import datetime

from airflow_ml_provider.compat import DAG
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator

with DAG("endpoint_left", schedule=None, start_date=datetime(2026, 1, 1), params={"ml_model_id": ""}) as dag:
    MachineLearningCreateRealtimeEndpointOperator(task_id="create", ml_model_id="{{ params.ml_model_id }}")
