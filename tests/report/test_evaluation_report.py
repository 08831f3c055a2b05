"""The report of results in S3: metrics as scikit-learn's, what is written and what is pushed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn import metrics

from airflow_ml_provider.links import EvaluationReportLink, object_url
from airflow_ml_provider.operators.ml_model import MachineLearningUpdateMLModelOperator

if TYPE_CHECKING:
    from airflow_ml_provider.report.columns import ModelType
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.report.results import Results

RANDOM = np.random.default_rng(0)
N = 300
TRUTH = (RANDOM.random(N) < 0.4).astype(int)
SCORES = np.clip(RANDOM.normal(0.35 + 0.3 * TRUTH, 0.2), 0, 1).round(4)
COLOURS = ["blue", "green", "red"]
TRUE_COLOURS = RANDOM.choice(COLOURS, N)
PREDICTED_COLOURS = np.where(RANDOM.random(N) < 0.8, TRUE_COLOURS, RANDOM.choice(COLOURS, N))
VALUES = RANDOM.gamma(3, 50, N).round(3)
PREDICTED_VALUES = (VALUES * 0.9 + RANDOM.normal(0, 20, N)).round(3)


def csv(header: Any, *columns: Any) -> Any:
    return "\n".join([header, *(",".join(map(str, row)) for row in zip(*columns, strict=True))]) + "\n"


def binary_csv(scores: Any = SCORES) -> Any:
    """Return what PredictS3 writes for a BINARY model, with keys."""
    labels = (scores >= 0.5).astype(int)
    return csv("id,y,predictedLabel,predictedScore", range(N), TRUTH, labels, scores)


@pytest.fixture
def of_binary(results: Results, report: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Report on a BINARY model's predictions."""
    results.model("BINARY")
    uri = results.put("predictions.csv", binary_csv())
    return lambda **arguments: report(predictions_uri=uri, ml_model_id="ml-1", true_label_column="y", **arguments)


def test_binary_metrics_are_scikit_learns(of_binary: Callable[..., dict[str, Any]]) -> None:
    """On the same rows, at the model's threshold."""
    pushed = of_binary()
    assert pushed["Rows"] == N
    found = pushed["Metrics"]
    predicted = SCORES >= 0.5
    assert found["BinaryAUC"] == pytest.approx(metrics.roc_auc_score(TRUTH, SCORES))
    assert found["AveragePrecision"] == pytest.approx(metrics.average_precision_score(TRUTH, SCORES))
    assert found["LogLoss"] == pytest.approx(metrics.log_loss(TRUTH, SCORES))
    assert found["BrierScore"] == pytest.approx(metrics.brier_score_loss(TRUTH, SCORES))
    assert found["Accuracy"] == pytest.approx(metrics.accuracy_score(TRUTH, predicted))
    assert found["Precision"] == pytest.approx(metrics.precision_score(TRUTH, predicted))
    assert found["Recall"] == pytest.approx(metrics.recall_score(TRUTH, predicted))
    assert found["F1"] == pytest.approx(metrics.f1_score(TRUTH, predicted))


def test_without_a_goal_the_best_threshold_has_the_highest_f1(of_binary: Callable[..., dict[str, Any]]) -> None:
    """Of all that there are."""
    pushed = of_binary()
    best = pushed["BestThreshold"]
    assert pushed["AtBestThreshold"]["F1"] == max(metrics.f1_score(TRUTH, at <= SCORES) for at in SCORES)
    assert pushed["AtBestThreshold"]["F1"] == metrics.f1_score(TRUTH, best <= SCORES)


def test_what_is_pushed_is_in_the_json_too(of_binary: Callable[..., dict[str, Any]], results: Results) -> None:
    """Metrics and the best threshold."""
    pushed = of_binary()
    written = json.loads(results.get("report.json"))["Models"][0]
    assert written["Binary"]["BestThreshold"] == pushed["BestThreshold"]
    assert written["Binary"]["Metrics"].items() <= pushed["Metrics"].items()


