"""Train a model, choose its threshold by the costs of errors in an evaluation report, and deploy it.

The data are scikit-learn's breast cancer set. The model predicts 1 for a benign tumour; to call a malignant one benign
is ten times as bad as the other way round. The report is a page in S3, which a link on its task opens.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from example_data import upload

from airflow_ml_provider.compat import DAG, Param
from airflow_ml_provider.operators.batch_prediction import MachineLearningCreateBatchPredictionOperator
from airflow_ml_provider.operators.data_source import MachineLearningCreateDataSourceFromS3Operator
from airflow_ml_provider.operators.evaluation_report import MachineLearningEvaluationReportOperator
from airflow_ml_provider.operators.ml_model import (
    MachineLearningCreateMLModelOperator,
    MachineLearningUpdateMLModelOperator,
)
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

PREFIX = "s3://{{ params.bucket }}/{{ params.prefix }}/"
DATA = f"{PREFIX}breast-cancer.csv"

with DAG(
    "choose_threshold",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "bucket": Param("amazon-ml-demo", type="string", description="the S3 bucket for the data; it has to exist"),
        "prefix": Param("threshold", type="string", description="what the keys of the data begin with"),
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
    unseen_data = MachineLearningCreateDataSourceFromS3Operator(
        task_id="unseen_data",
        data_location_s3=DATA,
        data_schema_location_s3=f"{DATA}.schema",
        data_rearrangement={"splitting": {"percentBegin": 70, "percentEnd": 100}},
    )
    train = MachineLearningCreateMLModelOperator(
        task_id="train",
        ml_model_type="BINARY",
        training_data_source_id=training_data.output,
        parameters={"sgd.maxPasses": 100, "sgd.shuffleType": "auto"},
    )
    predict = MachineLearningCreateBatchPredictionOperator(
        task_id="predict",
        ml_model_id=train.output,
        batch_prediction_data_source_id=unseen_data.output,
        output_uri=f"{PREFIX}predictions/",
    )

    # [START howto_evaluation_report]
    report = MachineLearningEvaluationReportOperator(
        task_id="report",
        batch_prediction_id=predict.output,
        output_uri=f"{PREFIX}{{{{ run_id }}}}/report.html",
        false_positive_cost=10,
        false_negative_cost=1,
    )
    # [END howto_evaluation_report]
    # [START howto_best_threshold]
    set_threshold = MachineLearningUpdateMLModelOperator(
        task_id="set_threshold", ml_model_id=train.output, score_threshold=report.output["BestThreshold"]
    )
    # [END howto_best_threshold]
    create_endpoint = MachineLearningCreateRealtimeEndpointOperator(task_id="create_endpoint", ml_model_id=train.output)
    delete_endpoint = MachineLearningDeleteRealtimeEndpointOperator(
        task_id="delete_endpoint", ml_model_id=train.output, created_by="create_endpoint"
    ).as_teardown(setups=create_endpoint)

    upload("breast_cancer", DATA) >> [training_data, unseen_data]
    set_threshold >> create_endpoint >> delete_endpoint
