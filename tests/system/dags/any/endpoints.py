"""Dags for the tests with real Airflow processes: each makes endpoints of the models that the run's conf names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_ml_provider.compat import dag, task
from airflow_ml_provider.operators.endpoints_report import MachineLearningEndpointsReportOperator
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator

COMMON: dict[str, Any] = {
    "waiter_delay": 2,
    "waiter_max_attempts": 120,
    "retries": 1,
    "retry_delay": timedelta(seconds=1),
}
MODEL = "{{ dag_run.conf['models'][0] }}"


@dag(schedule=None)
def many() -> None:
    """Make the endpoints of many models, deferred."""

    @task
    def models(dag_run: Any = None) -> list[str]:
        return dag_run.conf["models"]

    create = MachineLearningCreateRealtimeEndpointOperator.partial(task_id="create", deferrable=True, **COMMON)
    create.expand(ml_model_id=models())


@dag(schedule=None)
def deferred() -> None:
    """Make one endpoint, deferred."""
    MachineLearningCreateRealtimeEndpointOperator(task_id="create", ml_model_id=MODEL, deferrable=True, **COMMON)


@dag(schedule=None)
def in_worker() -> None:
    """Make one endpoint, and wait for it in the worker."""
    MachineLearningCreateRealtimeEndpointOperator(task_id="create", ml_model_id=MODEL, deferrable=False, **COMMON)


@dag(schedule=None)
def too_long() -> None:
    """Make one endpoint, deferred, in a task that has too little time for it."""
    MachineLearningCreateRealtimeEndpointOperator(
        task_id="create",
        ml_model_id=MODEL,
        deferrable=True,
        execution_timeout=timedelta(seconds=20),
        **COMMON | {"retries": 0},
    )


@dag(schedule=None, dagrun_timeout=timedelta(seconds=20))
def timed_out() -> None:
    """Make one endpoint, deferred, in a run that has too little time for it."""
    MachineLearningCreateRealtimeEndpointOperator(task_id="create", ml_model_id=MODEL, deferrable=True, **COMMON)


@dag(schedule=None)
def never_deleted() -> None:
    """Make one endpoint in the worker, with no second try and no task that deletes it."""
    MachineLearningCreateRealtimeEndpointOperator(task_id="create", ml_model_id=MODEL, **COMMON | {"retries": 0})


@dag(schedule=None)
def report() -> None:
    """Report all endpoints, and delete those of ended runs but the given one."""
    MachineLearningEndpointsReportOperator(
        task_id="report", delete_older_than=timedelta(0), keep_ml_model_ids=[MODEL], is_dry_run=False
    )


for made in (many, deferred, in_worker, too_long, timed_out, never_deleted, report):
    made()
