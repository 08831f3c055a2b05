"""Deploy a model, predict for one customer, and delete the endpoint."""

from datetime import datetime

from airflow_ml_provider.compat import DAG  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

with DAG("churn", schedule=None, start_date=datetime(2026, 1, 1), default_args={"ml_model_id": "ml-churn"}) as dag:
    create = MachineLearningCreateRealtimeEndpointOperator(task_id="create", waiter_delay=30)
    predict = MachineLearningPredictOperator(
        task_id="predict", endpoint_url=create.output["EndpointUrl"], record={"months": 3}
    )
    delete = MachineLearningDeleteRealtimeEndpointOperator(task_id="delete", created_by="create")
    create >> predict >> delete.as_teardown(setups=create)
