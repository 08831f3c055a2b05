"""What cannot be reported on is named with its place, and nothing is written."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.evaluation_report import MachineLearningEvaluationReportOperator

if TYPE_CHECKING:
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.report.results import Results

HEADER = "id,y,predictedLabel,predictedScore\n"
GOOD = "a,1,1,0.9\nb,0,0,0.2\n"


@pytest.fixture
def refused(results: Results, report: Callable[..., dict[str, Any]]) -> Callable[..., str]:
    """Report on results that a BINARY model's task cannot have written so; return the error."""
    results.model("BINARY")

    def run(text: str, key: str = "p.csv", error: Any = AirflowFailException, **arguments: Any) -> str:
        uri = results.put(key, text)
        with pytest.raises(error) as raised:
            report(**{"predictions_uri": uri, "ml_model_id": "ml-1", "true_label_column": "y", **arguments})
        assert not {"report.html", "report.json"} & results.keys()
        return str(raised.value)

    return run


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "a,1,1,\n", "row 1 of s3://reports/p.csv, column 'predictedScore': it is missing"),
        (HEADER + GOOD + "c,1,1,high\n", "row 3 of s3://reports/p.csv, column 'predictedScore': it is no number"),
        (HEADER + GOOD + "c,1,1,nan\n", "row 3 of s3://reports/p.csv, column 'predictedScore': it is no number"),
        (
            HEADER + GOOD + "c,1,1,1.5\n",
            "row 3 of s3://reports/p.csv, column 'predictedScore': it is no score from 0 to 1",
        ),
        (
            HEADER + GOOD + "c,maybe,1,0.5\n",
            "row 3 of s3://reports/p.csv, column 'y': it is no label of a BINARY model",
        ),
        (HEADER + "a,1,1,0.9\nb,1,0,0.2\n", "each of the 2 rows at s3://reports/p.csv has the true label 1"),
        (
            HEADER + "a,,1,0.9\nb,,0,0.2\n",
            "none of the 2 rows at s3://reports/p.csv has both a prediction and a true label",
        ),
        (HEADER, "none of the 0 rows at s3://reports/p.csv has both"),
        ("", "s3://reports/p.csv is empty: it has no header"),
        (
            "id,predictedLabel,predictedScore\na,1,0.9\n",
            "the true label should be in a column 'y' of s3://reports/p.csv",
        ),
        (
            "id,y,predictedValue\na,1,0.9\n",
            "the predictions of the BINARY model ml-1 should be in a column 'predictedScore'",
        ),
        (HEADER + GOOD + "c,1,1,0.", "s3://reports/p.csv is cut: its last line has no end"),
        (HEADER + GOOD + "c,1\n" + GOOD, "row 3 of s3://reports/p.csv has 2 fields, the columns are 4: it is cut"),
        (HEADER + GOOD + 'c,1,1,"0.9\n', "line 4 of s3://reports/p.csv is no CSV"),
    ],
)
def test_csv_that_cannot_be_reported_on_is_named_by_its_place(
    refused: Callable[..., str], text: str, message: str
) -> None:
    """Missing labels, one class, bad scores, a file that is cut: the row, the column and the object are named."""
    assert message in refused(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"y": "1", "predictedLabel": "1"}\n',
            "row 1 of s3://reports/p.jsonl, column 'predictedScore': it is missing",
        ),
        (
            '{"y": "1", "predictedScores": {"1": 0.9}}\n{"y": "0", "predictedScores": {"0": [1]}}\n',
            "row 2 of s3://reports/p.jsonl, column 'predictedScore': it is no number",
        ),
        (
            '{"y": "1", "predictedScores": {"1": 0.9}}\n{"y": "0", "pred\n',
            "line 2 of s3://reports/p.jsonl is no JSON object",
        ),
        ('{"y": null, "predictedScores": {"1": 0.9}}\n', "none of the 1 rows at s3://reports/p.jsonl has both"),
        ("", "s3://reports/p.jsonl is empty"),
    ],
)
def test_json_lines_that_cannot_be_reported_on_are_named_by_their_place(
    refused: Callable[..., str], text: str, message: str
) -> None:
    """The row, the member and the object are named."""
    assert message in refused(text, "p.jsonl")


def test_a_value_is_never_in_the_message(refused: Callable[..., str]) -> None:
    """It may be somebody's data; the place is enough to find it."""
    assert "Jane Doe" not in refused(HEADER + "a,1,1,Jane Doe\n")
    assert "Jane Doe" not in refused(HEADER + "a,Jane Doe,1,0.5\n")