def test_multiclass_metrics_are_scikit_learns(results: Results, report: Callable[..., dict[str, Any]]) -> None:
    """The confusion matrix, and precision, recall and F1 of each class and on average."""
    results.model("MULTICLASS")
    uri = results.put("p.csv", csv("y,predictedLabel,predictedScores.blue", TRUE_COLOURS, PREDICTED_COLOURS, SCORES))
    pushed = report(predictions_uri=uri, ml_model_id="ml-1", true_label_column="y")
    found = json.loads(results.get("report.json"))["Models"][0]["Multiclass"]
    assert found["Labels"] == COLOURS
    matrix = metrics.confusion_matrix(TRUE_COLOURS, PREDICTED_COLOURS, labels=COLOURS)
    assert found["ConfusionMatrix"] == matrix.tolist()
    by_class = metrics.precision_recall_fscore_support(TRUE_COLOURS, PREDICTED_COLOURS, labels=COLOURS)
    for at, (label, *expected) in enumerate(zip(COLOURS, *by_class, strict=True)):
        assert list(found["Classes"][at].values()) == [label, *map(pytest.approx, expected)]
    f1 = metrics.f1_score(TRUE_COLOURS, PREDICTED_COLOURS, average="macro")
    assert pushed["Metrics"]["MulticlassAvgFScore"] == pytest.approx(f1)
    assert pushed["Metrics"]["Accuracy"] == pytest.approx(metrics.accuracy_score(TRUE_COLOURS, PREDICTED_COLOURS))
    assert "BestThreshold" not in pushed


def test_regression_metrics_are_scikit_learns(results: Results, report: Callable[..., dict[str, Any]]) -> None:
    """RMSE, MAE and the rest."""
    results.model("REGRESSION")
    uri = results.put("p.csv", csv("y,predictedValue", VALUES, PREDICTED_VALUES))
    found = report(predictions_uri=uri, ml_model_id="ml-1", true_label_column="y")["Metrics"]
    assert found["RegressionRMSE"] == pytest.approx(metrics.root_mean_squared_error(VALUES, PREDICTED_VALUES))
    assert found["MAE"] == pytest.approx(metrics.mean_absolute_error(VALUES, PREDICTED_VALUES))
    assert found["MedianAbsoluteError"] == pytest.approx(metrics.median_absolute_error(VALUES, PREDICTED_VALUES))
    assert found["R2"] == pytest.approx(metrics.r2_score(VALUES, PREDICTED_VALUES))
    assert found["MeanResidual"] == pytest.approx((VALUES - PREDICTED_VALUES).mean())


@pytest.mark.parametrize(
    ("type", "metric"),
    [("BINARY", "BinaryAUC"), ("MULTICLASS", "MulticlassAvgFScore"), ("REGRESSION", "RegressionRMSE")],
)
def test_a_batch_predictions_metric_is_the_evaluations(
    results: Results,
    report: Callable[..., dict[str, Any]],
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    type: ModelType,
    metric: str,
) -> None:
    """The report of a batch prediction and CreateEvaluation on the same data say the same."""
    pushed = report(batch_prediction_id=results.batch(type))
    client = amazon_ml_local.client()
    client.create_evaluation(EvaluationId="ev-1", MLModelId="ml-bp-1", EvaluationDataSourceId=f"ds-{type}")
    service_clock.advance(3600)
    evaluated = client.get_evaluation(EvaluationId="ev-1")["PerformanceMetrics"]["Properties"][metric]
    assert pushed["Metrics"][metric] == pytest.approx(float(evaluated), rel=1e-5)
    assert pushed["Rows"] == 30


def test_json_lines_and_gzip_are_the_same_rows(
    of_binary: Callable[..., dict[str, Any]], results: Results, report: Callable[..., dict[str, Any]]
) -> None:
    """What PredictS3 writes in other formats makes the same report."""
    lines = [
        {"id": place, "y": bool(truth), "predictedLabel": str(label), "predictedScores": {str(label): score}}
        for place, (truth, label, score) in enumerate(
            zip(TRUTH.tolist(), (SCORES >= 0.5).astype(int).tolist(), SCORES.tolist(), strict=True)
        )
    ]
    packed = results.put("p.jsonl.gz", "".join(f"{json.dumps(line)}\n" for line in lines))
    first = of_binary()
    second = report(predictions_uri=packed, ml_model_id="ml-1", true_label_column="y")
    assert second == first


def test_several_objects_are_read_in_order(
    of_binary: Callable[..., dict[str, Any]], results: Results, report: Callable[..., dict[str, Any]]
) -> None:
    """A prefix that ends in a slash is the folder of the output of several tasks."""
    lines = binary_csv().splitlines(keepends=True)
    results.put("parts/1.csv", "".join(lines[:100]))
    results.put("parts/2.csv.gz", "".join([lines[0], *lines[100:]]))
    first = of_binary()
    second = report(predictions_uri="s3://reports/parts/", ml_model_id="ml-1", true_label_column="y")
    assert second == first


