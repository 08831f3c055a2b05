"""Render a report as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from airflow_ml_provider.report.evaluate import metrics
from airflow_ml_provider.report.figures import figures, name

if TYPE_CHECKING:
    from airflow_ml_provider.report.evaluate import Report

FOLDER = Path(__file__).parent
# Metric → its name on the page, and whether more is better; None means that neither is.
METRICS: dict[str, tuple[str, bool | None]] = {
    "BinaryAUC": ("Area under the ROC curve", True),
    "AveragePrecision": ("Average precision", True),
    "LogLoss": ("Log loss", False),
    "BrierScore": ("Brier score", False),
    "Accuracy": ("Accuracy", True),
    "Precision": ("Precision", True),
    "Recall": ("Recall", True),
    "F1": ("F1", True),
    "FalsePositiveRate": ("False positive rate", False),
    "MulticlassAvgFScore": ("Mean F1 of the classes", True),
    "MacroPrecision": ("Mean precision of the classes", True),
    "MacroRecall": ("Mean recall of the classes", True),
    "WeightedFScore": ("F1 weighted by rows", True),
    "RegressionRMSE": ("Root mean squared error", False),
    "MAE": ("Mean absolute error", False),
    "MedianAbsoluteError": ("Median absolute error", False),
    "MeanResidual": ("Mean residual", None),
    "R2": ("R²", True),
}


def page(report: Report) -> str:
    """Return the page of a report; all text from the report is escaped."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = short
    return environment.get_template("page.html").render(
        report=report,
        models=report["Models"],
        names=[name(report["Models"], model).capitalize() for model in report["Models"]],
        metrics=[metrics(model) for model in report["Models"]],
        metric_names=METRICS,
        figures=figures(report["Models"]),
        style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        svg=Markup,
    )


def short(value: float | str) -> str:
    """Return a number with few digits, for reading; text stays as it is."""
    if isinstance(value, str):
        return value
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:,.6g}"
