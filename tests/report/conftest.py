"""A bucket for results, and the operator that reports them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.operators.evaluation_report import MachineLearningEvaluationReportOperator
from tests.helpers.task_instances import TaskInstance, context_of
from tests.report.results import PAGE, Results

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture
def results(amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock) -> Results:
    """A bucket for results and reports."""
    return Results(amazon_ml_local, service_clock)


@pytest.fixture
def report(results: Results) -> Callable[..., dict[str, Any]]:
    """Run the operator; return what it pushed, as JSON has it."""

    def run(**arguments: Any) -> dict[str, Any]:
        ti = TaskInstance()
        operator = MachineLearningEvaluationReportOperator(**{"task_id": "report", "output_uri": PAGE} | arguments)
        returned = operator.execute(context_of(ti))
        assert json.loads(json.dumps(returned)) == returned == ti.pushed
        return ti.pushed

    return run
