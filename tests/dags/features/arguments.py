"""The operators in every way that Airflow offers: templates, default_args, mapping, output, teardown."""

from __future__ import annotations

from datetime import datetime

from airflow_ml_provider.compat import DAG, task
from airflow_ml_provider.operators.evaluation import (
    MachineLearningCreateEvaluationOperator,
    MachineLearningEvaluationGateOperator,
)
from airflow_ml_provider.operators.ml_model import (
    MachineLearningGetMLModelOperator,
    MachineLearningUpdateMLModelOperator,
)
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)
from airflow_ml_provider.operators.tags import MachineLearningAddTagsOperator
from airflow_ml_provider.sensors.machine_learning import (
    MachineLearningDataSourceSensor,
    MachineLearningRealtimeEndpointSensor,
)

MODEL = "{{ params.ml_model_id }}"


@task
def nothing() -> None:
    """Do nothing."""


@task
def fail() -> None:
    """Fail, so that only a teardown comes after."""
    raise RuntimeError("as intended")


with DAG(
    "arguments",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"ml_model_id": "ml-1", "threshold": 0.0},
    default_args={"waiter_delay": 0.1, "waiter_max_attempts": 1000, "region_name": "us-east-1"},
) as dag:
    update = MachineLearningUpdateMLModelOperator(
        task_id="update",
        ml_model_id=MODEL,
        ml_model_name="{{ dag.dag_id }} {{ run_id }}",
        score_threshold="{{ params.threshold }}",
    )
    get = MachineLearningGetMLModelOperator(task_id="get", ml_model_id=update.output, verbose="{{ 1 == 1 }}")
    tag = MachineLearningAddTagsOperator(
        task_id="tag",
        resource_type="MLModel",
        resource_id=MODEL,
        tags=[{"Key": "type", "Value": get.output["MLModelType"]}],
    )

    completed = MachineLearningDataSourceSensor.partial(task_id="completed").expand(data_source_id=["ds-1", "ds-1"])
    evaluate = MachineLearningCreateEvaluationOperator.partial(
        task_id="evaluate", ml_model_id=MODEL, evaluation_data_source_id="ds-1"
    ).expand(evaluation_name=["first", "second"])
    first = "{{ ti.xcom_pull(task_ids='evaluate', map_indexes=0) }}"
    opened = MachineLearningEvaluationGateOperator(task_id="opened", evaluation_id=first, at_least="0.9")
    closed = MachineLearningEvaluationGateOperator(
        task_id="closed", evaluation_id=first, at_least=1.5, follow_task_ids_if_false="when_closed"
    )
    completed >> evaluate >> [opened, closed]
    opened >> nothing.override(task_id="after_opened")()
    closed >> [nothing.override(task_id="after_closed")(), nothing.override(task_id="when_closed")()]

    create = MachineLearningCreateRealtimeEndpointOperator(task_id="create", ml_model_id=MODEL, deferrable=True)
    predict = MachineLearningPredictOperator.partial(
        task_id="predict", ml_model_id=create.output["MLModelId"], endpoint_url=create.output["EndpointUrl"]
    ).expand(record=[{"x": 0}, {"x": 39}])
    quiet = MachineLearningCreateEvaluationOperator(
        task_id="quiet", ml_model_id=MODEL, evaluation_data_source_id="ds-1", do_xcom_push=False
    )
    ready = MachineLearningRealtimeEndpointSensor(task_id="ready", ml_model_id=MODEL, poke_interval=0.1)
    ready_quiet = MachineLearningRealtimeEndpointSensor(
        task_id="ready_quiet", ml_model_id=MODEL, poke_interval=0.1, do_xcom_push=False
    )
    create >> [ready, ready_quiet]
    delete = MachineLearningDeleteRealtimeEndpointOperator(task_id="delete", ml_model_id=MODEL, created_by="create")
    update >> create
    [predict, ready, ready_quiet] >> fail() >> delete.as_teardown(setups=create)
