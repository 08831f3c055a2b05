"""The provider's description, which Airflow reads when it discovers providers."""

from __future__ import annotations


def get_provider_info() -> dict[str, object]:
    """Return the description of the provider, by Airflow's provider schema."""
    name = "Amazon Machine Learning"
    return {
        "package-name": "airflow-ml-provider",
        "name": name,
        "description": "Amazon Machine Learning: deploy models behind realtime endpoints, predict, delete them.",
        "integrations": [
            {
                "integration-name": name,
                "external-doc-url": "https://docs.aws.amazon.com/machine-learning/latest/dg/",
                "tags": ["aws"],
            }
        ],
        "hooks": [
            {
                "integration-name": name,
                "python-modules": ["airflow_ml_provider.hooks.machine_learning"],
            }
        ],
        "operators": [
            {
                "integration-name": name,
                "python-modules": [
                    "airflow_ml_provider.operators.batch_prediction",
                    "airflow_ml_provider.operators.data_source",
                    "airflow_ml_provider.operators.endpoints_report",
                    "airflow_ml_provider.operators.evaluation",
                    "airflow_ml_provider.operators.evaluation_report",
                    "airflow_ml_provider.operators.ml_model",
                    "airflow_ml_provider.operators.prediction",
                    "airflow_ml_provider.operators.realtime_endpoint",
                    "airflow_ml_provider.operators.tags",
                ],
            }
        ],
        "extra-links": [
            "airflow_ml_provider.links.EvaluationReportLink",
            "airflow_ml_provider.links.OutputLink",
            "airflow_ml_provider.links.ResourceLink",
        ],
        "sensors": [
            {
                "integration-name": name,
                "python-modules": ["airflow_ml_provider.sensors.machine_learning"],
            }
        ],
        "triggers": [
            {
                "integration-name": name,
                "python-modules": [
                    "airflow_ml_provider.triggers.event",
                    "airflow_ml_provider.triggers.machine_learning",
                ],
            }
        ],
    }
