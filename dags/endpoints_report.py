"""Report every day which realtime endpoints cost money, and delete those that nobody needs any more.

With ``is_dry_run=False`` it deletes endpoints that are older than a day and whose run is over.
Airflow 3.2 and newer show the last report under Browse → Amazon ML endpoints.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_ml_provider.compat import DAG  # on Airflow 3: from airflow.sdk
from airflow_ml_provider.operators.endpoints_report import MachineLearningEndpointsReportOperator

with DAG(
    "endpoints_report",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    doc_md=__doc__,
    tags=["amazon machine learning"],
) as dag:
    # [START howto_endpoints_report]
    report = MachineLearningEndpointsReportOperator(
        task_id="report",
        region_names=["us-east-1", "eu-west-1"],
        max_age=timedelta(hours=12),
        delete_older_than=timedelta(days=1),
        keep_ml_model_ids=["ml-production"],
        is_dry_run=True,  # False deletes
    )
    # [END howto_endpoints_report]
