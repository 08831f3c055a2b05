"""The evaluation gate: good enough, and better than the model now deployed; judged by the service's evaluations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.evaluating import METRICS, Metric, evaluation_to_compare, metric, shortfalls
from airflow_ml_provider.operators.evaluation import MachineLearningEvaluationGateOperator

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture


def gate(**arguments: Any) -> Any:
    task = MachineLearningEvaluationGateOperator(**{"task_id": "gate", "evaluation_id": "new", **arguments})
    task.downstream_task_ids = {"deploy", "tell"}
    return task


def evaluate(
    service: AmazonMLLocalFixture, evaluation_id: str, ml_model_id: str = "ml-1", data_source_id: str = "ds-1"
) -> Any:
    client = service.client()
    client.create_evaluation(EvaluationId=evaluation_id, MLModelId=ml_model_id, EvaluationDataSourceId=data_source_id)
    service.clock.advance(600)
    return metric(client.get_evaluation(EvaluationId=evaluation_id)).value


@pytest.fixture
def value(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> float:
    """The AUC of the evaluation ``new``."""
    return float(evaluate(amazon_ml_local, "new"))


@pytest.mark.parametrize(("bar", "passes"), [(-0.01, True), (0.0, True), (0.01, False)])
def test_a_bar_is_passed_when_it_is_reached(bar: float, passes: bool, value: float) -> None:
    """Equal is enough for a bar; what is directly downstream is followed, or nothing."""
    assert gate(at_least=value + bar).choose_branch({}) == (["deploy", "tell"] if passes else [])


def test_the_gate_tells_what_it_measured(value: float) -> None:
    """Metric and verdict are XComs of their own; none of them is None, which Airflow 3.0 refuses."""
    pushed = {}
    task = gate(at_least=0.5)
    task.push_members = lambda context, members: pushed.update(members)
    task.choose_branch({})
    assert pushed == {"Passed": True, "Metric": "BinaryAUC", "Value": value}


@pytest.mark.parametrize(
    ("arguments", "passed", "failed"),
    [
        ({}, ["deploy", "tell"], []),
        ({"follow_task_ids_if_false": "tell"}, ["deploy"], ["tell"]),
        ({"follow_task_ids_if_true": "deploy"}, ["deploy"], []),
        ({"follow_task_ids_if_true": ["deploy"], "follow_task_ids_if_false": ["tell"]}, ["deploy"], ["tell"]),
    ],
)
def test_task_ids_make_it_branch(arguments: dict[str, Any], passed: list[str], failed: list[Any], value: float) -> None:
    """Without task ids it short-circuits; what is named for the one case is not followed in the other."""
    assert gate(at_least=0.1, **arguments).choose_branch({}) == passed
    assert gate(at_least=1.1, **arguments).choose_branch({}) == failed


@pytest.mark.parametrize("nothing", [None, "", "None"])
def test_without_a_deployed_model_there_is_nothing_to_beat(nothing: str | None, value: float) -> None:
    """The first model of a pipeline passes."""
    assert gate(at_least=0.1, better_than_ml_model_id=nothing).choose_branch({})


def test_no_better_than_the_deployed_model_is_not_enough(value: float, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """The same metric on the same rows does not pass."""
    client = amazon_ml_local.client()
    client.create_ml_model(MLModelId="deployed", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    evaluate(amazon_ml_local, "old", "deployed")
    assert gate(better_than_ml_model_id="deployed").choose_branch({}) == []


def test_a_deployed_model_without_evaluation_is_an_error_that_says_what_to_do(
    value: float, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """There is nothing to compare with."""
    amazon_ml_local.client().create_ml_model(MLModelId="deployed", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    with pytest.raises(AirflowException, match="MLModel deployed in us-east-1 has no COMPLETED evaluation.*ds-1"):
        gate(better_than_ml_model_id="deployed").choose_branch({})


def test_an_evaluation_that_is_not_completed_is_an_error(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """A gate never decides by what is not there yet."""
    amazon_ml_local.client().create_evaluation(EvaluationId="new", MLModelId=ml_model, EvaluationDataSourceId="ds-1")
    with pytest.raises(ValueError, match="Evaluation new has status PENDING and none of BinaryAUC"):
        gate(at_least=0.5).choose_branch({})


def test_an_unknown_evaluation_is_explained(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """AWS's error, and where ids belong."""
    with pytest.raises(AirflowException, match="The evaluation gate in us-east-1: .*No Evaluation with id new exists"):
        gate(at_least=0.5).choose_branch({})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"at_least": "much"}, "at_least: 'much' is not a finite float"),
        ({"at_most": True}, "at_most: it is bool"),
        ({"at_least": 0.5, "evaluation_id": None}, "evaluation_id: it is None"),
        ({"at_least": 0.5, "better_than_ml_model_id": "no id"}, "better_than_ml_model_id: 'no id' does not match"),
    ],
)
def test_bad_arguments_are_refused_before_any_call(
    arguments: dict[str, Any], message: str, amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """The argument is named, and nothing is sent."""
    with pytest.raises(InvalidArgument, match=message):
        gate(**arguments).choose_branch({})
    assert len(amazon_ml_local.requests) == 0


def test_a_gate_without_a_bar_is_refused_when_the_dag_is_parsed() -> None:
    """It would let everything pass."""
    with pytest.raises(InvalidArgument, match="at_least, at_most, better_than_ml_model_id: at least one"):
        gate()


@pytest.mark.parametrize("name", METRICS)
def test_better_means_more_or_less_by_the_metric(name: Any) -> None:
    """Of an AUC or F-score more is better, of an RMSE less; the same is no better."""
    low, high = Metric(name, 0.1), Metric(name, 0.2)
    better, worse = (high, low) if METRICS[name] else (low, high)
    assert better.beats(worse)
    assert not worse.beats(better)
    assert not low.beats(low)


@pytest.mark.parametrize(
    ("found", "at_least", "at_most", "message"),
    [
        (Metric("BinaryAUC", 0.9), None, 0.5, "at_most: more BinaryAUC is better, so the bar is at_least"),
        (Metric("RegressionRMSE", 9), 10, None, "at_least: less RegressionRMSE is better, so the bar is at_most"),
    ],
)
def test_a_bar_that_does_not_fit_the_metric_is_refused(
    found: Any, at_least: int | None, at_most: float | None, message: str
) -> None:
    """An AUC of at most 0.5 is never meant."""
    with pytest.raises(InvalidArgument, match=message):
        list(shortfalls(found, at_least, at_most, None))


def test_models_of_different_types_do_not_compare() -> None:
    """An AUC is not held against an RMSE."""
    with pytest.raises(InvalidArgument, match="its metric is RegressionRMSE, and cannot be compared with BinaryAUC"):
        Metric("BinaryAUC", 0.9).beats(Metric("RegressionRMSE", 0.1))


def evaluation(evaluation_id: str, data_source_id: str, status: str = "COMPLETED") -> dict[str, Any]:
    """Return what the service says of an evaluation."""
    return {"EvaluationId": evaluation_id, "EvaluationDataSourceId": data_source_id, "Status": status}


LATEST_FIRST = [evaluation("e4", "ds-2"), evaluation("e3", "ds-1"), evaluation("e2", "ds-1")]


@pytest.mark.parametrize(("data_source_id", "compared"), [("ds-1", "e3"), ("ds-9", "e4")])
def test_the_latest_evaluation_on_the_same_data_is_compared(data_source_id: str, compared: str) -> None:
    """It goes before a later evaluation on other data; where there is none, the latest of all is compared."""
    found = evaluation_to_compare(LATEST_FIRST, data_source_id)
    assert found
    assert found["EvaluationId"] == compared


def test_an_evaluation_that_is_not_completed_is_not_compared() -> None:
    """It has no metric."""
    assert evaluation_to_compare([evaluation("e5", "ds-1", "FAILED")], "ds-1") is None


def test_metrics_are_those_of_the_service_model() -> None:
    """The names stand in the documentation of PerformanceMetrics in botocore's service model."""
    from airflow_ml_provider.service_model import service_model

    documentation = service_model().shape_for("PerformanceMetrics").documentation
    assert all(name in documentation for name in METRICS)


@pytest.mark.parametrize("bars", [("BinaryAUC", 0.5, None), ("RegressionRMSE", None, 0.5)])
def test_a_metric_that_is_no_number_passes_no_bar(bars: tuple[Any, ...]) -> None:
    """NaN is neither below nor above anything, and no reason to deploy."""
    name, at_least, at_most = bars
    assert list(shortfalls(Metric(name, float("nan")), at_least, at_most, None))
