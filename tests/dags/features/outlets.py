"""Tasks with outlets: of each kind that makes, waits for or deletes something, one skipped, and some that fail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_ml_provider.compat import DAG, Asset
from airflow_ml_provider.operators.ml_model import (
    MachineLearningCreateMLModelOperator,
    MachineLearningDeleteMLModelOperator,
)
from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor


def arguments(task_id: str) -> dict[str, Any]:
    """Return a task's arguments, with an asset of the task's name."""
    return {"task_id": task_id, "outlets": [Asset(task_id)]}


with DAG(
    "outlets",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"waiter_delay": 0.1, "waiter_max_attempts": 1000, "poke_interval": 0.1},
) as dag:
    train = MachineLearningCreateMLModelOperator(
        **arguments("train"), ml_model_id="trained", ml_model_type="BINARY", training_data_source_id="ds-1"
    )
    not_waited = MachineLearningCreateRealtimeEndpointOperator(
        **arguments("not_waited"), ml_model_id=train.output, wait_for_completion=False
    )
    ready = MachineLearningRealtimeEndpointSensor(**arguments("ready"), ml_model_id="trained")
    deferred = MachineLearningCreateRealtimeEndpointOperator(
        **arguments("deferred"), ml_model_id="ml-1", deferrable=True, do_xcom_push=False
    )
    predict = MachineLearningPredictS3Operator(
        **arguments("predict"),
        ml_model_id="trained",
        source_uri="s3://amazon-ml-demo/records.csv",
        output_uri="s3://amazon-ml-demo/out.csv",
        key_columns=["id"],
    )
    delete_endpoint = MachineLearningDeleteRealtimeEndpointOperator(
        **arguments("delete_endpoint"), ml_model_id="trained"
    )
    delete = MachineLearningDeleteMLModelOperator(**arguments("delete"), ml_model_id="trained")
    not_waited >> ready >> predict >> delete_endpoint >> delete

    MachineLearningRealtimeEndpointSensor(**arguments("skipped"), ml_model_id="unknown", soft_fail=True)
    MachineLearningCreateRealtimeEndpointOperator.partial(**arguments("mapped")).expand(ml_model_id=["ml-1", "unknown"])
    MachineLearningCreateRealtimeEndpointOperator(**arguments("failed"), ml_model_id="unknown")
