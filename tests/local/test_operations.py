"""Every operation, held to botocore's service model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.config
import pytest
from botocore.exceptions import ClientError

from amazon_ml_local.operations import OPERATIONS
from amazon_ml_local.protocol import service_model

if TYPE_CHECKING:
    from botocore.model import OperationModel

MODEL = service_model()
KINDS = ("DataSource", "MLModel", "Evaluation", "BatchPrediction")
NEEDS_AN_ENTITY = [
    name
    for name in MODEL.operation_names
    if "ResourceNotFoundException" in {shape.name for shape in MODEL.operation_model(name).error_shapes}
]
SAMPLES: dict[str, Any] = {
    "EntityId": "id-1",
    "S3Url": "s3://bucket/key",
    "VipURL": "https://host",
    "EntityName": "name",
    "TagList": [{"Key": "k"}],
}


def sample(shape: Any) -> Any:
    """A value that keeps every constraint of ``shape``, with its required members only."""
    if shape.name in SAMPLES:
        return SAMPLES[shape.name]
    if shape.type_name == "structure":
        return {name: sample(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [sample(shape.member)]
    if shape.type_name == "map":
        return {"key": sample(shape.value)}
    return shape.enum[0] if shape.enum else "a" * shape.metadata.get("min", 1)


def call(client: Any, operation: OperationModel, **parameters: Any) -> Any:
    return client._make_api_call(operation.name, parameters)


def required(name: str) -> list[str]:
    """Return the members that a request of the operation must have."""
    shape = MODEL.operation_model(name).input_shape
    assert shape
    return shape.required_members


def test_every_operation_of_the_service_model_is_served() -> None:
    assert set(OPERATIONS) == set(MODEL.operation_names)


@pytest.mark.parametrize("name", [name for name in MODEL.operation_names if required(name)])
def test_required_members_that_are_missing_are_all_named_in_one_message(name: str, service: Any) -> None:
    client = service.client(config=botocore.config.Config(parameter_validation=False))
    operation = MODEL.operation_model(name)
    with pytest.raises(ClientError) as caught:
        call(client, operation)
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidInputException"
    for member in required(name):
        path = member[0].lower() + member[1:]
        assert f"Value null at '{path}' failed to satisfy constraint: Member must not be null" in error["Message"]


@pytest.mark.parametrize("name", NEEDS_AN_ENTITY)
def test_an_unknown_id_is_answered_in_the_words_of_the_service(name: str, client: Any, refused: Any) -> None:
    operation = MODEL.operation_model(name)
    parameters = sample(operation.input_shape)
    kind = parameters.get("ResourceType") or next(kind for kind in KINDS if f"{kind}Id" in parameters)
    refused(
        "ResourceNotFoundException", f"No {kind} with id id-1 exists", lambda: call(client, operation, **parameters)
    )


@pytest.mark.parametrize("name", NEEDS_AN_ENTITY)
def test_an_error_carries_no_integer_code_which_the_javascript_sdk_takes_for_its_name(name: str, client: Any) -> None:
    operation = MODEL.operation_model(name)
    with pytest.raises(ClientError) as caught:
        call(client, operation, **sample(operation.input_shape))
    assert "code" not in caught.value.response
    assert caught.value.response["ResponseMetadata"]["RequestId"]


def test_get_tells_of_a_data_source_what_was_created(client: Any, service: Any, data_source: Any) -> None:
    data_source("ds-1", DataRearrangement='{"splitting": {"percentBegin": 0, "percentEnd": 50}}')
    service.clock.advance(3600)
    found = client.get_data_source(DataSourceId="ds-1", Verbose=True)
    assert found["Status"] == "COMPLETED"
    assert found["DataLocationS3"] == "s3://bucket/train.csv"
    assert found["DataRearrangement"] == '{"splitting": {"percentBegin": 0, "percentEnd": 50}}'
    assert found["NumberOfFiles"] == 1
    assert found["DataSizeInBytes"] == len(service.storage.read("s3://bucket/train.csv"))
    assert found["ComputeStatistics"] is True
    assert '"targetAttributeName": "sign"' in found["DataSourceSchema"]
    assert "DataSourceSchema" not in client.get_data_source(DataSourceId="ds-1")


def test_get_tells_of_a_model_what_was_created_and_trained(client: Any, model: Any) -> None:
    model("ml-1", MLModelName="first", Parameters={"sgd.maxPasses": "20"})
    found = client.get_ml_model(MLModelId="ml-1", Verbose=True)
    assert (found["Status"], found["Name"], found["MLModelType"]) == ("COMPLETED", "first", "BINARY")
    assert found["TrainingDataSourceId"] == "ds-of-ml-1"
    assert found["InputDataLocationS3"] == "s3://bucket/train.csv"
    assert found["TrainingParameters"]["sgd.maxPasses"] == "20"
    assert found["TrainingParameters"]["sgd.shuffleType"] == "none"
    assert found["ScoreThreshold"] == 0.5
    assert found["SizeInBytes"] > 0
    assert '"outputs"' in found["Recipe"]
    assert '"attributes"' in found["Schema"]
    assert found["EndpointInfo"] == {"EndpointStatus": "NONE", "PeakRequestsPerSecond": 0}
    assert not {"Recipe", "Schema"} & set(client.get_ml_model(MLModelId="ml-1"))


@pytest.mark.parametrize(
    ("model_type", "metric"),
    [("BINARY", "BinaryAUC"), ("REGRESSION", "RegressionRMSE"), ("MULTICLASS", "MulticlassAvgFScore")],
)
def test_an_evaluation_gives_the_metric_of_the_models_type(
    model_type: str, metric: str, client: Any, service: Any, model: Any
) -> None:
    model("ml-1", model_type)
    client.create_evaluation(EvaluationId="ev-1", MLModelId="ml-1", EvaluationDataSourceId="ds-of-ml-1")
    service.clock.advance(3600)
    found = client.get_evaluation(EvaluationId="ev-1")
    assert found["Status"] == "COMPLETED"
    assert (found["MLModelId"], found["EvaluationDataSourceId"]) == ("ml-1", "ds-of-ml-1")
    assert list(found["PerformanceMetrics"]["Properties"]) == [metric]
    assert float(found["PerformanceMetrics"]["Properties"][metric]) >= 0


def test_a_batch_prediction_counts_its_records_and_writes_its_results(client: Any, service: Any, model: Any) -> None:
    model("ml-1")
    client.create_batch_prediction(
        BatchPredictionId="bp-1",
        MLModelId="ml-1",
        BatchPredictionDataSourceId="ds-of-ml-1",
        OutputUri="s3://results/here/",
    )
    service.clock.advance(3600)
    found = client.get_batch_prediction(BatchPredictionId="bp-1")
    assert found["Status"] == "COMPLETED"
    assert (found["TotalRecordCount"], found["InvalidRecordCount"]) == (60, 0)
    assert found["OutputUri"] == "s3://results/here/"
    assert service.storage.list("s3://results/") == [
        "s3://results/here/batch-prediction/bp-1.manifest",
        "s3://results/here/batch-prediction/result/bp-1-train.csv.gz",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_update_changes_the_name_and_the_time_of_the_last_update(
    kind: str, client: Any, service: Any, entities: Any
) -> None:
    update, get = (OPERATION[verb](client, kind) for verb in ("update", "get"))
    before = get(**{f"{kind}Id": "one"})
    service.clock.advance(10)
    assert update(**{f"{kind}Id": "one", f"{kind}Name": "better"})[f"{kind}Id"] == "one"
    after = get(**{f"{kind}Id": "one"})
    assert after["Name"] == "better"
    assert (after["LastUpdatedAt"] - before["LastUpdatedAt"]).total_seconds() >= 10
    assert after["CreatedAt"] == before["CreatedAt"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_deleted_is_still_there_as_deleted(kind: str, client: Any, entities: Any) -> None:
    """Get and Describe show it."""
    delete, get, describe = (OPERATION[verb](client, kind) for verb in ("delete", "get", "describe"))
    delete(**{f"{kind}Id": "one"})
    assert get(**{f"{kind}Id": "one"})["Status"] == "DELETED"
    assert [item["Status"] for item in describe()["Results"]] == ["DELETED"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_deleted_can_be_deleted_again(kind: str, client: Any, entities: Any) -> None:
    """The answer is the same."""
    delete = OPERATION["delete"](client, kind)
    assert [delete(**{f"{kind}Id": "one"})[f"{kind}Id"] for _ in range(2)] == ["one", "one"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_deleted_cannot_be_updated_or_tagged(kind: str, client: Any, entities: Any, refused: Any) -> None:
    OPERATION["delete"](client, kind)(**{f"{kind}Id": "one"})
    update = OPERATION["update"](client, kind)
    refused("InvalidInputException", f"{kind} one is DELETED", update, **{f"{kind}Id": "one", f"{kind}Name": "n"})
    tag = {"ResourceId": "one", "ResourceType": kind, "Tags": [{"Key": "k"}]}
    refused("InvalidInputException", f"{kind} one is DELETED", client.add_tags, **tag)


OPERATION: dict[str, Any] = {
    verb: (
        lambda client, kind, verb=verb: getattr(client, f"{verb}_{METHODS[kind]}{'s' if verb == 'describe' else ''}")
    )
    for verb in ("update", "get", "delete", "describe")
}
METHODS: dict[str, Any] = {
    "DataSource": "data_source",
    "MLModel": "ml_model",
    "Evaluation": "evaluation",
    "BatchPrediction": "batch_prediction",
}


@pytest.fixture
def entities(client: Any, service: Any, data_source: Any) -> None:
    """One entity of each kind, all with the id ``one``, COMPLETED."""
    data_source("one")
    client.create_ml_model(MLModelId="one", MLModelType="BINARY", TrainingDataSourceId="one")
    client.create_evaluation(EvaluationId="one", MLModelId="one", EvaluationDataSourceId="one")
    client.create_batch_prediction(
        BatchPredictionId="one", MLModelId="one", BatchPredictionDataSourceId="one", OutputUri="s3://results"
    )
    service.clock.advance(3600)
