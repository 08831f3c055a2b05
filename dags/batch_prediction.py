"""Train a model, and predict for all rows of a file in S3 at once, without an endpoint.

The data are scikit-learn's diabetes set: 442 patients, 10 measurements each, and how far the disease went in a year.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from example_data import upload

from airflow_ml_provider.compat import DAG, Param, task  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.batch_prediction import (
    MachineLearningCreateBatchPredictionOperator,
)
from airflow_ml_provider.operators.data_source import MachineLearningCreateDataSourceFromS3Operator
from airflow_ml_provider.operators.evaluation import (
    MachineLearningCreateEvaluationOperator,
    MachineLearningEvaluationGateOperator,
)
from airflow_ml_provider.operators.ml_model import MachineLearningCreateMLModelOperator
from airflow_ml_provider.operators.tags import MachineLearningAddTagsOperator

PREFIX = "s3://{{ params.bucket }}/{{ params.prefix }}/"
DATA = f"{PREFIX}diabetes.csv"


# [START howto_read_batch_prediction]
@task
def root_mean_squared_error(batch_prediction_id: str) -> float:
    """Read the results back, and return how far the predictions are from the truth."""
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook

    rows = [row for row in MachineLearningHook().read_batch_prediction(batch_prediction_id) if row]
    return (sum((float(row["score"]) - float(row["trueLabel"])) ** 2 for row in rows) / len(rows)) ** 0.5


# [END howto_read_batch_prediction]


with DAG(
    "batch_prediction",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "bucket": Param("amazon-ml-demo", type="string", description="the S3 bucket for the data; it has to exist"),
        "prefix": Param("diabetes", type="string", description="what the keys of the data begin with"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10), "waiter_delay": 5, "waiter_max_attempts": 360},
    doc_md=__doc__,
    tags=["amazon machine learning"],
) as dag:
    training_data = MachineLearningCreateDataSourceFromS3Operator(
        task_id="training_data",
        data_location_s3=DATA,
        data_schema_location_s3=f"{DATA}.schema",
        data_rearrangement={"splitting": {"percentBegin": 0, "percentEnd": 70}},
        compute_statistics=True,
    )
    # [START howto_data_rearrangement]
    unseen_data = MachineLearningCreateDataSourceFromS3Operator(
        task_id="unseen_data",
        data_location_s3=DATA,
        data_schema_location_s3=f"{DATA}.schema",
        data_rearrangement={"splitting": {"percentBegin": 70, "percentEnd": 100}},
    )
    # [END howto_data_rearrangement]
    # [START howto_recipe]
    train = MachineLearningCreateMLModelOperator(
        task_id="train",
        ml_model_type="REGRESSION",
        training_data_source_id=training_data.output,
        recipe={"groups": {}, "assignments": {}, "outputs": ["ALL_NUMERIC"]},
        parameters={"sgd.maxPasses": 100, "sgd.l2RegularizationAmount": 1e-6},
    )
    # [END howto_recipe]
    evaluate = MachineLearningCreateEvaluationOperator(
        task_id="evaluate", ml_model_id=train.output, evaluation_data_source_id=unseen_data.output
    )
    # [START howto_evaluation_gate]
    good_enough = MachineLearningEvaluationGateOperator(
        task_id="good_enough", evaluation_id=evaluate.output, at_most=70
    )
    # [END howto_evaluation_gate]

    # [START howto_create_batch_prediction]
    predict = MachineLearningCreateBatchPredictionOperator(
        task_id="predict",
        ml_model_id=train.output,
        batch_prediction_data_source_id=unseen_data.output,
        output_uri=f"{PREFIX}predictions/",
    )
    # [END howto_create_batch_prediction]

    # [START howto_add_tags]
    tag = MachineLearningAddTagsOperator(
        task_id="tag",
        resource_type="BatchPrediction",
        resource_id=predict.output,
        tags=[{"Key": "records", "Value": "{{ ti.xcom_pull('predict', key='TotalRecordCount') }}"}],
    )
    # [END howto_add_tags]

    upload("diabetes", DATA) >> [training_data, unseen_data]
    good_enough >> predict >> tag
    root_mean_squared_error(predict.output)
