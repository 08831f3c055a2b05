"""Deploy a trained model, predict, and delete the endpoint: the task that creates the endpoint waits until it is READY.

It waits in the triggerer, which costs no worker.
"""

from __future__ import annotations

# [START readme_short]
from airflow_ml_provider.compat import DAG
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

with DAG("deploy_and_predict_short", schedule=None, default_args={"retries": 2, "ml_model_id": "ml-churn"}) as dag:
    create = MachineLearningCreateRealtimeEndpointOperator(task_id="create", deferrable=True)
    predict = MachineLearningPredictOperator(
        task_id="predict", endpoint_url=create.output["EndpointUrl"], record={"age": 42, "months": 3, "calls": 5}
    )
    delete = MachineLearningDeleteRealtimeEndpointOperator(task_id="delete", created_by="create")
    create >> predict >> delete.as_teardown(setups=create)
# [END readme_short]
