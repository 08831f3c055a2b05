"""Score a file whenever ``deploy_asset`` has announced an endpoint, and announce the predictions in turn.

The Dag knows the deployment only from the endpoint's event. Triggered by hand before there is an event, it skips its
tasks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_ml_provider.compat import DAG, AirflowSkipException, Asset, Param, task
from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator

# [START howto_inlet]
ENDPOINT = Asset("churn_endpoint")


@task(inlets=[ENDPOINT], multiple_outputs=True)
def announced(*, inlet_events: Any = None) -> dict[str, Any]:
    """Return what the endpoint's latest event carries: MLModelId, EndpointUrl, EndpointStatus and so on."""
    if not len(inlet_events[ENDPOINT]):
        raise AirflowSkipException("No endpoint has been announced yet")
    return dict(inlet_events[ENDPOINT][-1].extra)


# [END howto_inlet]

with DAG(
    "predict_on_asset",
    schedule=[ENDPOINT],
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "source_uri": Param(
            "s3://amazon-ml-demo/records.csv", type="string", description="a CSV file with a header and a column id"
        ),
        "output_uri": Param(
            "s3://amazon-ml-demo/announced.csv", type="string", description="where the predictions are to go"
        ),
    },
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    doc_md=__doc__,
    tags=["amazon machine learning"],
) as dag:
    endpoint = announced()
    MachineLearningPredictS3Operator(
        task_id="predict",
        ml_model_id=endpoint["MLModelId"],
        source_uri="{{ params.source_uri }}",
        output_uri="{{ params.output_uri }}",
        key_columns=["id"],
        outlets=[Asset("churn_predictions")],
    )
