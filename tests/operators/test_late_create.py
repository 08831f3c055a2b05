"""A create task creates nothing after its run's delete task, which would not delete the endpoint."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AIRFLOW_3, DAG, AirflowFailException
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)
from tests.helpers.endpoints import called, create, delete, status
from tests.helpers.task_instances import States, TaskInstance

if TYPE_CHECKING:
    from airflow.sdk import task_group

    from amazon_ml_local.fixture import AmazonMLLocalFixture
else:
    task_group = importlib.import_module("airflow.sdk" if AIRFLOW_3 else "airflow.decorators").task_group

CREATE = {"task_id": "create", "wait_for_completion": False}
DELETE = {"task_id": "delete", "created_by": "create"}
MODELS = ["ml-1", "ml-2"]
REGIONS = ["us-east-1", "us-east-1"]


def mapped_create(**arguments: Any) -> Any:
    """Map the creates of endpoints over these arguments."""
    return MachineLearningCreateRealtimeEndpointOperator.partial(**CREATE).expand(**arguments)


def mapped_delete(**arguments: Any) -> Any:
    """Map the deletes of endpoints over these arguments."""
    return MachineLearningDeleteRealtimeEndpointOperator.partial(**DELETE).expand(**arguments)


def not_mapped() -> None:
    create(**CREATE)
    delete(**DELETE)


def over_one_list() -> None:
    mapped_create(ml_model_id=MODELS)
    mapped_delete(ml_model_id=[*MODELS])


def over_one_output() -> None:
    models = create(task_id="models")
    mapped_create(ml_model_id=models.output)
    mapped_delete(ml_model_id=models.output)


def in_one_group() -> None:
    @task_group
    def deploy(ml_model_id: Any) -> None:
        create(**CREATE, ml_model_id=ml_model_id)
        delete(**DELETE | {"created_by": "deploy.create"}, ml_model_id=ml_model_id)

    deploy.expand(ml_model_id=MODELS)


def over_another_list() -> None:
    mapped_create(ml_model_id=MODELS)
    mapped_delete(ml_model_id=MODELS[::-1])


def over_products_in_another_order() -> None:
    mapped_create(ml_model_id=MODELS, region_name=REGIONS)
    mapped_delete(region_name=REGIONS, ml_model_id=MODELS)


def delete_alone() -> None:
    create(**CREATE)
    mapped_delete(ml_model_id=MODELS)


def in_two_groups() -> None:
    @task_group
    def deploy(ml_model_id: Any) -> None:
        create(**CREATE, ml_model_id=ml_model_id)

    @task_group
    def remove(ml_model_id: Any) -> None:
        delete(**DELETE | {"created_by": "deploy.create"}, ml_model_id=ml_model_id)

    deploy.expand(ml_model_id=MODELS)
    remove.expand(ml_model_id=MODELS)


def create_alone() -> None:
    mapped_create(ml_model_id=MODELS)
    delete(**DELETE)


def execute_create(make_tasks: Callable[[], None], *states: str | None) -> None:
    """Execute the create task of a Dag, or its first instance, in a run in which the delete task has these states.

    :param states: of one task, or of the instances of a mapped one.
    """
    with DAG("dag", schedule=None) as dag:
        make_tasks()
    create_id, delete_id = (next(found for found in dag.task_ids if name in found) for name in ("create", "delete"))
    task: Any = dag.get_task(create_id)
    if hasattr(task, "unmap"):
        task = task.unmap({"ml_model_id": "ml-1"})
    task.ml_model_id = "ml-1"
    by_index: States = {(delete_id, place if states[1:] else -1): state for place, state in enumerate(states)}
    map_index = -1 if make_tasks in (not_mapped, delete_alone) else 0
    task.execute({"ti": TaskInstance(create_id, map_index=map_index, states=by_index)})


@pytest.mark.parametrize("state", ["running", "deferred", "success"])
def test_after_its_delete_task_it_creates_nothing(service: AmazonMLLocalFixture, state: str) -> None:
    """That is so for a create task that was cleared alone."""
    with pytest.raises(AirflowFailException, match="since delete has already begun .* Clear create with"):
        execute_create(not_mapped, state)
    assert called(service) == []


@pytest.mark.parametrize("state", ["skipped", "failed", "scheduled", None])
def test_a_delete_task_that_has_deleted_nothing_hinders_nothing(
    service: AmazonMLLocalFixture, state: str | None
) -> None:
    """It was not needed, it runs again when it is cleared, or it is yet to run."""
    execute_create(not_mapped, state)
    assert status(service) == "UPDATING"


def test_outside_of_a_run_it_creates(service: AmazonMLLocalFixture) -> None:
    """Tests of a user's Dag call ``execute({})``, where no delete task can have run."""
    with DAG("dag", schedule=None):
        task = create(**CREATE)
        delete(**DELETE)
    task.execute({})
    assert status(service) == "UPDATING"


ALIKE = [over_one_list, over_one_output, in_one_group]
DIFFERENT = [over_another_list, over_products_in_another_order, delete_alone, in_two_groups]


@pytest.mark.parametrize("make_tasks", ALIKE)
def test_after_the_delete_of_its_own_map_index_it_creates_nothing(
    service: AmazonMLLocalFixture, make_tasks: Callable[[], None]
) -> None:
    """Where both tasks are mapped alike, the other instances delete the endpoints of other models."""
    with pytest.raises(AirflowFailException, match="delete has already begun"):
        execute_create(make_tasks, "success", None)
    assert called(service) == []


@pytest.mark.parametrize("make_tasks", ALIKE)
def test_the_deletes_of_other_map_indexes_hinder_nothing(
    service: AmazonMLLocalFixture, make_tasks: Callable[[], None]
) -> None:
    """Where both tasks are mapped alike, the instance with the same map index is yet to run."""
    execute_create(make_tasks, None, "success")
    assert status(service) == "UPDATING"


@pytest.mark.parametrize("make_tasks", DIFFERENT)
def test_where_any_delete_may_be_its_own_one_that_is_yet_to_run_is_enough(
    service: AmazonMLLocalFixture, make_tasks: Callable[[], None]
) -> None:
    """Where the tasks are mapped differently, the map index does not show which instance deletes the endpoint."""
    execute_create(make_tasks, "success", None)
    assert status(service) == "UPDATING"


@pytest.mark.parametrize(
    ("make_tasks", "states"), [(create_alone, ["success"]), *((way, ["success", "success"]) for way in DIFFERENT)]
)
def test_after_all_deletes_it_creates_nothing(
    service: AmazonMLLocalFixture, make_tasks: Callable[[], None], states: list[str]
) -> None:
    """However the tasks are mapped, no instance is left that would delete the endpoint."""
    with pytest.raises(AirflowFailException, match="delete has already begun"):
        execute_create(make_tasks, *states)
    assert called(service) == []
