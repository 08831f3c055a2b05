"""Wait for a data source, a model, an evaluation or a batch prediction that somebody else makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AirflowFailException, AirflowSensorTimeout
from airflow_ml_provider.sensors.machine_learning import (
    MachineLearningBatchPredictionSensor,
    MachineLearningDataSourceSensor,
    MachineLearningEvaluationSensor,
    MachineLearningMLModelSensor,
)
from tests.helpers.deferred import finish
from tests.helpers.schemas import schema_text

if TYPE_CHECKING:
    from airflow_ml_provider.resources import ResourceKind
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture

SENSORS: dict[str, tuple[type[Any], str]] = {
    "DataSource": (MachineLearningDataSourceSensor, "data_source_id"),
    "MLModel": (MachineLearningMLModelSensor, "ml_model_id"),
    "Evaluation": (MachineLearningEvaluationSensor, "evaluation_id"),
    "BatchPrediction": (MachineLearningBatchPredictionSensor, "batch_prediction_id"),
}
every_kind = pytest.mark.parametrize("kind", SENSORS)
every_way = pytest.mark.parametrize("deferrable", [False, True], ids=["poke", "deferrable"])


@pytest.fixture
def make(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> Callable[[str], Any]:
    """Create one of a kind, as somebody else would."""
    client = amazon_ml_local.client()
    schema = schema_text({"x": "TEXT", "y": "TEXT"})
    data: Any = {"DataLocationS3": "s3://training/train.csv", "DataSchema": schema}
    makers: dict[str, Callable[[], Any]] = {
        "DataSource": lambda: client.create_data_source_from_s3(DataSourceId="new", DataSpec=data),
        "MLModel": lambda: client.create_ml_model(MLModelId="new", MLModelType="BINARY", TrainingDataSourceId="ds-1"),
        "Evaluation": lambda: client.create_evaluation(
            EvaluationId="new", MLModelId="ml-1", EvaluationDataSourceId="ds-1"
        ),
        "BatchPrediction": lambda: client.create_batch_prediction(
            BatchPredictionId="new",
            MLModelId="ml-1",
            BatchPredictionDataSourceId="ds-1",
            OutputUri="s3://training/out/",
        ),
    }
    return lambda kind: makers[kind]()


def sensor(kind: str, **arguments: Any) -> Any:
    found, argument = SENSORS[kind]
    return found(**{"task_id": "wait", argument: "new", "poke_interval": 30, "timeout": 600, **arguments})


@every_way
@every_kind
def test_it_waits_until_completed(
    kind: str, deferrable: bool, make: Callable[[str], Any], service_clock: Clock
) -> None:
    """The description is what it gives to XCom, in plain JSON types."""
    make(kind)
    seen = finish(sensor(kind, deferrable=deferrable), service_clock)
    assert (seen[f"{kind}Id"], seen["Status"]) == ("new", "COMPLETED")
    assert "LogUri" not in seen


@every_way
@every_kind
def test_a_final_verdict_fails_at_once(
    kind: ResourceKind,
    deferrable: bool,
    make: Callable[[str], Any],
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
) -> None:
    """FAILED raises with the service's Message, and no retry: waiting again would not help."""
    amazon_ml_local.service.fail(kind, "new", message="The data is broken")
    make(kind)
    service_clock.advance(3600)
    expected = f"{kind} new in us-east-1: status FAILED after 0 s and 1 call: The data is broken"
    with pytest.raises(AirflowFailException, match=expected):
        finish(sensor(kind, deferrable=deferrable), service_clock)


@every_way
@every_kind
def test_an_unknown_id_fails_at_once(
    kind: str, deferrable: bool, amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock
) -> None:
    """Nobody waits for what does not exist."""
    with pytest.raises(AirflowFailException, match=f"No {kind} with id new exists"):
        finish(sensor(kind, deferrable=deferrable), service_clock)


@every_way
@every_kind
def test_deleted_fails_at_once(
    kind: str, deferrable: bool, make: Callable[[str], Any], amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock
) -> None:
    """DELETED is a failure, and not a wait until the end."""
    make(kind)
    name = SENSORS[kind][1].removesuffix("_id")
    getattr(amazon_ml_local.client(), f"delete_{name}")(**{f"{kind}Id": "new"})
    with pytest.raises(AirflowFailException, match=f"{kind} new in us-east-1: status DELETED"):
        finish(sensor(kind, deferrable=deferrable), service_clock)


@every_way
@every_kind
def test_the_deadline_is_the_sensors_timeout(
    kind: str, deferrable: bool, make: Callable[[str], Any], amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock
) -> None:
    """What never ends is AirflowSensorTimeout in every mode."""
    durations = amazon_ml_local.service.durations
    for duration in ("data_source", "ml_model", "evaluation", "batch_prediction"):
        setattr(durations, duration, 7200)
    make(kind)
    with pytest.raises(AirflowSensorTimeout):
        finish(sensor(kind, deferrable=deferrable), service_clock)
