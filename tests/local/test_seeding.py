"""What is there from the start: a seed makes it, and whatever is wrong with a seed is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from amazon_ml_local.seeding import SeedError, make_seed
from tests.helpers.three_targets import DATA, ROWS, schema

SCHEMA = json.loads(schema("sign"))
SEED: dict[str, Any] = {
    "Buckets": ["empty"],
    "Files": {DATA: "train.csv"},
    "DataSources": [
        {
            "DataSourceId": "ds-1",
            "DataSpec": {"DataLocationS3": DATA, "DataSchema": SCHEMA},
            "ComputeStatistics": True,
        }
    ],
    "MLModels": [{"MLModelId": "ml-1", "MLModelType": "BINARY", "TrainingDataSourceId": "ds-1"}],
    "RealtimeEndpoints": ["ml-1"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the file of the seed."""
    (tmp_path / "train.csv").write_text(ROWS)
    return tmp_path


def yaml_of(seed: Any) -> str:
    import yaml

    return str(yaml.safe_dump(seed))


@pytest.mark.parametrize(("name", "written"), [("seed.yaml", yaml_of), ("seed.json", json.dumps)])
def test_a_seed_is_there_at_once(amazon_ml_local: Any, folder: Path, name: str, written: Any) -> None:
    """Models are trained, endpoints READY, and predictions answered; no request is remembered."""
    (folder / name).write_text(written(SEED))
    amazon_ml_local.seed(folder / name)
    assert list(amazon_ml_local.requests) == []
    client: Any = boto3.client("machinelearning")
    model = client.get_ml_model(MLModelId="ml-1")
    assert (model["Status"], model["EndpointInfo"]["EndpointStatus"]) == ("COMPLETED", "READY")
    url = model["EndpointInfo"]["EndpointUrl"]
    answer = client.predict(MLModelId="ml-1", Record={"x": "59"}, PredictEndpoint=url)
    assert answer["Prediction"]["predictedLabel"] == "1"
    s3 = boto3.client("s3")
    assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} == {"bucket", "empty"}
    assert s3.get_object(Bucket="bucket", Key="train.csv")["Body"].read().decode() == ROWS


def test_a_mapping_is_a_seed_too(amazon_ml_local: Any) -> None:
    """Objects that the test put are there for it."""
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    amazon_ml_local.seed({name: SEED[name] for name in ("DataSources", "MLModels")})
    assert boto3.client("machinelearning").get_ml_model(MLModelId="ml-1")["Status"] == "COMPLETED"


def test_levers_stay_as_they_are(amazon_ml_local: Any) -> None:
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    amazon_ml_local.service.durations.set(ml_model=77)
    amazon_ml_local.service.ready_after_polls(3)
    amazon_ml_local.clock.freeze()
    amazon_ml_local.seed({name: SEED[name] for name in ("DataSources", "MLModels", "RealtimeEndpoints")})
    model = boto3.client("machinelearning").get_ml_model(MLModelId="ml-1")
    assert (model["Status"], model["EndpointInfo"]["EndpointStatus"]) == ("COMPLETED", "READY")
    assert amazon_ml_local.service.durations.ml_model == 77
    assert amazon_ml_local.service.state.polls_needed == 3


def test_the_same_seed_again_changes_nothing(amazon_ml_local: Any, folder: Path) -> None:
    """As with a data folder that was seeded before."""
    (folder / "seed.json").write_text(json.dumps(SEED))
    amazon_ml_local.seed(folder / "seed.json")
    before = boto3.client("machinelearning").get_ml_model(MLModelId="ml-1")
    amazon_ml_local.seed(folder / "seed.json")
    after = boto3.client("machinelearning").get_ml_model(MLModelId="ml-1")
    assert (before["CreatedAt"], before["EndpointInfo"]) == (after["CreatedAt"], after["EndpointInfo"])


def test_a_failure_does_not_outlast_its_cause(amazon_ml_local: Any, folder: Path) -> None:
    """What has failed is made anew by the same seed, once its file is in order."""
    (folder / "seed.json").write_text(json.dumps(SEED))
    (folder / "train.csv").write_text("no,numbers\n")
    for _ in range(2):
        with pytest.raises(SeedError, match="DataSource ds-1 has FAILED"):
            amazon_ml_local.seed(folder / "seed.json")
    (folder / "train.csv").write_text(ROWS)
    amazon_ml_local.seed(folder / "seed.json")
    model = boto3.client("machinelearning").get_ml_model(MLModelId="ml-1")
    assert (model["Status"], model["EndpointInfo"]["EndpointStatus"]) == ("COMPLETED", "READY")


