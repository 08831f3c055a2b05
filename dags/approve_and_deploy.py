"""Train a model, show its metric beside the deployed model's to a person, and deploy it if that person approves.

The form is among the run's required actions in Airflow's UI (3.1 and newer; on older versions this file defines no
Dag). If the person rejects, or does not answer within a day, nothing is deployed, and the run still succeeds.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from inspect import cleandoc

from airflow_ml_provider.compat import DAG, VERSION, Param
from airflow_ml_provider.operators.evaluation import (
    MachineLearningCreateEvaluationOperator,
    MachineLearningEvaluationGateOperator,
)
from airflow_ml_provider.operators.ml_model import MachineLearningCreateMLModelOperator
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator

DATA = "{{ params.data_source_id }}"
DEPLOYED = "{{ params.deployed_ml_model_id }}"

if VERSION >= (3, 1):
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    with DAG(
        "approve_and_deploy",
        schedule=None,
        start_date=datetime(2026, 1, 1),
        catchup=False,
        params={
            "data_source_id": Param("customers", type="string", description="the data source to train and evaluate on"),
            "deployed_ml_model_id": Param("their-model", type="string", description="the BINARY model now deployed"),
        },
        default_args={"retries": 2, "retry_delay": timedelta(seconds=10), "waiter_delay": 5},
        doc_md=__doc__,
        tags=["amazon machine learning"],
    ) as dag:
        train = MachineLearningCreateMLModelOperator(
            task_id="train", ml_model_type="BINARY", training_data_source_id=DATA, parameters={"sgd.maxPasses": 100}
        )
        evaluate = MachineLearningCreateEvaluationOperator(
            task_id="evaluate", ml_model_id=train.output, evaluation_data_source_id=DATA
        )
        evaluate_deployed = MachineLearningCreateEvaluationOperator(
            task_id="evaluate_deployed", ml_model_id=DEPLOYED, evaluation_data_source_id=DATA
        )
        good_enough = MachineLearningEvaluationGateOperator(
            task_id="good_enough", evaluation_id=evaluate.output, at_least=0.7
        )
        # [START howto_approval]
        approve = ApprovalOperator(
            task_id="approve",
            subject="Deploy {{ ti.xcom_pull('train') }}?",
            body=cleandoc("""
                {% set new = ti.xcom_pull('evaluate', key='PerformanceMetrics').Properties.BinaryAUC | float %}
                {% set old = ti.xcom_pull('evaluate_deployed', key='PerformanceMetrics').Properties.BinaryAUC | float %}

                | model | BinaryAUC |
                |---|---|
                | new: {{ ti.xcom_pull('train') }} | {{ '%.4f' % new }} |
                | deployed: {{ params.deployed_ml_model_id }} | {{ '%.4f' % old }} |
                | difference | {{ '%+.4f' % (new - old) }} |
            """),
            defaults="Reject",
            response_timeout=timedelta(days=1),
        )
        # [END howto_approval]
        deploy = MachineLearningCreateRealtimeEndpointOperator(task_id="deploy", ml_model_id=train.output)

        [good_enough, evaluate_deployed] >> approve >> deploy
