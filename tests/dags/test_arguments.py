"""The operators in a Dag run: templates, default_args, mapping, ``.output`` after a deferral, teardown, the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.dags.runs import FEATURES

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.dags.runs import Run

pytestmark = pytest.mark.core


def test_operators_in_a_dag_run(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture, ml_model: str
) -> None:
    """One run in which a task fails on purpose: every way to give an argument works, and the teardown still runs."""
    amazon_ml_local.service.ready_after_polls(2)
    amazon_ml_local.clock.resume()
    seen = []
    run = run_dag(FEATURES / "arguments.py", lambda dag: seen.append(dag.get_task("create").waiter_delay))
    states = run.states()
    client = amazon_ml_local.client()
    model = client.get_ml_model(MLModelId=ml_model)

    assert seen == [0.1], "default_args reach the base's arguments"

    assert states["update"] == "success", "templates are rendered"
    assert model["Name"].startswith("arguments manual__")
    assert model["ScoreThreshold"] == 0.0, "text becomes a float, and 0.0 is sent"
    assert "Recipe" in run.xcom("get"), "text becomes a boolean"
    tags = client.describe_tags(ResourceId=ml_model, ResourceType="MLModel")["Tags"]
    assert tags == [{"Key": "type", "Value": "BINARY"}], ".output[member] inside of a list is resolved"

    assert states["completed"] == "success", "a mapped sensor"
    evaluations = [run.xcom("evaluate", map_index=place) for place in (0, 1)]
    assert len(set(evaluations)) == 2, "each map index has an id of its own"
    assert all(client.get_evaluation(EvaluationId=found)["Status"] == "COMPLETED" for found in evaluations)

    gate = {name: states[name] for name in ("after_opened", "after_closed", "when_closed")}
    assert gate == {"after_opened": "success", "after_closed": "skipped", "when_closed": "success"}

    assert run.xcom("create", "EndpointStatus") == "READY", "members are XComs of their own after a deferral, too"
    assert run.xcom("ready", "EndpointUrl") == amazon_ml_local.url, "of a sensor, too"
    assert states["ready_quiet"] == states["quiet"] == "success"
    for task_id in ("ready_quiet", "quiet"):
        pushed = [run.xcom(task_id, key) for key in ("return_value", "MLModelId", "EndpointStatus", "EvaluationId")]
        assert pushed == [None] * 4, "do_xcom_push=False pushes no member either"
    assert [run.xcom("predict", map_index=place)["predictedLabel"] for place in (0, 1)] == ["1", "1"]

    assert (run.state, states["fail"], states["delete"]) == ("failed", "failed", "success")
    assert model["EndpointInfo"]["EndpointStatus"] == "NONE", "the teardown ran although the Dag run failed"


def test_a_mapped_task_with_a_wrong_argument_is_not_retried(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """Its constructor runs when the task does, and what it refuses ends the task as a rendered value would."""
    run = run_dag(FEATURES / "mapped_wrong.py")
    instance = run.task_instances["create", 0]
    assert (str(instance.state), instance.try_number) == ("failed", 1)
    assert not list(amazon_ml_local.requests)
