"""Score a folder of files in S3 with four workers at once, at an endpoint that somebody else keeps.

The rows and the endpoint's rate are divided between the workers; their outputs are joined in the input's order.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_ml_provider.compat import DAG, Param  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.prediction import (
    MachineLearningJoinPredictS3Operator,
    MachineLearningPlanPredictS3Operator,
    MachineLearningPredictS3Operator,
)

MODEL = "{{ params.ml_model_id }}"
OUTPUT = "{{ params.output_uri }}"

with DAG(
    "predict_s3_mapped",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={
        "ml_model_id": Param("their-model", type="string", description="the id of a model whose endpoint is READY"),
        "source_uri": Param(
            "s3://amazon-ml-demo/records/", type="string", description="a folder of CSV files with a column id"
        ),
        "output_uri": Param(
            "s3://amazon-ml-demo/predictions-mapped.csv", type="string", description="where the predictions are to go"
        ),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    doc_md=__doc__,
    tags=["amazon machine learning"],
) as dag:
    # [START howto_predict_s3_mapped]
    plan = MachineLearningPlanPredictS3Operator(
        task_id="plan", ml_model_id=MODEL, source_uri="{{ params.source_uri }}", output_uri=OUTPUT, workers=4
    )
    predict = MachineLearningPredictS3Operator.partial(
        task_id="predict", ml_model_id=MODEL, key_columns=["id"]
    ).expand_kwargs(plan.output)
    MachineLearningJoinPredictS3Operator(task_id="join", output_uri=OUTPUT, summaries=predict.output)
    # [END howto_predict_s3_mapped]
