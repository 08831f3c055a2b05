"""Answers as they were recorded of AWS, in public repositories and in AWS's own examples."""

from __future__ import annotations

import struct
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.schemas import schema_text
from tests.helpers.training import DEFAULT_PARAMETERS

if TYPE_CHECKING:
    from mypy_boto3_machinelearning import MachineLearningClient

    from amazon_ml_local import AmazonMLLocal
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture


def test_scores_are_32_bit_numbers_widened_to_64(
    service: AmazonMLLocal, client: MachineLearningClient, endpoint: Callable[..., str]
) -> None:
    """Recorded: 0.47380468249320984, 0.001197131467051804, which are not the shortest form of their 32 bits."""
    for model_type, name in (("BINARY", "predictedScores"), ("REGRESSION", "predictedValue")):
        url = endpoint(f"ml-{model_type}", model_type)
        predicted = client.predict(MLModelId=f"ml-{model_type}", Record={"x": "33.3"}, PredictEndpoint=url)
        answer: dict[str, Any] = {**predicted["Prediction"]}
        (score,) = answer[name].values() if name == "predictedScores" else (answer[name],)
        assert struct.unpack("f", struct.pack("f", score))[0] == score
        assert len(repr(score)) > 10


def test_the_threshold_keeps_its_shortest_form(client: MachineLearningClient, model: Callable[..., str]) -> None:
    """Only Predict's numbers were recorded as widened."""
    client.update_ml_model(MLModelId=model(), ScoreThreshold=0.77)
    assert client.get_ml_model(MLModelId="ml-1")["ScoreThreshold"] == 0.77


def test_a_finished_entity_was_last_updated_when_it_finished(
    service: AmazonMLLocal, client: MachineLearningClient, model: Callable[..., str]
) -> None:
    """Recorded of GetDataSource, DescribeMLModels and DescribeEvaluations; the filter goes by it too."""
    model(wait=False)
    created = client.get_ml_model(MLModelId="ml-1")
    assert created["LastUpdatedAt"] == created["CreatedAt"]
    service.clock.advance(3600)
    finished = client.get_ml_model(MLModelId="ml-1")
    assert finished["LastUpdatedAt"] == finished["FinishedAt"] > finished["CreatedAt"]
    at = finished["FinishedAt"].timestamp()
    (listed,) = client.describe_ml_models(FilterVariable="LastUpdatedAt", GE=str(at - 1), LE=str(at + 1))["Results"]
    assert listed["MLModelId"] == "ml-1"
    client.update_ml_model(MLModelId="ml-1", MLModelName="renamed")
    assert client.get_ml_model(MLModelId="ml-1")["LastUpdatedAt"] > finished["FinishedAt"]


def test_training_parameters_name_the_algorithm_also_while_pending(
    service: AmazonMLLocal, client: MachineLearningClient, model: Callable[..., str]
) -> None:
    """Recorded: "algorithm": "sgd" beside the sgd.* ones; it may be given too, and no other."""
    model(wait=False, Parameters={"sgd.maxPasses": "7", "algorithm": "sgd"})
    expected = DEFAULT_PARAMETERS | {"sgd.maxPasses": "7"}
    assert client.get_ml_model(MLModelId="ml-1")["TrainingParameters"] == expected
    service.clock.advance(3600)
    assert client.get_ml_model(MLModelId="ml-1")["TrainingParameters"] == expected


def test_another_algorithm_is_refused(
    client: MachineLearningClient, data_source: Callable[..., str], refused: Callable[..., Any]
) -> None:
    """AWS has SGD alone."""
    model = {"MLModelId": "ml-1", "MLModelType": "BINARY", "TrainingDataSourceId": data_source()}
    refused(
        "InvalidInputException", "algorithm must be 'sgd', not 'adam'", client.create_ml_model,
        **model, Parameters={"algorithm": "adam"},
    )  # fmt: skip


def test_the_log_uri_leads_to_the_jobs_log(
    amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock, ml_model: str
) -> None:
    """It says what was read and learned, one line a step; that of an entity that is not there is refused."""
    client = amazon_ml_local.client()
    uris = [client.get_data_source(DataSourceId="ds-1")["LogUri"], client.get_ml_model(MLModelId=ml_model)["LogUri"]]
    logs = [urllib.request.urlopen(uri).read().decode() for uri in uris]
    assert logs[0].startswith("DataSource ds-1\n")
    assert "s3://training/train.csv: " in logs[0]
    assert "40 records" in logs[0]
    assert logs[1].count("Learner ") == 5
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(uris[0] + "0")


def test_a_pending_entity_has_no_log_yet(client: MachineLearningClient, model: Callable[..., str]) -> None:
    """LogUri appears when the job starts."""
    model(wait=False)
    assert "LogUri" not in client.get_ml_model(MLModelId="ml-1")


def test_a_failed_job_says_why_in_its_log(amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """The last line is the Message."""
    client = amazon_ml_local.client()
    amazon_ml_local.storage.write("s3://bucket/other.csv", b"1")
    client.create_data_source_from_s3(
        DataSourceId="ds-1",
        DataSpec={"DataLocationS3": "s3://bucket/none.csv", "DataSchema": schema_text({"x": "TEXT"})},
    )
    service_clock.advance(3600)
    answer = client.get_data_source(DataSourceId="ds-1")
    assert answer["Status"] == "FAILED"
    assert answer["Message"] in urllib.request.urlopen(answer["LogUri"]).read().decode()
