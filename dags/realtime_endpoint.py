"""Train a model on real data, deploy it behind a realtime endpoint, predict with it, and delete the endpoint.

The data are scikit-learn's breast cancer set: 569 tumours, 30 measurements each, 1 for benign and 0 for not. The
endpoint's predictions for the rows that the model was not trained on must reach the AUC that the evaluation reports.

The service is the one of ``AWS_ENDPOINT_URL`` or the connection ``aws_default``. The bucket must exist, and Amazon ML
must be allowed to read it. Ids are made of Dag, task and run, so every run creates resources of its own. The data in
S3, the data sources, the model and the evaluation stay after a run; the endpoint, which costs money, is deleted.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from example_data import TARGET, read_rows, upload

from airflow_ml_provider.compat import DAG, Param, task  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.data_source import MachineLearningCreateDataSourceFromS3Operator
from airflow_ml_provider.operators.evaluation import MachineLearningCreateEvaluationOperator
from airflow_ml_provider.operators.ml_model import MachineLearningCreateMLModelOperator
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

DATA = "s3://{{ params.bucket }}/{{ params.prefix }}/breast-cancer.csv"
TRAINING_PERCENT = 70
SHOWN = 10
TOLERANCE = 0.001  # scores are 32-bit numbers on their way


@task(multiple_outputs=True)
def sample(data_uri: str) -> dict[str, list]:
    """Return a few rows that the model is not trained on: the records without the target, and the truth."""
    rows = read_rows(data_uri, TRAINING_PERCENT)[:SHOWN]
    truth = [row.pop(TARGET) for row in rows]
    return {"records": rows, "truth": truth}


@task
def compare(ml_model_id: str, data_uri: str, metrics: dict, predictions: list[dict], truth: list[str]) -> dict:
    """Compare what the endpoint predicts with the truth, and its AUC over all unseen rows with the evaluation's."""
    import logging

    from sklearn.metrics import roc_auc_score

    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook

    log, hook = logging.getLogger("airflow.task"), MachineLearningHook()
    rows = read_rows(data_uri, TRAINING_PERCENT)
    known = [int(row.pop(TARGET)) for row in rows]
    endpoint_url = hook.realtime_endpoint_url(ml_model_id)
    answers = [hook.predict(ml_model_id, row, endpoint_url) for row in rows]
    at_endpoint = roc_auc_score(known, [score for answer in answers for score in answer["predictedScores"].values()])
    evaluated = float(metrics["Properties"]["BinaryAUC"])
    for prediction, true_label in zip(predictions, truth, strict=True):
        (score,) = prediction["predictedScores"].values()
        log.info(f"predicted {prediction['predictedLabel']} (score {score:.4f}), in truth {true_label}")
    log.info(f"AUC over {len(rows)} unseen rows: {at_endpoint:.4f} at the endpoint, {evaluated:.4f} by the evaluation")
    if abs(at_endpoint - evaluated) > TOLERANCE:
        raise ValueError(f"The endpoint's AUC is {at_endpoint}, the evaluation's {evaluated}")
    return {"rows": len(rows), "endpoint_auc": float(at_endpoint), "evaluation_auc": evaluated}


with DAG(
    "realtime_endpoint",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "bucket": Param("amazon-ml-demo", type="string", description="the S3 bucket for the data; it has to exist"),
        "prefix": Param("breast-cancer", type="string", description="what the keys of the data begin with"),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10), "waiter_delay": 5, "waiter_max_attempts": 360},
    doc_md=__doc__,
    tags=["amazon machine learning"],
) as dag:
    uploaded = upload("breast_cancer", DATA)

    # [START howto_create_data_source_from_s3]
    training_data = MachineLearningCreateDataSourceFromS3Operator(
        task_id="training_data",
        data_location_s3=DATA,
        data_schema_location_s3=f"{DATA}.schema",
        data_rearrangement={"splitting": {"percentBegin": 0, "percentEnd": TRAINING_PERCENT}},
        compute_statistics=True,
    )
    # [END howto_create_data_source_from_s3]
    evaluation_data = MachineLearningCreateDataSourceFromS3Operator(
        task_id="evaluation_data",
        data_location_s3=DATA,
        data_schema_location_s3=f"{DATA}.schema",
        data_rearrangement={"splitting": {"percentBegin": TRAINING_PERCENT, "percentEnd": 100}},
    )

    # [START howto_create_ml_model]
    train = MachineLearningCreateMLModelOperator(
        task_id="train",
        ml_model_type="BINARY",
        training_data_source_id=training_data.output,
        parameters={"sgd.maxPasses": 100, "sgd.shuffleType": "auto"},
    )
    # [END howto_create_ml_model]

    # [START howto_create_evaluation]
    evaluate = MachineLearningCreateEvaluationOperator(
        task_id="evaluate",
        ml_model_id=train.output,
        evaluation_data_source_id=evaluation_data.output,
    )
    # [END howto_create_evaluation]

    # [START howto_create_realtime_endpoint]
    create_endpoint = MachineLearningCreateRealtimeEndpointOperator(task_id="create_endpoint", ml_model_id=train.output)
    # [END howto_create_realtime_endpoint]

    # [START howto_predict]
    rows = sample(DATA)
    predict = MachineLearningPredictOperator(
        task_id="predict",
        ml_model_id=train.output,
        records=rows["records"],
        endpoint_url=create_endpoint.output["EndpointUrl"],
    )
    # [END howto_predict]
    compared = compare(train.output, DATA, evaluate.output["PerformanceMetrics"], predict.output, rows["truth"])

    # [START howto_delete_realtime_endpoint]
    delete_endpoint = MachineLearningDeleteRealtimeEndpointOperator(
        task_id="delete_endpoint",
        ml_model_id=train.output,
        created_by="create_endpoint",
        wait_for_completion=True,
    ).as_teardown(setups=create_endpoint)
    # [END howto_delete_realtime_endpoint]

    uploaded >> [training_data, evaluation_data, rows]
    evaluate >> create_endpoint >> predict
    compared >> delete_endpoint
