"""The operators in a Dag run: templates, default_args, mapping, ``.output`` after a deferral, teardown, the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.dags.runs import FEATURES, Run, run_to_its_end, shared_service
from tests.helpers import training
from tests.helpers.endpoints import status

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture

pytestmark = pytest.mark.core


class Played(NamedTuple):
    """A run of ``features/arguments.py``, in which a task fails on purpose, and what is there after it."""

    run: Run
    service: AmazonMLLocalFixture
    waiter_delay: float
    states: dict[str, str]

    def model(self) -> dict[str, Any]:
        return {**self.service.client().get_ml_model(MLModelId="ml-1")}


@pytest.fixture(scope="module")
def played(airflow_database: None) -> Iterator[Played]:
    """One run for all tests of this file: it costs more than all of them."""
    with shared_service() as service:
        training.create_model(service)
        service.service.ready_after_polls(2)
        service.clock.resume()
        delays: list[float] = []
        run = run_to_its_end(FEATURES / "arguments.py", lambda dag: delays.append(dag.get_task("create").waiter_delay))
        yield Played(run, service, delays[0], run.states())


def test_default_args_reach_the_arguments_of_the_base(played: Played) -> None:
    """``waiter_delay`` is no argument of the operator's own."""
    assert played.waiter_delay == 0.1


def test_templates_are_rendered(played: Played) -> None:
    """The id and the name are templates."""
    assert played.states["update"] == "success"
    assert played.model()["Name"].startswith("arguments manual__")


def test_text_becomes_a_float(played: Played) -> None:
    """A template renders to text; 0.0 is sent, though it is false."""
    assert played.model()["ScoreThreshold"] == 0.0


def test_text_becomes_a_boolean(played: Played) -> None:
    """A verbose Get has the recipe."""
    assert "Recipe" in played.run.xcom("get")


def test_output_of_a_member_is_resolved_inside_a_list(played: Played) -> None:
    """A tag's value is ``.output`` of another task's member."""
    tags = played.service.client().describe_tags(ResourceId="ml-1", ResourceType="MLModel")["Tags"]
    assert tags == [{"Key": "type", "Value": "BINARY"}]


def test_a_sensor_can_be_mapped(played: Played) -> None:
    """Over ids."""
    assert played.states["completed"] == "success"


def test_each_map_index_has_an_id_of_its_own(played: Played) -> None:
    """Ids that are left out differ between the instances of a mapped task."""
    evaluations = [played.run.xcom("evaluate", map_index=place) for place in (0, 1)]
    assert len(set(evaluations)) == 2
    client = played.service.client()
    assert all(client.get_evaluation(EvaluationId=found)["Status"] == "COMPLETED" for found in evaluations)


@pytest.mark.parametrize(
    ("task_id", "state"), [("after_opened", "success"), ("after_closed", "skipped"), ("when_closed", "success")]
)
def test_the_gate_chooses_what_comes_next(played: Played, task_id: str, state: str) -> None:
    """A bar given as text opens it; behind a closed one only what was asked for runs."""
    assert played.states[task_id] == state


def test_members_are_xcoms_of_their_own_after_a_deferral(played: Played) -> None:
    """As after a wait in the worker."""
    assert played.run.xcom("create", "EndpointStatus") == "READY"


def test_members_of_a_sensor_are_xcoms_of_their_own(played: Played) -> None:
    """As an operator's."""
    assert played.run.xcom("ready", "EndpointUrl") == played.service.url


@pytest.mark.parametrize("task_id", ["ready_quiet", "quiet"])
def test_do_xcom_push_false_pushes_no_member(played: Played, task_id: str) -> None:
    """Neither an operator nor a sensor."""
    assert played.states[task_id] == "success"
    keys = ("return_value", "MLModelId", "EndpointStatus", "EvaluationId")
    assert [played.run.xcom(task_id, key) for key in keys] == [None] * 4


def test_predictions_can_be_mapped_over_records(played: Played) -> None:
    """The endpoint's URL is ``.output`` of the task that made it."""
    assert [played.run.xcom("predict", map_index=place)["predictedLabel"] for place in (0, 1)] == ["1", "1"]


def test_the_teardown_runs_although_the_run_failed(played: Played) -> None:
    """The endpoint is gone, and the run is failed."""
    assert (played.run.state, played.states["fail"], played.states["delete"]) == ("failed", "failed", "success")
    assert status(played.service) == "NONE"


def test_a_mapped_task_with_a_wrong_argument_is_not_retried(
    run_dag: Callable[..., Run], amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """Its constructor runs when the task does, and what it refuses ends the task as a rendered value would."""
    run = run_dag(FEATURES / "mapped_wrong.py")
    instance = run.task_instances["create", 0]
    assert (str(instance.state), instance.try_number) == ("failed", 1)
    assert not list(amazon_ml_local.requests)
