"""How statuses move, what waits for what, and what may be asked twice."""

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import Mock

import pytest

from amazon_ml_local import AmazonMLLocal, MemoryStorage
from amazon_ml_local.learning import batch, training
from tests.helpers.schemas import schema_text
from tests.helpers.threads import SECONDS, Held
from tests.helpers.three_targets import DATA, schema


def test_a_status_moves_from_pending_over_inprogress_to_completed(client: Any, service: Any, data_source: Any) -> None:
    service.durations.set(data_source=10)
    data_source("ds-1")
    seen = []
    for _ in range(6):
        found = client.get_data_source(DataSourceId="ds-1")
        seen.append((found["Status"], "StartedAt" in found, "FinishedAt" in found, "ComputeTime" in found))
        service.clock.advance(2)
    assert seen == [
        ("PENDING", False, False, False),
        *[("INPROGRESS", True, False, False)] * 4,
        ("COMPLETED", True, True, True),
    ]


def test_times_are_those_of_the_schedule_however_late_one_looks(client: Any, service: Any, data_source: Any) -> None:
    service.durations.set(data_source=10)
    data_source("ds-1")
    service.clock.advance(5000)
    found = client.get_data_source(DataSourceId="ds-1")
    assert (found["StartedAt"] - found["CreatedAt"]).total_seconds() == pytest.approx(2, abs=0.01)
    assert (found["FinishedAt"] - found["CreatedAt"]).total_seconds() == pytest.approx(10, abs=0.01)
    assert found["ComputeTime"] == 8000


def test_a_model_waits_as_pending_while_its_data_source_is_computed(client: Any, service: Any, model: Any) -> None:
    service.durations.set(data_source=100, ml_model=10)
    model("ml-1", wait=False)
    service.clock.advance(99)
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "PENDING"
    service.clock.advance(4)
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "INPROGRESS"
    service.clock.advance(7)
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "COMPLETED"


def test_an_evaluation_waits_for_its_model_and_its_data_source(client: Any, service: Any, model: Any) -> None:
    service.durations.set(data_source=100, ml_model=10, evaluation=5)
    model("ml-1", wait=False)
    client.create_evaluation(EvaluationId="ev-1", MLModelId="ml-1", EvaluationDataSourceId="ds-of-ml-1")
    service.clock.advance(111)
    assert client.get_evaluation(EvaluationId="ev-1")["Status"] == "INPROGRESS"
    service.clock.advance(4)
    assert client.get_evaluation(EvaluationId="ev-1")["Status"] == "COMPLETED"


def test_what_depends_on_a_failure_fails_and_names_it(client: Any, service: Any, data_source: Any) -> None:
    data_source("ds-1", DataLocationS3="s3://bucket/nothing-here.csv")
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    service.clock.advance(3600)
    source, model = client.get_data_source(DataSourceId="ds-1"), client.get_ml_model(MLModelId="ml-1")
    assert (source["Status"], model["Status"]) == ("FAILED", "FAILED")
    assert "s3://bucket/nothing-here.csv" in source["Message"]
    assert model["Message"] == f"DataSource ds-1 has failed: {source['Message']}"
    assert "FinishedAt" in model
    assert "ComputeTime" not in model


@pytest.mark.parametrize("before", [True, False])
def test_an_entity_can_be_told_to_fail_before_and_after_its_creation(
    before: bool, client: Any, service: Any, model: Any
) -> None:
    if before:
        service.fail("MLModel", "ml-1", message="No luck")
    model("ml-1", wait=False)
    if not before:
        service.fail("MLModel", "ml-1", message="No luck")
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "PENDING"
    service.clock.advance(3600)
    found = client.get_ml_model(MLModelId="ml-1")
    assert (found["Status"], found["Message"]) == ("FAILED", "No luck")


def test_only_kinds_that_the_service_has_can_be_told_to_fail(service: Any) -> None:
    with pytest.raises(ValueError, match="no kind 'Model'; there are DataSource, MLModel, "):
        service.fail("Model", "ml-1")


def test_entities_end_at_the_nth_get_where_polls_count_and_so_do_their_inputs(
    client: Any, service: Any, model: Any
) -> None:
    service.ready_after_polls(3)
    model("ml-1", wait=False)
    service.clock.advance(10_000)
    assert client.get_data_source(DataSourceId="ds-of-ml-1")["Status"] == "INPROGRESS"
    assert [client.get_ml_model(MLModelId="ml-1")["Status"] for _ in range(4)] == [
        "INPROGRESS",
        "INPROGRESS",
        "COMPLETED",
        "COMPLETED",
    ]
    assert client.get_data_source(DataSourceId="ds-of-ml-1")["Status"] == "COMPLETED"


def test_where_polls_count_the_inputs_of_inputs_end_too(
    client: Any, service: Any, model: Any, data_source: Any
) -> None:
    """An evaluation cannot be COMPLETED before the data source that its model learned from."""
    service.ready_after_polls(1)
    model("ml-1", wait=False)
    source = data_source("ds-2")
    client.create_evaluation(EvaluationId="ev-1", MLModelId="ml-1", EvaluationDataSourceId=source)
    assert client.get_evaluation(EvaluationId="ev-1")["Status"] == "COMPLETED"
    found = [*client.describe_ml_models()["Results"], *client.describe_data_sources()["Results"]]
    assert [each["Status"] for each in found] == ["COMPLETED"] * 3


