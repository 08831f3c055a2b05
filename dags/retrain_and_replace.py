"""Train a new model every week, and replace the deployed one if the new one is better.

The deployed model is the one of this name whose endpoint is READY. Both models are evaluated on the same rows, on which
neither should have been trained. Only if the new one is better, it gets an endpoint, and then the old endpoint is
deleted: so there is always one to predict with. The old model stays, so that it can be deployed again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from example_data import upload

from airflow_ml_provider.compat import DAG, Param, task  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.data_source import MachineLearningCreateDataSourceFromS3Operator
from airflow_ml_provider.operators.evaluation import (
    MachineLearningCreateEvaluationOperator,
    MachineLearningEvaluationGateOperator,
)
from airflow_ml_provider.operators.ml_model import MachineLearningCreateMLModelOperator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)
from airflow_ml_provider.operators.tags import MachineLearningAddTagsOperator

NAME = "tumours, retrained weekly"
DATA = "s3://{{ params.bucket }}/{{ params.prefix }}/{{ run_id }}/breast-cancer.csv"


# [START howto_describe]
@task
def deployed() -> list[str]:
    """Return the id of the model now deployed, in a list; an empty one when there is none."""
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook

    paginator = MachineLearningHook().conn.get_paginator("describe_ml_models")
    pages = paginator.paginate(FilterVariable="RealtimeEndpointStatus", EQ="READY", SortOrder="dsc")
    return [model["MLModelId"] for page in pages for model in page["Results"] if model.get("Name") == NAME][:1]


# [END howto_describe]


with DAG(
    "retrain_and_replace",
    schedule="@weekly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "bucket": Param("amazon-ml-demo", type="string", description="the S3 bucket for the data; it has to exist"),
        "prefix": Param("weekly", type="string", description="what the keys of the data begin with"),
        "rows": Param(None, type=["null", "integer"], description="how many rows there are by now; none means all"),
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
        ml_model_name=NAME,
        ml_model_type="BINARY",
        training_data_source_id=training_data.output,
        parameters={"sgd.maxPasses": 100},
    )
    evaluate = MachineLearningCreateEvaluationOperator(
        task_id="evaluate", ml_model_id=train.output, evaluation_data_source_id=unseen_data.output
    )

    # [START howto_better_than_deployed]
    old = deployed()
    evaluate_old = MachineLearningCreateEvaluationOperator.partial(
        task_id="evaluate_old", evaluation_data_source_id=unseen_data.output
    ).expand(ml_model_id=old)

    better = MachineLearningEvaluationGateOperator(
        task_id="better",
        evaluation_id=evaluate.output,
        at_least=0.9,
        better_than_ml_model_id="{{ ti.xcom_pull(task_ids='deployed') | join }}",
        trigger_rule="none_failed",
    )
    # [END howto_better_than_deployed]

    create_endpoint = MachineLearningCreateRealtimeEndpointOperator(task_id="create_endpoint", ml_model_id=train.output)
    retire = MachineLearningDeleteRealtimeEndpointOperator.partial(task_id="retire").expand(ml_model_id=old)
    tag_retired = MachineLearningAddTagsOperator.partial(
        task_id="tag_retired", resource_type="MLModel", tags=[{"Key": "retired in", "Value": "{{ run_id }}"}]
    ).expand(resource_id=old)

    upload("breast_cancer", DATA, "{{ params.rows or '' }}") >> [training_data, unseen_data]
    # A create task that has failed for good, also one that was killed, must not leave its endpoint behind.
    undo = MachineLearningDeleteRealtimeEndpointOperator(
        task_id="undo", ml_model_id=train.output, created_by="create_endpoint", trigger_rule="one_failed"
    )
    create_endpoint >> undo
    evaluate_old >> better >> create_endpoint >> retire >> tag_retired
