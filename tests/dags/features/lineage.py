"""From data in S3 to predictions, with what must not be told to anybody in it, and two tasks that fail."""

from __future__ import annotations

from datetime import datetime

from airflow_ml_provider.compat import DAG
from airflow_ml_provider.operators.batch_prediction import MachineLearningCreateBatchPredictionOperator
from airflow_ml_provider.operators.data_source import (
    MachineLearningCreateDataSourceFromRedshiftOperator,
    MachineLearningCreateDataSourceFromS3Operator,
)
from airflow_ml_provider.operators.evaluation import (
    MachineLearningCreateEvaluationOperator,
    MachineLearningEvaluationGateOperator,
)
from airflow_ml_provider.operators.ml_model import MachineLearningCreateMLModelOperator
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator, MachineLearningPredictS3Operator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor

with DAG(
    "lineage",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"waiter_delay": 0.2, "waiter_max_attempts": 1000, "poke_interval": 0.2},
) as dag:
    data = MachineLearningCreateDataSourceFromS3Operator(
        task_id="data",
        data_source_id="ds",
        data_location_s3="s3://training/train.csv",
        data_schema_location_s3="s3://training/train.csv.schema",
        compute_statistics=True,
    )
    train = MachineLearningCreateMLModelOperator(
        task_id="train", ml_model_id="ml", ml_model_type="BINARY", training_data_source_id=data.output, deferrable=True
    )
    evaluate = MachineLearningCreateEvaluationOperator(
        task_id="evaluate", evaluation_id="ev", ml_model_id=train.output, evaluation_data_source_id="ds"
    )
    gate = MachineLearningEvaluationGateOperator(task_id="gate", evaluation_id=evaluate.output, at_least=0.5)
    create = MachineLearningCreateRealtimeEndpointOperator(
        task_id="create", ml_model_id="ml", wait_for_completion=False
    )
    ready = MachineLearningRealtimeEndpointSensor(task_id="ready", ml_model_id="ml")
    predict = MachineLearningPredictOperator(task_id="predict", ml_model_id="ml", record={"x": 123454321})
    score = MachineLearningPredictS3Operator(
        task_id="score",
        ml_model_id="ml",
        source_uri="s3://training/train.csv",
        output_uri="s3://training/out/scored.csv",
        key_columns=["x"],
    )
    batch = MachineLearningCreateBatchPredictionOperator(
        task_id="batch",
        batch_prediction_id="bp",
        ml_model_id="ml",
        batch_prediction_data_source_id="ds",
        output_uri="s3://training/out/",
    )
    delete = MachineLearningDeleteRealtimeEndpointOperator(task_id="delete", ml_model_id="ml")
    gate >> create >> ready >> [predict, score, batch] >> delete

    MachineLearningCreateMLModelOperator(
        task_id="fails", ml_model_id="bad", ml_model_type="BINARY", training_data_source_id="unknown"
    )
    MachineLearningCreateDataSourceFromRedshiftOperator(
        task_id="fails_with_secrets",
        data_source_id="redshift",
        database_information={"DatabaseName": "sales", "ClusterIdentifier": "warehouse"},
        database_conn_id="warehouse",
        select_sql_query="select * from people",
        s3_staging_location="s3://training/staging/",
        role_arn="arn:aws:iam::123456789012:role/any",
    )