class HeldStorage(MemoryStorage):
    """Lists nothing before it is released."""

    def __init__(self) -> None:
        super().__init__({DATA: b"1\n2\n"})
        self.released = threading.Event()

    def list(self, uri: str) -> list[str]:
        self.released.wait(60)
        return super().list(uri)


def test_a_running_clock_shows_work_as_inprogress_until_it_is_done() -> None:
    """A status never runs ahead of the real work: the result is there when COMPLETED is told."""
    storage = HeldStorage()
    service = AmazonMLLocal(storage)
    client = service.client()
    spec: Any = {"DataLocationS3": DATA, "DataSchema": schema_text({"x": "NUMERIC"})}
    client.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec)
    service.clock.advance(3600)
    assert client.get_data_source(DataSourceId="ds-1")["Status"] == "INPROGRESS"
    storage.released.set()
    service.clock.freeze()
    service.clock.advance(1)
    found = client.get_data_source(DataSourceId="ds-1")
    assert found["Status"] == "COMPLETED"
    assert (found["FinishedAt"] - found["CreatedAt"]).total_seconds() >= 3601


def test_what_was_begun_with_a_data_source_goes_on_when_that_is_deleted(client: Any, service: Any, model: Any) -> None:
    """AWS's behaviour is not known."""
    model("ml-1", wait=False)
    client.delete_data_source(DataSourceId="ds-of-ml-1")
    service.clock.advance(3600)
    assert client.get_data_source(DataSourceId="ds-of-ml-1")["Status"] == "DELETED"
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "COMPLETED"


@pytest.mark.parametrize(
    ("end", "reason"), [("close", "The service has ended"), ("delete_batch_prediction", "It was deleted")]
)
def test_a_batch_prediction_that_is_to_end_writes_no_results(
    end: str, reason: str, client: Any, service: Any, model: Any, monkeypatch: Any
) -> None:
    """However far it had come."""
    model()
    predicting = Held(batch.predict_rows)
    monkeypatch.setattr(batch, "predict_rows", predicting)
    output = {"BatchPredictionDataSourceId": "ds-of-ml-1", "OutputUri": "s3://bucket/out/"}
    client.create_batch_prediction(BatchPredictionId="bp-1", MLModelId="ml-1", **output)
    (entity,) = service.state.region("us-east-1").all("BatchPrediction")
    assert predicting.begun.wait(SECONDS)
    if end == "close":
        service.close()
    else:
        client.delete_batch_prediction(BatchPredictionId="bp-1")
    predicting.released.set()
    assert str(entity.job.exception(SECONDS)) == reason
    assert list(service.storage.objects) == [DATA]


def test_the_same_create_twice_is_one_entity(client: Any, service: Any, data_source: Any) -> None:
    data_source("ds-1")
    service.clock.advance(3600)
    data_source("ds-1")
    assert client.get_data_source(DataSourceId="ds-1")["Status"] == "COMPLETED"
    assert len(client.describe_data_sources()["Results"]) == 1


def test_another_create_under_the_same_id_is_refused(client: Any, model: Any, data_source: Any, refused: Any) -> None:
    model("one")
    data_source("one")
    client.create_evaluation(EvaluationId="one", MLModelId="one", EvaluationDataSourceId="one")
    other_spec = {"DataLocationS3": DATA, "DataSchema": schema("double")}
    database = {
        "DatabaseInformation": {"DatabaseName": "db", "ClusterIdentifier": "c"},
        "DatabaseCredentials": {"Username": "u", "Password": "password"},
        "SelectSqlQuery": "select 1",
        "S3StagingLocation": "s3://bucket/",
        "DataSchema": schema("sign"),
    }
    other = {"MLModelId": "one", "MLModelType": "BINARY", "TrainingDataSourceId": "one"}
    code = "IdempotentParameterMismatchException"
    refused(code, "DataSource", client.create_data_source_from_s3, DataSourceId="one", DataSpec=other_spec)
    refused(
        code,
        "DataSource",
        client.create_data_source_from_redshift,
        DataSourceId="one",
        DataSpec=database,
        RoleARN="arn:aws:iam::123456789012:role/r",
    )
    refused(code, "MLModel", client.create_ml_model, **other)
    refused(
        code,
        "Evaluation with id one exists",
        client.create_evaluation,
        EvaluationId="one",
        MLModelId="one",
        EvaluationDataSourceId="ds-of-one",
    )


