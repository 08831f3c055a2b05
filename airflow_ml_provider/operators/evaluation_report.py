"""Write an evaluation report: how a model's predictions compare with the true labels, and which threshold is best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.links import EvaluationReportLink
from airflow_ml_provider.operators.base import AWS_FIELDS, MachineLearningBase, to_number
from airflow_ml_provider.operators.operation import translate_errors

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import Description, Format
    from airflow_ml_provider.report.sources import Origin
    from airflow_ml_provider.report.thresholds import Goal


class MachineLearningEvaluationReportOperator(MachineLearningBase):
    """Write an evaluation report, as one self-contained HTML page and as JSON, and choose the best threshold.

    The predictions are those of a batch prediction over labelled data, or the output of
    MachineLearningPredictS3Operator with the true label among its ``key_columns``. Given the predictions of a second
    model for the same rows too, the report compares both models. Needs the extra ``report``.

    Returns a description: ``MLModelType``, ``Rows``, ``Metrics``, ``ReportUri``, ``JsonUri``, ``ReportUrl``; of a
    BINARY model also ``BestThreshold``, ``AtBestThreshold`` and ``AtScoreThreshold``; of two models also
    ``OtherMetrics`` and ``Comparison``. Each is an XCom of its own too.

    :param output_uri: the page, an object whose name ends in ``.html``; the JSON has the same name with ``.json``
        (templated).
    :param batch_prediction_id: a COMPLETED batch prediction whose data have the target (templated).
    :param predictions_uri: instead of a batch prediction, the output of MachineLearningPredictS3Operator, or with a
        slash at its end the folder of several outputs (templated).
    :param ml_model_id: the model that made the predictions at ``predictions_uri``; not needed with
        ``batch_prediction_id`` (templated).
    :param true_label_column: the column of ``predictions_uri`` with the true label; a batch prediction has
        ``trueLabel`` (templated).
    :param predictions_format: ``CSV`` or ``JSON_LINES``; default by the name of each object.
    :param wanted_precision: choose the threshold with the highest recall among those with at least this precision,
        above 0 and at most 1 (templated). Without any of these arguments the highest F1 is best.
    :param wanted_recall: choose the threshold with the highest precision among those with at least this recall,
        above 0 and at most 1 (templated).
    :param false_positive_cost: what it costs to predict 1 where 0 is true, at least 0; together with
        ``false_negative_cost`` (templated). The threshold with the lowest cost is best.
    :param false_negative_cost: what it costs to predict 0 where 1 is true, at least 0 (templated).
    :param other_batch_prediction_id: a batch prediction of a second model on the same data (templated).
    :param other_predictions_uri: instead of a batch prediction, the second model's output for the same rows
        (templated).
    :param other_ml_model_id: the second model, which made the predictions at ``other_predictions_uri`` (templated).
    """

    operator_extra_links = (EvaluationReportLink(),)
    template_fields: Sequence[str] = (
        "output_uri",
        "batch_prediction_id",
        "predictions_uri",
        "ml_model_id",
        "true_label_column",
        "wanted_precision",
        "wanted_recall",
        "false_positive_cost",
        "false_negative_cost",
        "other_batch_prediction_id",
        "other_predictions_uri",
        "other_ml_model_id",
        *AWS_FIELDS,
    )
    origin_arguments: ClassVar[tuple[str, ...]] = ("batch_prediction_id", "predictions_uri", "ml_model_id")

    def __init__(
        self,
        *,
        output_uri: str,
        batch_prediction_id: str | None = None,
        predictions_uri: str | None = None,
        ml_model_id: str | None = None,
        true_label_column: str = "trueLabel",
        predictions_format: Format | None = None,
        wanted_precision: float | str | None = None,
        wanted_recall: float | str | None = None,
        false_positive_cost: float | str | None = None,
        false_negative_cost: float | str | None = None,
        other_batch_prediction_id: str | None = None,
        other_predictions_uri: str | None = None,
        other_ml_model_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_uri = output_uri
        self.batch_prediction_id = batch_prediction_id
        self.predictions_uri = predictions_uri
        self.ml_model_id = ml_model_id
        self.true_label_column = true_label_column
        self.predictions_format = predictions_format
        self.wanted_precision = wanted_precision
        self.wanted_recall = wanted_recall
        self.false_positive_cost = false_positive_cost
        self.false_negative_cost = false_negative_cost
        self.other_batch_prediction_id = other_batch_prediction_id
        self.other_predictions_uri = other_predictions_uri
        self.other_ml_model_id = other_ml_model_id

    def execute(self, context: Context) -> Description:
        check_extra()
        from airflow_ml_provider.report.publishing import check_page_uri, publish
        from airflow_ml_provider.report.sources import find_source

        check_page_uri(self.output_uri)
        goal, origins = self.goal(), self.origins()
        with translate_errors(f"The evaluation report in {self.hook.conn_region_name}"):
            sources = [
                find_source(self.hook, origin, self.true_label_column, self.predictions_format) for origin in origins
            ]
            published = publish(self.hook.s3, sources, goal, self.output_uri)
        self.log.info("The evaluation report is at %s: %s", published["ReportUri"], published["Metrics"])
        self.push_members(context, self.remember(published))
        return published

    def goal(self) -> Goal:
        """Return the goal by which the best threshold is chosen."""
        from airflow_ml_provider.report.thresholds import Goal

        names = ("wanted_precision", "wanted_recall", "false_positive_cost", "false_negative_cost")
        return Goal.of(*(to_number(name, getattr(self, name)) for name in names))

    def origins(self) -> list[Origin]:
        """Return the origin of the results of each model: of one, or of two."""
        from airflow_ml_provider.report.sources import Origin

        first = Origin("", *(getattr(self, name) for name in self.origin_arguments)).check()
        of_other = [getattr(self, f"other_{name}") for name in self.origin_arguments]
        if all(value is None for value in of_other):
            return [first]
        return [first, Origin("other_", *of_other).check()]


def check_extra() -> None:
    """Raise AirflowFailException when the libraries of the extra are missing."""
    from importlib.util import find_spec

    if missing := [name for name in ("matplotlib", "sklearn") if find_spec(name) is None]:
        raise AirflowFailException(
            f"{', '.join(missing)}: not installed. Evaluation reports need pip install 'airflow-ml-provider[report]'."
        )
