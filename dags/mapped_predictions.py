"""Map predictions over Airflow's workers by dynamic task mapping, at an endpoint that exists during the run only.

The data are scikit-learn's wine set: 178 wines of three cultivars, 13 measurements each.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from example_data import TARGET, read_rows, upload

from airflow_ml_provider.compat import DAG, Param, task  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.data_source import MachineLearningCreateDataSourceFromS3Operator
from airflow_ml_provider.operators.ml_model import MachineLearningCreateMLModelOperator
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

DATA = "s3://{{ params.bucket }}/{{ params.prefix }}/wine.csv"
TRAINING_PERCENT = 70


@task
def batches(data_uri: str, size: int = 20) -> list[list[dict[str, str]]]:
    """Return the records that the model has not seen, in batches."""
    records = read_rows(data_uri, TRAINING_PERCENT)
    for record in records:
        del record[TARGET]
    return [records[begin : begin + size] for begin in range(0, len(records), size)]


@task
def accuracy(data_uri: str, predicted: list[list[dict]]) -> float:
    """Return which part of the predictions is right."""
    labels = [prediction["predictedLabel"] for batch in predicted for prediction in batch]
    truth = [row[TARGET] for row in read_rows(data_uri, TRAINING_PERCENT)]
    return sum(label == true for label, true in zip(labels, truth, strict=True)) / len(truth)


with DAG(
    "mapped_predictions",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "bucket": Param("amazon-ml-demo", type="string", description="the S3 bucket for the data; it has to exist"),
        "prefix": Param("wine", type="string", description="what the keys of the data begin with"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10), "waiter_delay": 5, "waiter_max_attempts": 360},
    doc_md=__doc__,
    tags=["amazon machine learning"],
) as dag:
    uploaded = upload("wine", DATA)
    training_data = MachineLearningCreateDataSourceFromS3Operator(
        task_id="training_data",
        data_location_s3=DATA,
        data_schema_location_s3=f"{DATA}.schema",
        data_rearrangement={"splitting": {"percentBegin": 0, "percentEnd": TRAINING_PERCENT}},
        compute_statistics=True,
        wait_for_completion=False,
    )
    # The data source may still be PENDING, and so may the model: each waits for what it is made of.
    train = MachineLearningCreateMLModelOperator(
        task_id="train",
        ml_model_type="MULTICLASS",
        training_data_source_id=training_data.output,
        parameters={"sgd.maxPasses": 100},
        wait_for_completion=False,
    )
    create_endpoint = MachineLearningCreateRealtimeEndpointOperator(
        task_id="create_endpoint", ml_model_id=train.output, wait_for_model=True
    )

    # [START howto_predict_mapped]
    records = batches(DATA)
    predict = MachineLearningPredictOperator.partial(
        task_id="predict",
        ml_model_id=train.output,
        endpoint_url=create_endpoint.output["EndpointUrl"],
        max_active_tis_per_dagrun=4,
    ).expand(records=records)
    # [END howto_predict_mapped]

    delete_endpoint = MachineLearningDeleteRealtimeEndpointOperator(
        task_id="delete_endpoint", ml_model_id=train.output, created_by="create_endpoint"
    ).as_teardown(setups=create_endpoint)

    uploaded >> [training_data, records]
    accuracy(DATA, predict.output) >> delete_endpoint
