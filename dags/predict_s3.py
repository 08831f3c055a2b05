"""Score a file in S3 with a trained model, at an endpoint that exists during the run only.

The file is CSV with a header. The run's parameters are the model, the file, and the URI for the predictions.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_ml_provider.compat import DAG, Param  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

MODEL = "{{ params.ml_model_id }}"

with DAG(
    "predict_s3",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "ml_model_id": Param("ml-1", type="string", description="the id of a trained model"),
        "source_uri": Param(
            "s3://amazon-ml-demo/records.csv", type="string", description="a CSV file with a header and a column id"
        ),
        "output_uri": Param(
            "s3://amazon-ml-demo/predictions.csv", type="string", description="where the predictions are to go"
        ),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    doc_md=__doc__,
    tags=["amazon machine learning"],
) as dag:
    create_endpoint = MachineLearningCreateRealtimeEndpointOperator(
        task_id="create_endpoint", ml_model_id=MODEL, waiter_delay=5, waiter_max_attempts=360
    )
    # [START howto_predict_s3]
    predict = MachineLearningPredictS3Operator(
        task_id="predict",
        ml_model_id=MODEL,
        source_uri="{{ params.source_uri }}",
        output_uri="{{ params.output_uri }}",
        key_columns=["id"],
        max_errors=10,
        max_predictions=1_000_000,
    )
    # [END howto_predict_s3]
    delete_endpoint = MachineLearningDeleteRealtimeEndpointOperator(
        task_id="delete_endpoint", ml_model_id=MODEL, created_by="create_endpoint"
    ).as_teardown(setups=create_endpoint)

    create_endpoint >> predict >> delete_endpoint
