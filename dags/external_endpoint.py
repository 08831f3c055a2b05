"""Wait for an endpoint that somebody else creates, and predict with it as soon as it is READY.

``ml_model_id`` is their model, ``record`` the record to predict for: variable → value.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_ml_provider.compat import DAG, Param  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator
from airflow_ml_provider.sensors.machine_learning import (
    MachineLearningMLModelSensor,
    MachineLearningRealtimeEndpointSensor,
)

with DAG(
    "external_endpoint",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "ml_model_id": Param("their-model", type="string", description="the id of their model"),
        "record": Param(
            {"age": 42, "months": 3, "calls": 5}, type="object", description="what to predict for: variable to value"
        ),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    render_template_as_native_obj=True,
    doc_md=__doc__,
    tags=["amazon machine learning"],
) as dag:
    # [START howto_ml_model_sensor]
    trained = MachineLearningMLModelSensor(
        task_id="trained",
        ml_model_id="{{ params.ml_model_id }}",
        mode="reschedule",
        poke_interval=60,
        timeout=6 * 60 * 60,
    )
    # [END howto_ml_model_sensor]

    # [START howto_realtime_endpoint_sensor]
    ready = MachineLearningRealtimeEndpointSensor(
        task_id="ready",
        ml_model_id="{{ params.ml_model_id }}",
        deferrable=True,
        poke_interval=30,
        timeout=60 * 60,
    )
    # [END howto_realtime_endpoint_sensor]

    predict = MachineLearningPredictOperator(
        task_id="predict",
        ml_model_id=ready.output["MLModelId"],
        record="{{ params.record }}",
        endpoint_url=ready.output["EndpointUrl"],
    )
    trained >> ready
