"""A Dag that reports, and would delete, the endpoint that its own run has made."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_ml_provider.compat import DAG
from airflow_ml_provider.operators.endpoints_report import MachineLearningEndpointsReportOperator
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator

with DAG("endpoint_in_use", schedule=None, start_date=datetime(2026, 1, 1), params={"ml_model_id": ""}) as dag:
    create = MachineLearningCreateRealtimeEndpointOperator(task_id="create", ml_model_id="{{ params.ml_model_id }}")
    create >> MachineLearningEndpointsReportOperator(
        task_id="report", delete_older_than=timedelta(0), is_dry_run=False, aws_conn_ids=["aws_default"]
    )