def test_packed_results_that_are_cut_are_named(refused: Callable[..., str], results: Results) -> None:
    """Half a gzip file is named as such."""
    packed = gzip.compress((HEADER + GOOD * 1000).encode())
    results.put("whole.csv", b"")
    results.s3.put_object(Bucket="reports", Key="cut.csv.gz", Body=packed[: len(packed) // 2])
    message = refused("", "other.csv", predictions_uri="s3://reports/cut.csv.gz")
    assert "s3://reports/cut.csv.gz is cut or damaged, it cannot be unpacked" in message


def test_results_that_are_gone_are_named(refused: Callable[..., str]) -> None:
    """The argument and the object are named."""
    message = refused("", predictions_uri="s3://reports/gone.csv")
    assert message == "predictions_uri: the results are gone, there is no object at s3://reports/gone.csv"


def test_a_batch_predictions_result_that_is_gone_is_named(
    results: Results, report: Callable[..., dict[str, Any]]
) -> None:
    """The argument and the object are named."""
    results.batch("BINARY")
    results.s3.delete_object(Bucket="reports", Key=results.result_key("BINARY"))
    with pytest.raises(AirflowFailException, match="batch_prediction_id: the results are gone, there is no object at"):
        report(batch_prediction_id="bp-1")


@pytest.mark.parametrize(("body", "message"), [(b'{"s3:', "is cut or damaged"), (b"{}", "names no results")])
def test_a_manifest_that_is_cut_is_named(
    results: Results, report: Callable[..., dict[str, Any]], body: bytes, message: str
) -> None:
    """The batch prediction and the manifest are named."""
    results.batch("BINARY")
    results.s3.put_object(Bucket="reports", Key="out/batch-prediction/bp-1.manifest", Body=body)
    with pytest.raises(AirflowFailException, match=f"BatchPrediction bp-1 .*bp-1.manifest {message}"):
        report(batch_prediction_id="bp-1")


def test_a_manifest_that_is_gone_is_named(results: Results, report: Callable[..., dict[str, Any]]) -> None:
    """The manifest is named."""
    results.batch("BINARY")
    results.s3.delete_object(Bucket="reports", Key="out/batch-prediction/bp-1.manifest")
    with pytest.raises(AirflowException, match="batch_prediction_id: BatchPrediction bp-1 .*bp-1.manifest"):
        report(batch_prediction_id="bp-1")


def test_a_result_with_fewer_rows_than_the_batch_prediction_is_refused(
    results: Results, report: Callable[..., dict[str, Any]]
) -> None:
    """Rows that are cut off at the end of a line show in the count."""
    results.batch("BINARY", "trueLabel,bestAnswer,score\n" + "1,1,9E-1\n0,0,1E-1\n" * 10)
    with pytest.raises(AirflowFailException, match="have 20 rows, the batch prediction has a TotalRecordCount of 30"):
        report(batch_prediction_id="bp-1")


def test_a_batch_prediction_that_is_not_completed_is_refused(
    results: Results, report: Callable[..., dict[str, Any]], amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """Its state is named, and the task may retry."""
    results.model("BINARY")
    amazon_ml_local.client().create_batch_prediction(
        BatchPredictionId="bp-2", MLModelId="ml-1", BatchPredictionDataSourceId="ds-BINARY", OutputUri="s3://reports/"
    )
    with pytest.raises(AirflowException, match="bp-2 in us-east-1 is PENDING; it has results when it is COMPLETED"):
        report(batch_prediction_id="bp-2")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (HEADER + GOOD + "c,1,1,0.5\n", "other_predictions_uri: it has 3 rows, predictions_uri has 2"),
        (
            HEADER + "a,1,1,0.9\nb,1,0,0.2\n",
            "row 2 of s3://reports/o.csv has another true label than row 2 of s3://reports/p.csv",
        ),
        (
            HEADER + "a,1,1,0.9\nx,0,0,0.2\n",
            "row 2 of s3://reports/o.csv has another 'id' than row 2 of s3://reports/p.csv",
        ),
    ],
)
def test_two_models_of_unequal_rows_are_not_compared(
    refused: Callable[..., str], results: Results, other: str, message: str
) -> None:
    """The first row that differs is named, in both."""
    results.model("BINARY", "ml-2")
    uri = results.put("o.csv", other)
    assert message in refused(HEADER + GOOD, other_predictions_uri=uri, other_ml_model_id="ml-2")


def test_two_models_of_different_types_are_not_compared(refused: Callable[..., str], results: Results) -> None:
    """Both types are named."""
    results.model("REGRESSION", "ml-2")
    message = refused(HEADER + GOOD, other_predictions_uri="s3://reports/p.csv", other_ml_model_id="ml-2")
    assert message == "other_ml_model_id: two models of one type can be compared; ml-1 is BINARY and ml-2 is REGRESSION"


def test_a_goal_for_a_model_without_a_threshold_is_refused(
    results: Results, report: Callable[..., dict[str, Any]]
) -> None:
    """Only BINARY models have one."""
    results.model("REGRESSION")
    uri = results.put("p.csv", "y,predictedValue\n1,2\n")
    with pytest.raises(AirflowFailException, match="wanted_precision.*: a REGRESSION model has no threshold"):
        report(predictions_uri=uri, ml_model_id="ml-1", true_label_column="y", wanted_precision=0.9)


def test_too_many_classes_are_refused(results: Results, report: Callable[..., dict[str, Any]]) -> None:
    """A column of names instead of classes is found out before it fills the memory."""
    results.model("MULTICLASS")
    uri = results.put("p.csv", "y,predictedLabel\n" + "".join(f"{place},red\n" for place in range(2000)))
    with pytest.raises(
        AirflowFailException, match="up to s3://reports/p.csv there are more than 1,000 different labels"
    ):
        report(predictions_uri=uri, ml_model_id="ml-1", true_label_column="y")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "batch_prediction_id, predictions_uri: exactly one"),
        (
            {"batch_prediction_id": "a", "predictions_uri": "s3://b/c"},
            "batch_prediction_id, predictions_uri: exactly one",
        ),
        ({"predictions_uri": "s3://b/c"}, "ml_model_id: it must be given with predictions_uri"),
        ({"batch_prediction_id": "a", "ml_model_id": "b"}, "ml_model_id: it must be given with predictions_uri"),
        ({"predictions_uri": "c", "ml_model_id": "b"}, "predictions_uri: 'c' is no S3 URI"),
        (
            {"batch_prediction_id": "a", "other_ml_model_id": "b"},
            "other_batch_prediction_id, other_predictions_uri: exactly",
        ),
        (
            {"batch_prediction_id": "a", "output_uri": "s3://b/c.pdf"},
            "output_uri: 's3://b/c.pdf'; its name must end in .html",
        ),
        ({"batch_prediction_id": "a", "output_uri": "c.html"}, "output_uri: 'c.html' is no S3 URI"),
        ({"batch_prediction_id": "a", "wanted_recall": "much"}, "wanted_recall: 'much' is not a finite float"),
    ],
)
def test_arguments_are_checked_before_any_call(
    amazon_ml_local: AmazonMLLocalFixture, arguments: dict[str, Any], message: str
) -> None:
    """The argument is named, and what is allowed."""
    operator = MachineLearningEvaluationReportOperator(
        **{"task_id": "report", "output_uri": "s3://b/c.html", **arguments}
    )
    with pytest.raises(InvalidArgument, match=message):
        operator.execute({})
    assert not list(amazon_ml_local.requests)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AirflowFailException, match=r"pip install 'airflow-ml-provider\[report\]'"):
        MachineLearningEvaluationReportOperator(
            task_id="report", output_uri="s3://b/c.html", batch_prediction_id="bp-1"
        ).execute({})


