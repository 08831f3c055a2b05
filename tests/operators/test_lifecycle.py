"""Create, read, change and delete data sources, models, evaluations and batch predictions, against the service."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.batch_prediction import (
    MachineLearningCreateBatchPredictionOperator,
    MachineLearningDeleteBatchPredictionOperator,
    MachineLearningGetBatchPredictionOperator,
    MachineLearningUpdateBatchPredictionOperator,
)
from airflow_ml_provider.operators.data_source import (
    MachineLearningCreateDataSourceFromS3Operator,
    MachineLearningDeleteDataSourceOperator,
    MachineLearningGetDataSourceOperator,
    MachineLearningUpdateDataSourceOperator,
)
from airflow_ml_provider.operators.evaluation import (
    MachineLearningCreateEvaluationOperator,
    MachineLearningDeleteEvaluationOperator,
    MachineLearningGetEvaluationOperator,
    MachineLearningUpdateEvaluationOperator,
)
from airflow_ml_provider.operators.lifecycle import deterministic_id
from airflow_ml_provider.operators.ml_model import (
    MachineLearningCreateMLModelOperator,
    MachineLearningDeleteMLModelOperator,
    MachineLearningGetMLModelOperator,
    MachineLearningUpdateMLModelOperator,
)
from airflow_ml_provider.operators.tags import MachineLearningAddTagsOperator, MachineLearningDeleteTagsOperator
from tests.helpers.deferred import finish
from tests.helpers.schemas import data_schema
from tests.helpers.task_instances import TaskInstance, context_of

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.resources import ResourceKind
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture

SCHEMA = data_schema({"x": "NUMERIC", "y": "BINARY"}, dataFileContainsHeader=True)
CREATES: dict[str, tuple[Any, dict[str, Any]]] = {
    "DataSource": (
        MachineLearningCreateDataSourceFromS3Operator,
        {"data_source_id": "new", "data_location_s3": "s3://training/train.csv", "data_schema": SCHEMA},
    ),
    "MLModel": (
        MachineLearningCreateMLModelOperator,
        {"ml_model_id": "new", "ml_model_type": "BINARY", "training_data_source_id": "ds-1"},
    ),
    "Evaluation": (
        MachineLearningCreateEvaluationOperator,
        {"evaluation_id": "new", "ml_model_id": "ml-1", "evaluation_data_source_id": "ds-1"},
    ),
    "BatchPrediction": (
        MachineLearningCreateBatchPredictionOperator,
        {
            "batch_prediction_id": "new",
            "ml_model_id": "ml-1",
            "batch_prediction_data_source_id": "ds-1",
            "output_uri": "s3://training/out/",
        },
    ),
}
CHANGES: dict[str, tuple[str, Any, Any, Any]] = {
    "DataSource": (
        "data_source",
        MachineLearningGetDataSourceOperator,
        MachineLearningUpdateDataSourceOperator,
        MachineLearningDeleteDataSourceOperator,
    ),
    "MLModel": (
        "ml_model",
        MachineLearningGetMLModelOperator,
        MachineLearningUpdateMLModelOperator,
        MachineLearningDeleteMLModelOperator,
    ),
    "Evaluation": (
        "evaluation",
        MachineLearningGetEvaluationOperator,
        MachineLearningUpdateEvaluationOperator,
        MachineLearningDeleteEvaluationOperator,
    ),
    "BatchPrediction": (
        "batch_prediction",
        MachineLearningGetBatchPredictionOperator,
        MachineLearningUpdateBatchPredictionOperator,
        MachineLearningDeleteBatchPredictionOperator,
    ),
}
every_kind = pytest.mark.parametrize("kind", CREATES)


def context(**ids: Any) -> Context:
    return context_of(task_instance(**ids))


def task_instance(**ids: Any) -> TaskInstance:
    return TaskInstance(**{"task_id": "task"} | ids)


def create(kind: str, **arguments: Any) -> Any:
    operator, defaults = CREATES[kind]
    return operator(**{"task_id": "create", **defaults, **arguments})


def id_argument(kind: str) -> Any:
    return next(name for name in CREATES[kind][1] if CREATES[kind][1][name] == "new")


def status(service: AmazonMLLocalFixture, kind: str, resource_id: str = "new") -> Any:
    name, *_ = CHANGES[kind]
    return getattr(service.client(), f"get_{name}")(**{f"{kind}Id": resource_id})["Status"]


@every_kind
def test_create_waits_until_completed(kind: str, ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """It looks until the service says COMPLETED, and returns the id."""
    assert create(kind).execute({}) == "new"
    assert amazon_ml_local.requests.count(f"Get{kind}") >= 2
    assert status(amazon_ml_local, kind) == "COMPLETED"


@every_kind
def test_every_member_of_what_create_made_is_an_xcom(kind: str, ml_model: str) -> None:
    """In plain JSON types, under AWS's names; the presigned LogUri is left out."""
    seen = task_instance()
    create(kind).execute(context_of(seen))
    pushed = seen.pushed
    assert (pushed[f"{kind}Id"], pushed["Status"]) == ("new", "COMPLETED")
    assert pushed["FinishedAt"].endswith("+00:00")
    assert "LogUri" not in pushed


