"""Options of Celery whose workers fork tasks with everything imported that they use, as docs/scaling.md advises."""

from __future__ import annotations

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

import airflow_ml_provider.hooks.machine_learning
import airflow_ml_provider.operators.prediction
import airflow_ml_provider.operators.realtime_endpoint
import airflow_ml_provider.ownership
import airflow_ml_provider.predicting.predictor  # noqa: F401 - imported for the tasks that are forked

OPTIONS = dict(DEFAULT_CELERY_CONFIG)
