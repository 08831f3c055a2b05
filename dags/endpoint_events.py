"""Predict whenever the endpoint of somebody else's model becomes READY: Airflow's AssetWatcher starts this Dag.

Airflow 2 has no AssetWatcher; a sensor waits there for the same, as in ``external_endpoint``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_ml_provider.compat import AIRFLOW_3, DAG, Param
from airflow_ml_provider.operators.prediction import MachineLearningPredictOperator

if AIRFLOW_3:
    from airflow.sdk import Asset, AssetWatcher

    from airflow_ml_provider.triggers.event import MachineLearningEventTrigger

    # [START howto_event_trigger]
    became_ready = AssetWatcher(
        name="their_endpoint_became_ready",
        trigger=MachineLearningEventTrigger(ml_model_id="their-model", target_status="READY", poll_interval=30),
    )
    their_endpoint = Asset("their_endpoint", watchers=[became_ready])
    # [END howto_event_trigger]

    with DAG(
        "endpoint_events",
        schedule=[their_endpoint],
        start_date=datetime(2026, 1, 1),
        catchup=False,
        params={
            "record": Param({"age": 42, "months": 3, "calls": 5}, type="object", description="what to predict for"),
        },
        default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
        render_template_as_native_obj=True,
        doc_md=__doc__,
        tags=["amazon machine learning"],
    ) as dag:
        MachineLearningPredictOperator(task_id="predict", ml_model_id="their-model", record="{{ params.record }}")