def test_evaluation_gives_its_metric(ml_model: str) -> None:
    """``evaluate.output["PerformanceMetrics"]`` is what a later task decides by."""
    seen = task_instance()
    create("Evaluation").execute(context_of(seen))
    assert float(seen.pushed["PerformanceMetrics"]["Properties"]["BinaryAUC"]) > 0.95


@every_kind
def test_a_deferred_create_gives_what_a_synchronous_one_gives(
    kind: str, ml_model: str, service_clock: Clock, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """After a deferral the id is returned and every member is an XCom of its own, too."""
    seen = task_instance()
    assert finish(create(kind, deferrable=True), service_clock, context_of(seen)) == "new"
    assert seen.pushed.items() >= {f"{kind}Id": "new", "Status": "COMPLETED"}.items()
    synchronous = task_instance()
    create(kind).execute(context_of(synchronous))
    assert seen.pushed == synchronous.pushed


@every_kind
@pytest.mark.parametrize("deferrable", [False, True])
def test_without_waiting_create_returns_at_once(
    kind: str, deferrable: bool, ml_model: str, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """The id is returned while the resource is still being made; one Get sees that it has not FAILED."""
    assert create(kind, wait_for_completion=False, deferrable=deferrable).execute({}) == "new"
    assert status(amazon_ml_local, kind) != "COMPLETED"
    assert amazon_ml_local.requests.count(f"Get{kind}") == 2


def test_a_status_that_no_poll_has_shown_is_left_out(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """With waiting off the Get may be refused; then assets and lineage get no status that AWS does not have."""
    amazon_ml_local.faults.add("error", code="AccessDeniedException", operation="GetMLModel")
    task = create("MLModel", wait_for_completion=False)
    task.execute({})
    assert task.remembered == {"MLModelId": "new"}


@every_kind
def test_a_retry_finds_what_it_made(kind: str, ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """The same id with the same parameters is success, however far the first try came."""
    create(kind, wait_for_completion=False).execute({})
    assert create(kind).execute({}) == "new"
    assert status(amazon_ml_local, kind) == "COMPLETED"


@every_kind
@pytest.mark.parametrize("wait_for_completion", [True, False])
def test_failed_is_never_reported_as_done(
    kind: ResourceKind,
    wait_for_completion: bool,
    ml_model: str,
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
) -> None:
    """FAILED raises with the service's Message, and says what to do, also for an earlier try's and with waiting off."""
    amazon_ml_local.service.fail(kind, "new", message="The data is broken")
    with pytest.raises(AirflowException, match="The data is broken.*if_exists='replace' or another id"):
        create(kind).execute({})
    with pytest.raises(AirflowException, match=rf"{kind} new in us-east-1: status FAILED.*The data is broken"):
        create(kind, wait_for_completion=wait_for_completion).execute({})


def test_replace_makes_what_failed_anew(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """With the cause mended and ``if_exists="replace"``, the id is used again."""
    bad = {"data_location_s3": "s3://bucket/missing.csv"}
    with pytest.raises(AirflowException, match="status FAILED"):
        create("DataSource", **bad).execute({})
    with pytest.raises(AirflowException, match="made with other parameters"):
        create("DataSource").execute({})
    assert create("DataSource", if_exists="replace").execute({}) == "new"
    assert status(amazon_ml_local, "DataSource") == "COMPLETED"


@every_kind
def test_replace_leaves_what_has_not_failed(kind: str, ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """A retry with ``replace`` goes on with what an earlier try began, and deletes nothing."""
    create(kind, if_exists="replace", wait_for_completion=False).execute({})
    create(kind, if_exists="replace").execute({})
    assert amazon_ml_local.requests.count(f"Delete{kind}") == 0


def test_replace_takes_the_place_of_other_parameters(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """A task that is cleared after its arguments were changed makes the resource anew."""
    create("MLModel").execute({})
    create("MLModel", if_exists="replace", parameters={"sgd.maxPasses": 20}).execute({})
    assert amazon_ml_local.requests.count("DeleteMLModel") == 1
    model = amazon_ml_local.client().get_ml_model(MLModelId="new")
    assert model["TrainingParameters"]["sgd.maxPasses"] == "20"


@every_kind
def test_fail_refuses_what_exists(kind: str, ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """With ``if_exists="fail"`` a resource that exists is an error, before any Create."""
    create(kind, if_exists="fail").execute({})
    with pytest.raises(AirflowException, match="it exists already, with status COMPLETED"):
        create(kind, if_exists="fail").execute({})
    assert amazon_ml_local.requests.count(CREATES[kind][0].operation) == 1


def test_other_parameters_are_refused_with_advice(ml_model: str) -> None:
    """The same id with other parameters is AWS's error, and says what to do."""
    create("MLModel").execute({})
    with pytest.raises(AirflowException, match="IdempotentParameterMismatchException.*choose another id"):
        create("MLModel", ml_model_name="another").execute({})


def test_the_deadline_says_what_was_seen(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """When the deadline comes first: id, region, last status, elapsed time and calls made."""
    amazon_ml_local.service.durations.ml_model = 3600
    expected = "MLModel new in us-east-1: status PENDING after 60 s and 4 calls: the deadline of 60 s has passed"
    with pytest.raises(AirflowException, match=expected):
        create("MLModel", waiter_delay=30, waiter_max_attempts=2).execute({})


@every_kind
def test_an_id_that_is_left_out_is_made_of_the_run(kind: str, ml_model: str) -> None:
    """Dag, task, run and map index make the id, so that every retry finds it again."""
    made = create(kind, **{id_argument(kind): None}).execute(context())
    assert made == deterministic_id(context())
    assert made.startswith("dag.task-")


IDENTITIES: list[dict[str, Any]] = [
    {},
    {"run_id": "another"},
    {"map_index": 0},
    {"map_index": 1},
    {"dag_id": "dag.task", "task_id": "t"},
    {"dag_id": "dag", "task_id": "task.t"},
    {"dag_id": "d" * 100, "task_id": "a"},
    {"dag_id": "d" * 100, "task_id": "b"},
    {"dag_id": "Überwachung", "task_id": "größe", "run_id": "manual__2026-11-23T10:00:00+00:00"},
]


def test_no_two_task_instances_share_an_id() -> None:
    """Nor by names that are the same when they are joined or cut."""
    ids = [deterministic_id(context(**identity)) for identity in IDENTITIES]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("identity", IDENTITIES, ids=str)
def test_an_id_is_the_same_in_every_try(identity: dict[str, Any]) -> None:
    """So a retry finds what an earlier try has made."""
    assert deterministic_id(context(**identity)) == deterministic_id(context(**identity))


@pytest.mark.parametrize("identity", IDENTITIES, ids=str)
def test_an_id_is_one_that_aws_takes(identity: dict[str, Any]) -> None:
    """At most 64 of the allowed characters, whatever the names."""
    assert re.fullmatch("[a-zA-Z0-9_.-]{1,64}", deterministic_id(context(**identity)))


def test_an_id_cannot_be_left_out_outside_of_a_run(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Without a task instance there is nothing to make an id of."""
    with pytest.raises(InvalidArgument, match="an id may be left out only in a Dag run"):
        create("MLModel", ml_model_id=None).execute({})
    assert len(amazon_ml_local.requests) == 0


@every_kind
def test_do_xcom_push_false_is_honoured(kind: str, ml_model: str) -> None:
    """Nothing is pushed, no member either."""
    seen = task_instance()
    create(kind, do_xcom_push=False).execute(context_of(seen))
    assert not seen.pushed


@every_kind
def test_get_returns_the_description_in_json_types(kind: str, ml_model: str) -> None:
    """Times are ISO 8601 text, and the presigned LogUri is left out; Airflow pushes each member as an XCom too."""
    create(kind).execute({})
    name, get, _, _ = CHANGES[kind]
    task = get(task_id="get", **{f"{name}_id": "new"})
    found = task.execute({})
    assert task.multiple_outputs
    assert found == json.loads(json.dumps(found))
    assert (found[f"{kind}Id"], found["Status"]) == ("new", "COMPLETED")
    assert found["CreatedAt"].endswith("+00:00")
    assert not {"LogUri", "ResponseMetadata"} & set(found)


def test_verbose_gives_recipe_and_schema(ml_model: str) -> None:
    """Verbose as text, as a template renders it, is a boolean."""
    found = MachineLearningGetMLModelOperator(task_id="get", ml_model_id=ml_model, verbose="True").execute({})
    assert json.loads(str(found["Schema"]))["targetAttributeName"] == "y"
    assert json.loads(str(found["Recipe"]))["outputs"]
    assert "Recipe" not in MachineLearningGetMLModelOperator(task_id="g", ml_model_id=ml_model).execute({})


@every_kind
def test_update_renames(kind: str, ml_model: str) -> None:
    """The new name is what Get says from then on."""
    create(kind).execute({})
    name, get, update, _ = CHANGES[kind]
    assert update(task_id="update", **{f"{name}_id": "new", f"{name}_name": "a new name"}).execute({}) == "new"
    assert get(task_id="get", **{f"{name}_id": "new"}).execute({})["Name"] == "a new name"


@pytest.mark.parametrize("threshold", [0.0, "0.0", 0, "0.75", 1])
def test_any_score_threshold_is_sent(
    threshold: float | str | int, ml_model: str, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """0.0 is a threshold like any other, and rendered text is a number."""
    MachineLearningUpdateMLModelOperator(task_id="u", ml_model_id=ml_model, score_threshold=threshold).execute({})
    assert amazon_ml_local.client().get_ml_model(MLModelId=ml_model)["ScoreThreshold"] == float(threshold)


@every_kind
def test_delete_twice_is_success(kind: str, ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Deleting marks the resource DELETED; doing it again changes nothing."""
    create(kind).execute({})
    name, _, _, delete = CHANGES[kind]
    task = delete(task_id="delete", **{f"{name}_id": "new"})
    assert [task.execute({}), task.execute({})] == ["new", "new"]
    assert status(amazon_ml_local, kind) == "DELETED"


@every_kind
def test_deleting_what_does_not_exist_is_success(kind: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """A teardown must not fail the run."""
    name, _, _, delete = CHANGES[kind]
    assert delete(task_id="delete", **{f"{name}_id": "unknown"}).execute({}) == "unknown"


@every_kind
def test_unknown_ids_are_explained(kind: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Get and Update of what does not exist name it, and say where ids belong."""
    name, get, update, _ = CHANGES[kind]
    unknown = {f"{name}_id": "unknown"}
    expected = f"in us-east-1: .*ResourceNotFoundException.*No {kind} with id unknown exists.*region_name"
    for task in (get(task_id="get", **unknown), update(task_id="update", **unknown, **{f"{name}_name": "name"})):
        with pytest.raises(AirflowException, match=expected):
            task.execute({})


TAGGED: dict[str, Any] = {"resource_id": "ml-1", "resource_type": "MLModel"}


def add_tags(**tags: str) -> Any:
    pairs: Any = [{"Key": key, "Value": value} for key, value in tags.items()]
    return MachineLearningAddTagsOperator(task_id="add", tags=pairs, **TAGGED).execute({})


def tags(service: AmazonMLLocalFixture) -> dict[str, str]:
    """Return the tags of ml-1."""
    found = service.client().describe_tags(ResourceId="ml-1", ResourceType="MLModel")["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


def test_add_tags_gives_a_known_key_a_new_value(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """The others stay; the id of the resource is returned."""
    assert add_tags(team="a", stage="übung") == ml_model
    add_tags(team="b")
    assert tags(amazon_ml_local) == {"team": "b", "stage": "übung"}


def test_delete_tags_takes_keys(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """The others stay; the id of the resource is returned."""
    add_tags(team="a", stage="übung")
    assert MachineLearningDeleteTagsOperator(task_id="d", tag_keys=["stage"], **TAGGED).execute({}) == ml_model
    assert tags(amazon_ml_local) == {"team": "a"}
