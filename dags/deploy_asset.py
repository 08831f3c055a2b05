"""Deploy a model, and announce its endpoint: the event of an asset carries the EndpointUrl to other Dags.

``predict_on_asset`` is such a Dag.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_ml_provider.compat import DAG, Asset, Param  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor

with DAG(
    "deploy_asset",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"ml_model_id": Param("their-model", type="string", description="the id of a trained model")},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    doc_md=__doc__,
    tags=["amazon machine learning"],
) as dag:
    # [START howto_outlet]
    create = MachineLearningCreateRealtimeEndpointOperator(
        task_id="create", ml_model_id="{{ params.ml_model_id }}", wait_for_completion=False
    )
    ready = MachineLearningRealtimeEndpointSensor(
        task_id="ready", ml_model_id=create.output["MLModelId"], poke_interval=10, outlets=[Asset("churn_endpoint")]
    )
    # [END howto_outlet]