def test_a_page_that_cannot_be_written_is_no_half_report(
    results: Results, report: Callable[..., dict[str, Any]], amazon_ml_local: AmazonMLLocalFixture
) -> None:
    """Where nothing may be written nothing is, and the URI is named."""
    results.batch("BINARY")
    with pytest.raises(AirflowException, match="output_uri: s3://nowhere/report.json cannot be written"):
        report(batch_prediction_id="bp-1", output_uri="s3://nowhere/report.html")


def test_a_page_is_never_without_its_json(
    results: Results, report: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the page cannot be written the JSON is there already, and the next try writes both."""
    from airflow_ml_provider.client import MachineLearningClientHook

    results.batch("BINARY")
    make: Any = vars(MachineLearningClientHook)["s3"].func
    allowed: list[Any] = []

    def refusing(hook: MachineLearningHook) -> Any:
        client = make(hook)
        client.meta.events.register("before-parameter-build.s3.PutObject", refuse)
        return client

    def refuse(params: Any, **_: Any) -> None:
        if params["Key"].endswith(".html") and not allowed:
            raise EndpointConnectionError(endpoint_url="http://s3")

    monkeypatch.setattr(MachineLearningClientHook, "s3", property(refusing))
    with pytest.raises(AirflowException, match=r"output_uri: s3://reports/report.html cannot be written"):
        report(batch_prediction_id="bp-1")
    assert {"report.html", "report.json"} & results.keys() == {"report.json"}
    allowed.append(True)
    report(batch_prediction_id="bp-1")
    assert {"report.html", "report.json"} <= results.keys()


def test_a_bucket_that_is_not_there_is_named_with_the_results(refused: Callable[..., str]) -> None:
    """S3's error says for which results it is."""
    message = refused("", predictions_uri="s3://nowhere/p.csv", error=AirflowException)
    assert "s3://nowhere/p.csv cannot be read: An error occurred (NoSuchBucket)" in message
