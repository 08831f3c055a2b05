"""Dags for the tests with real Airflow processes: each makes an endpoint, deferred, with its own connection."""

from __future__ import annotations

from datetime import timedelta

from airflow_ml_provider.compat import DAG
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator

for name in ("named", "worker_only", "missing"):
    with DAG(f"connection_{name}", schedule=None) as dag:
        MachineLearningCreateRealtimeEndpointOperator(
            task_id="create",
            ml_model_id="{{ dag_run.conf['models'][0] }}",
            aws_conn_id=name,
            region_name="us-east-1",
            deferrable=True,
            waiter_delay=2,
            waiter_max_attempts=60,
            retries=2 if name == "named" else 1,
            retry_delay=timedelta(seconds=1),
        )
    globals()[dag.dag_id] = dag