def test_an_id_is_free_again_after_delete(client: Any, model: Any, service: Any) -> None:
    """AWS's answer is not known; a Dag that makes and deletes the same id runs twice here."""
    model("ml-1")
    client.delete_ml_model(MLModelId="ml-1")
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-of-ml-1", MLModelName="b")
    found = client.get_ml_model(MLModelId="ml-1")
    assert (found["Status"], found["Name"]) == ("PENDING", "b")
    assert len(client.describe_ml_models()["Results"]) == 1


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"TrainingDataSourceId": "no-such"}, "No DataSource with id no-such exists"),
        ({"TrainingDataSourceId": "deleted"}, "DataSource deleted is DELETED"),
        ({"TrainingDataSourceId": "failed"}, "DataSource failed is FAILED"),
        ({"TrainingDataSourceId": "without"}, "without ComputeStatistics"),
        ({"Recipe": "{}", "RecipeUri": "s3://bucket/recipe"}, "only one of Recipe and RecipeUri"),
        ({"Recipe": "no JSON"}, "ecipe"),
        ({"Parameters": {"sgd.maxPasses": "0"}}, "sgd.maxPasses"),
    ],
)
def test_a_model_that_cannot_be_is_refused(
    members: dict[str, Any], text: str, client: Any, service: Any, data_source: Any, refused: Any
) -> None:
    for entity_id in ("ds-1", "deleted"):
        data_source(entity_id)
    data_source("failed", DataLocationS3="s3://bucket/nothing-here.csv")
    spec: Any = {"DataLocationS3": DATA, "DataSchema": schema("sign")}
    client.create_data_source_from_s3(DataSourceId="without", DataSpec=spec)
    client.delete_data_source(DataSourceId="deleted")
    service.clock.advance(3600)
    parameters = {"MLModelId": "ml-1", "MLModelType": "BINARY", "TrainingDataSourceId": "ds-1", **members}
    refused("InvalidInputException", text, client.create_ml_model, **parameters)
    refused("ResourceNotFoundException", "", client.get_ml_model, MLModelId="ml-1")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, "exactly one of DataSchema and DataSchemaLocationS3"),
        ({"DataSchema": "{}", "DataSchemaLocationS3": "s3://bucket/schema"}, "exactly one of"),
        ({"DataSchema": "no JSON"}, "schema"),
        ({"DataSchema": schema("sign"), "DataRearrangement": '{"splitting": {"percentBegin": 50}, "x": 1'}, "earrange"),
    ],
)
def test_a_data_source_that_cannot_be_is_refused(spec: dict[str, Any], text: str, client: Any, refused: Any) -> None:
    parameters = {"DataSourceId": "ds-1", "DataSpec": {"DataLocationS3": DATA, **spec}}
    refused("InvalidInputException", text, client.create_data_source_from_s3, **parameters)


@pytest.mark.parametrize("uri", ["s3://bucket/a:b", "s3://bucket/a//b", "s3://bucket/a/./b", "s3://bucket/a/../b"])
def test_an_output_uri_has_none_of_the_forbidden_parts(uri: str, client: Any, model: Any, refused: Any) -> None:
    model("ml-1", wait=False)
    parameters = {"MLModelId": "ml-1", "BatchPredictionDataSourceId": "ds-of-ml-1", "OutputUri": uri}
    refused(
        "InvalidInputException", "OutputUri", client.create_batch_prediction, BatchPredictionId="bp-1", **parameters
    )


def test_each_region_has_entities_of_its_own(client: Any, service: Any, model: Any, refused: Any) -> None:
    model("ml-1")
    elsewhere = service.client(region_name="eu-west-1")
    refused("ResourceNotFoundException", "No MLModel with id ml-1 exists", elsewhere.get_ml_model, MLModelId="ml-1")
    assert elsewhere.describe_ml_models()["Results"] == []


def test_a_schema_can_lie_in_s3(client: Any, service: Any) -> None:
    service.storage.write("s3://bucket/data.schema", schema("sign").encode())
    spec: Any = {"DataLocationS3": DATA, "DataSchemaLocationS3": "s3://bucket/data.schema"}
    client.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec, ComputeStatistics=True)
    service.clock.advance(3600)
    assert client.get_data_source(DataSourceId="ds-1", Verbose=True)["DataSourceSchema"] == schema("sign")


def test_a_recipe_can_lie_in_s3(client: Any, service: Any, data_source: Any) -> None:
    service.storage.write("s3://bucket/recipe.json", b'{"groups": {}, "assignments": {}, "outputs": ["ALL_NUMERIC"]}')
    client.create_ml_model(
        MLModelId="ml-1",
        MLModelType="BINARY",
        TrainingDataSourceId=data_source("ds-1"),
        RecipeUri="s3://bucket/recipe.json",
    )
    service.clock.advance(3600)
    assert "ALL_NUMERIC" in client.get_ml_model(MLModelId="ml-1", Verbose=True)["Recipe"]


def test_many_models_of_the_same_data_are_trained_once(client: Any, service: Any, model: Any, monkeypatch: Any) -> None:
    train = Mock(wraps=training.train)
    monkeypatch.setattr(training, "train", train)
    model("ml-0", wait=False)
    for number in range(1, 20):
        client.create_ml_model(MLModelId=f"ml-{number}", MLModelType="BINARY", TrainingDataSourceId="ds-of-ml-0")
    service.clock.advance(3600)
    assert {item["Status"] for item in client.describe_ml_models()["Results"]} == {"COMPLETED"}
    assert train.call_count == 1
