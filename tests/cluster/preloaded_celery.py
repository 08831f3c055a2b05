"""Options of Celery whose workers fork tasks with everything imported that they use, as docs/scaling.md advises."""

from __future__ import annotations

from airflow.providers.celery.executors.default_celery import DEFAULT_CELERY_CONFIG

import tests.helpers.preloading  # noqa: F401 - imported for the tasks that are forked

OPTIONS = dict(DEFAULT_CELERY_CONFIG)
