"""Deploy several models, predict with each, and take all endpoints down, by dynamic task mapping."""

from __future__ import annotations

# [START mapped]
from airflow_ml_provider.compat import DAG
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

MODELS = ["ml-churn", "ml-churn-2"]
RECORD = {"age": 42, "months": 3, "calls": 5}

with DAG("mapped", schedule=None, default_args={"retries": 2, "waiter_max_attempts": 60}) as dag:
    create = MachineLearningCreateRealtimeEndpointOperator.partial(task_id="create").expand(ml_model_id=MODELS)
    predict = MachineLearningPredictOperator.partial(task_id="predict", record=RECORD).expand(ml_model_id=MODELS)
    delete = MachineLearningDeleteRealtimeEndpointOperator.partial(task_id="delete", created_by="create").expand(
        ml_model_id=MODELS
    )
    create >> predict >> delete.as_teardown(setups=create)
    delete.trigger_rule = "all_done"
# [END mapped]
