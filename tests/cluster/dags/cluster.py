"""Dags for the tests on a cluster; the run's conf names the models and files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task, task_group

from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator, MachineLearningPredictS3Operator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)

RETRIES = {"retries": 5, "retry_delay": timedelta(seconds=1)}


WAIT = {"deferrable": True, "waiter_max_attempts": 240}


@task
def models(dag_run: Any = None) -> list[str]:
    return dag_run.conf["models"]


@dag(schedule=None, default_args=RETRIES, max_active_runs=3)
def lifecycle() -> None:
    """Create the endpoints of many models, predict with each, and delete each."""

    @task_group
    def endpoint(ml_model_id: str) -> None:
        create = MachineLearningCreateRealtimeEndpointOperator(
            task_id="create", ml_model_id=ml_model_id, waiter_delay=2, **WAIT
        )
        predict = MachineLearningPredictOperator(task_id="predict", ml_model_id=ml_model_id, record={"x": 30})
        delete = MachineLearningDeleteRealtimeEndpointOperator(
            task_id="delete", ml_model_id=ml_model_id, created_by="endpoint.create", waiter_delay=1
        )
        create >> predict >> delete.as_teardown(setups=create)

    endpoint.expand(ml_model_id=models())


@dag(schedule=None, default_args={**RETRIES, "queue": "alone"})
def waits() -> None:
    """Create the endpoints of many models, and wait for all of them at once."""
    create = MachineLearningCreateRealtimeEndpointOperator.partial(task_id="create", waiter_delay=5, **WAIT)
    create.expand(ml_model_id=models())


@dag(schedule=None, default_args=RETRIES)
def files() -> None:
    """Predict for several files at once."""

    @task
    def jobs(dag_run: Any = None) -> list[dict[str, str]]:
        return dag_run.conf["jobs"]

    MachineLearningPredictS3Operator.partial(
        task_id="predict",
        ml_model_id="{{ dag_run.conf['models'][0] }}",
        key_columns=["id"],
        rows_per_part=200,
        max_requests_per_second=40,
    ).expand_kwargs(jobs())


lifecycle()
waits()
files()