def test_a_model_that_has_failed_is_made_anew(amazon_ml_local: Any) -> None:
    """Also by another Create, which would be refused for one that has not failed."""
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    seed = {"DataSources": SEED["DataSources"], "MLModels": [MODEL | {"RecipeUri": "s3://bucket/none"}]}
    with pytest.raises(SeedError, match="MLModel ml-1 has FAILED"):
        amazon_ml_local.seed(seed)
    amazon_ml_local.seed(seed | {"MLModels": [MODEL]})
    assert boto3.client("machinelearning").get_ml_model(MLModelId="ml-1")["Status"] == "COMPLETED"


def test_a_region_of_its_own(amazon_ml_local: Any) -> None:
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    amazon_ml_local.seed({"Region": "eu-west-1", "DataSources": SEED["DataSources"]})
    assert boto3.client("machinelearning", "us-east-1").describe_data_sources()["Results"] == []
    assert len(boto3.client("machinelearning", "eu-west-1").describe_data_sources()["Results"]) == 1


SOURCE, MODEL = SEED["DataSources"][0], SEED["MLModels"][0]
WRONG = [
    ([], "it must be a mapping with some of Region, Buckets"),
    ({"Models": []}, "there is no kind 'Models'; there are Region, Buckets, Files, DataSources, MLModels"),
    ({"MLModels": {"ml-1": {}}}, "MLModels must be a list"),
    ({"Buckets": ["No Bucket"]}, "Buckets: 'No Bucket' is no bucket name"),
    ({"Files": {"data/train.csv": "x"}}, "Files: 'data/train.csv' is not s3://BUCKET/KEY"),
    ({"Files": {DATA: "missing.csv"}}, f"Files: {DATA}: missing.csv cannot be read: No such file"),
    ({"Files": {DATA: 3}}, f"Files: {DATA} must be a text, not 3"),
    ({"DataSources": ["ds-1"]}, "DataSources: number 1 must be a mapping, not 'ds-1'"),
    ({"MLModels": [MODEL | {"MLModelId": 7}]}, "MLModels: the MLModelId of number 1 must be a text, not 7"),
    ({"DataSources": [{}]}, "DataSources: the DataSourceId of number 1 must be a text, not None"),
    ({"DataSources": [SOURCE, SOURCE]}, "DataSources: ds-1 is there twice"),
    ({"DataSources": [SOURCE | {"DataSourceId": "no id"}]}, "DataSource no id: .*pattern"),
    ({"DataSources": [SOURCE | {"Colour": "red"}]}, "DataSource ds-1: .*Unknown parameter in input: \"Colour\""),
    ({"MLModels": [MODEL]}, "MLModel ml-1: No DataSource with id ds-1 exists"),
    ({"RealtimeEndpoints": ["ml-9"]}, "RealtimeEndpoint ml-9: No MLModel with id ml-9 exists"),
    ({"RealtimeEndpoints": [9]}, "RealtimeEndpoints must be a text, not 9"),
    ({"DataSources": [SOURCE]}, f"DataSource ds-1 has FAILED: No data file at {DATA}"),
]  # fmt: skip


@pytest.mark.parametrize(("seed", "text"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_wrong_is_named(service: Any, tmp_path: Path, seed: Any, text: str) -> None:
    """The kind, the id, the reference, in one line that begins with the seed's name."""
    service.storage.objects.clear()
    with pytest.raises(SeedError, match=f"^the seed: {text}" if not text.startswith("it") else text):
        make_seed(seed, tmp_path).create(service)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("seed.json", "{", "cannot be understood"),
        ("seed.yaml", "a: [", "cannot be understood"),
        ("seed.yaml", "!!python/object/apply:os.getcwd []", "cannot be understood"),
        ("seed.yaml", "", "must be a mapping"),
    ],
)
def test_a_file_that_is_no_seed_is_named(
    amazon_ml_local: Any, tmp_path: Path, name: str, content: str, text: str
) -> None:
    """Also one whose YAML would run something."""
    (tmp_path / name).write_text(content)
    with pytest.raises(SeedError, match=f"{tmp_path / name}:? .*{text}"):
        amazon_ml_local.seed(tmp_path / name)


def test_a_file_that_is_missing_is_named(amazon_ml_local: Any, tmp_path: Path) -> None:
    with pytest.raises(SeedError, match=r"missing.yaml cannot be read: No such file"):
        amazon_ml_local.seed(tmp_path / "missing.yaml")


def test_the_seed_of_the_docs_can_be_followed(amazon_ml_local: Any, tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "amazon-ml-local.md").read_text()
    (tmp_path / "seed.yaml").write_text(text.split("```yaml\n")[1].split("```")[0])
    (tmp_path / "train.csv").write_text("1,0\n2,1\n" * 20)
    amazon_ml_local.seed(tmp_path / "seed.yaml")
    info = boto3.client("machinelearning").get_ml_model(MLModelId="churn")["EndpointInfo"]
    assert info["EndpointStatus"] == "READY"