def test_best_threshold_is_what_update_takes(
    of_binary: Callable[..., dict[str, Any]], amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """The XCom goes to MachineLearningUpdateMLModelOperator as it is, also as text that a template rendered."""
    best = of_binary(false_positive_cost="1", false_negative_cost="5")["BestThreshold"]
    for given in (best, str(best)):
        MachineLearningUpdateMLModelOperator(task_id="update", ml_model_id="ml-1", score_threshold=given).execute({})
        assert amazon_ml_local.client().get_ml_model(MLModelId="ml-1")["ScoreThreshold"] == pytest.approx(best)


def test_two_models_stand_beside_each_other(of_binary: Callable[..., dict[str, Any]], results: Results) -> None:
    """Metrics of both, how often which is right, and the rows that differ most."""
    results.model("BINARY", "ml-2", threshold=0.3)
    worse = np.clip(SCORES * 0.5 + 0.2, 0, 1).round(4)
    other = results.put("other.csv", binary_csv(worse))
    pushed = of_binary(other_predictions_uri=other, other_ml_model_id="ml-2")
    right, other_right = (SCORES >= 0.5) == TRUTH, (worse >= 0.3) == TRUTH
    found = pushed["Comparison"]
    assert pushed["OtherMetrics"]["Accuracy"] == pytest.approx(other_right.mean())
    assert found["BothRight"] == (right & other_right).sum()
    assert found["OnlyThisRight"] == (right & ~other_right).sum()
    assert found["OnlyOtherRight"] == (~right & other_right).sum()
    assert found["BothWrong"] == (~right & ~other_right).sum()
    assert found["MeanDifference"] == pytest.approx(np.abs(SCORES - worse).mean())
    compared = json.loads(results.get("report.json"))["Comparison"]
    assert compared["MatchedBy"] == ["y", "id"]
    assert compared["Differences"][0]["Row"] == np.abs(SCORES - worse).argmax() + 1


def test_rows_without_prediction_or_label_are_counted_and_left_out(
    results: Results, report: Callable[..., dict[str, Any]]
) -> None:
    """A blank line of a batch prediction is a record that AWS could not read; an empty label is none."""
    body = "trueLabel,bestAnswer,score\n" + "1,1,9E-1\n\n,0,1E-1\n" * 10
    pushed = report(batch_prediction_id=results.batch("BINARY", body.replace("1,1,9E-1", "0,0,2E-1", 1)))
    written = json.loads(results.get("report.json"))["Models"][0]
    counts = (written["Rows"], written["RowsWithoutPrediction"], written["RowsWithoutTrueLabel"])
    assert counts == (10, 10, 10)
    assert pushed["Rows"] == 10


def test_a_label_that_no_model_knows_counts_as_wrong(results: Results, report: Callable[..., dict[str, Any]]) -> None:
    """A class that only the truth has gets F1 0, as in AWS's evaluation."""
    body = "trueLabel,red,green\n" + "red,9E-1,1E-1\n" * 20 + "violet,9E-1,1E-1\n" * 10
    pushed = report(batch_prediction_id=results.batch("MULTICLASS", body))
    assert pushed["Metrics"]["MulticlassAvgFScore"] == pytest.approx((0.8 + 0 + 0) / 3)


def test_the_objects_open_in_a_browser(of_binary: Callable[..., dict[str, Any]], results: Results) -> None:
    """Content types say what they are."""
    of_binary()
    heads = {
        key: results.s3.head_object(Bucket="reports", Key=key)["ContentType"] for key in ("report.html", "report.json")
    }
    assert heads == {"report.html": "text/html; charset=utf-8", "report.json": "application/json; charset=utf-8"}


def test_a_retry_writes_the_same_bytes(of_binary: Callable[..., dict[str, Any]], results: Results) -> None:
    """Nothing in a report depends on the time, or on the process."""
    of_binary()
    first = results.get("report.html"), results.get("report.json")
    of_binary()
    assert (results.get("report.html"), results.get("report.json")) == first


def test_the_link_is_what_the_task_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The link on the task opens the URL in XCom; before there is one it is empty."""
    found = {"ReportUrl": "http://localhost/reports/report.html"}
    monkeypatch.setattr(
        "airflow_ml_provider.compat.XCom", type("XCom", (), {"get_value": staticmethod(get_value(found))})
    )
    link: Any = EvaluationReportLink()  # what it makes no use of is None
    assert link.get_link(None, ti_key=None) == "http://localhost/reports/report.html"
    found.clear()
    assert link.get_link(None, ti_key=None) == ""


def get_value(found: Any) -> Callable[..., Any]:
    return lambda key, ti_key: found.get(key)


def test_the_url_leads_to_the_console_or_to_the_endpoint() -> None:
    """With AWS to the object's page in the console, else to the object at the endpoint."""
    uri = "s3://reports/a b/ü.html"
    assert object_url(uri, "https://s3.eu-west-1.amazonaws.com", "eu-west-1") == (
        "https://s3.console.aws.amazon.com/s3/object/reports?region=eu-west-1&prefix=a%20b%2F%C3%BC.html"
    )
    assert object_url(uri, "http://localhost:5000", "eu-west-1") == "http://localhost:5000/reports/a%20b/%C3%BC.html"
