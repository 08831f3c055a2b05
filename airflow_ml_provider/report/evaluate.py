"""Evaluate the results of one model, or of two on the same rows, into a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict, cast

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.report.binary import Binary, binary
from airflow_ml_provider.report.columns import Model, ResultSource
from airflow_ml_provider.report.comparison import Comparison, check_same_rows, comparison
from airflow_ml_provider.report.labels import Labels
from airflow_ml_provider.report.multiclass import Multiclass, multiclass
from airflow_ml_provider.report.regression import Regression, regression
from airflow_ml_provider.report.results import Results, read_results
from airflow_ml_provider.report.thresholds import Goal

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


class ModelReport(TypedDict):
    """The measurements of one model's results; it has one of the last three members."""

    MLModelId: str
    MLModelName: str
    ScoreThreshold: NotRequired[float]
    ResultUris: Sequence[str]
    Rows: int
    RowsWithoutPrediction: int
    RowsWithoutTrueLabel: int
    Binary: NotRequired[Binary]
    Multiclass: NotRequired[Multiclass]
    Regression: NotRequired[Regression]


class Report(TypedDict):
    """The whole report in plain JSON types; the page shows this and nothing else."""

    MLModelType: Literal["BINARY", "MULTICLASS", "REGRESSION"]
    Models: list[ModelReport]
    Comparison: NotRequired[Comparison]


def evaluate(s3: S3Client, sources: Sequence[ResultSource], goal: Goal) -> Report:
    """Read the results of one or two models, and measure them.

    :param goal: the goal by which the best threshold of a BINARY model is chosen.
    :raises AirflowFailException: on bad input, naming its place.
    """
    model_type = _same_type([source.model for source in sources])
    if model_type != "BINARY" and goal != Goal():
        raise AirflowFailException(
            f"wanted_precision, wanted_recall, false_positive_cost: a {model_type} model has no threshold to choose"
        )
    labels = Labels()
    return report_of([read_results(s3, source, labels) for source in sources], labels, goal)


def report_of(results: Sequence[Results], labels: Labels, goal: Goal) -> Report:
    """Return the report of the results of one or two models.

    :raises AirflowFailException: when all rows have one class, no threshold reaches the goal, or the rows of two
        models are not the same.
    """
    first, *others = results
    for other in others:
        check_same_rows(first, other)  # before the measuring, which takes longer
    models = [_measure(one, goal, labels.names, must_reach=one is first) for one in results]
    report = Report(MLModelType=first.source.model.type, Models=models)
    for other in others:
        report["Comparison"] = comparison(first, other, labels.names)
    return report


def _same_type(models: Sequence[Model]) -> Literal["BINARY", "MULTICLASS", "REGRESSION"]:
    if len({model.type for model in models}) > 1:
        types = " and ".join(f"{model.ml_model_id} is {model.type}" for model in models)
        raise AirflowFailException(f"other_ml_model_id: two models of one type can be compared; {types}")
    return models[0].type


def _measure(results: Results, goal: Goal, names: list[str], must_reach: bool) -> ModelReport:
    """Measure one model.

    :param names: the labels of the classes by number.
    :param must_reach: whether a threshold of the model must reach the goal; a model to compare with need not have one.
    """
    model = results.source.model
    found = ModelReport(
        MLModelId=model.ml_model_id,
        MLModelName=model.name,
        ResultUris=list(results.source.uris),
        Rows=len(results.truth),
        RowsWithoutPrediction=results.without_prediction,
        RowsWithoutTrueLabel=results.without_true_label,
    )
    if model.type == "BINARY":
        found["ScoreThreshold"] = model.score_threshold
        found["Binary"] = binary(results, goal, must_reach)
    elif model.type == "MULTICLASS":
        found["Multiclass"] = multiclass(results, names)
    else:
        found["Regression"] = regression(results)
    return found


def metrics(found: ModelReport) -> dict[str, float]:
    """Return the metrics of a model; for a BINARY model also those at its own threshold."""
    if "Binary" in found:
        at = found["Binary"]["AtScoreThreshold"]
        shown = ("Accuracy", "Precision", "Recall", "F1", "FalsePositiveRate")
        ratios = cast("dict[str, float]", at)
        return found["Binary"]["Metrics"] | {name: ratios[name] for name in shown}
    return found["Multiclass"]["Metrics"] if "Multiclass" in found else found["Regression"]["Metrics"]
