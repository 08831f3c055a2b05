"""Deploy a trained model behind a realtime endpoint, wait until it is READY, predict, and delete it.

The plainest Dag: each step is a task of its own.
"""

from __future__ import annotations

# [START readme]
from airflow_ml_provider.compat import DAG
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor

with DAG("deploy_and_predict", schedule=None, default_args={"retries": 2, "ml_model_id": "ml-churn"}) as dag:
    create = MachineLearningCreateRealtimeEndpointOperator(task_id="create", wait_for_completion=False)
    ready = MachineLearningRealtimeEndpointSensor(task_id="ready", poke_interval=10, timeout=1800)
    predict = MachineLearningPredictOperator(
        task_id="predict", endpoint_url=ready.output["EndpointUrl"], record={"age": 42, "months": 3, "calls": 5}
    )
    delete = MachineLearningDeleteRealtimeEndpointOperator(task_id="delete", created_by="create")
    create >> ready >> predict >> delete.as_teardown(setups=create)
# [END readme]
