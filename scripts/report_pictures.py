"""Make the pictures of evaluation reports in docs/images, with Chromium: python -m scripts.report_pictures.

The models are scikit-learn's, and the data those that it bundles.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from airflow_ml_provider.report.columns import Model, ModelType, ResultSource
from airflow_ml_provider.report.evaluate import Report, report_of
from airflow_ml_provider.report.labels import Labels
from airflow_ml_provider.report.page import page
from airflow_ml_provider.report.results import Results
from airflow_ml_provider.report.thresholds import Goal

IMAGES = Path(__file__).parent.parent / "docs" / "images"
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
    "--hide-scrollbars",
)
WIDTH = 1000

Floats = NDArray[np.float64]


def results(model_type: ModelType, truth: Floats, predicted: Floats, ml_model_id: str = "ml-model") -> Results:
    """Return results as if they were read from S3."""
    uri = f"s3://amazon-ml-demo/predictions/{ml_model_id}.csv"
    model = Model(ml_model_id, "", model_type, 0.5)
    return Results(
        source=ResultSource("predictions_uri", model, [uri], "CSV", is_batch=False, true_label_column="target"),
        truth=truth,
        predicted=predicted,
        rows=np.arange(1, len(truth) + 1),
        keys=np.zeros(0, dtype=np.int64),
        key_columns=[],
        total=len(truth),
        without_prediction=0,
        without_true_label=0,
        objects=[(uri, 0)],
    )


def reports() -> Iterator[tuple[str, int, Report]]:
    """Yield the name of each picture, its height and its report."""
    features, target = load_breast_cancer(return_X_y=True)
    scores, scores_of_two_variables = (
        cross_val_predict(classifier(), variables, target, method="predict_proba")[:, 1]
        for variables in (features, features[:, :2])
    )
    binary = results("BINARY", target.astype(float), scores)
    other = results("BINARY", target.astype(float), scores_of_two_variables, "ml-two-variables")
    costs = Goal.of(None, None, 10, 1)
    yield "report-binary", 1900, report_of([binary], Labels(), costs)
    yield "report-two-models", 1900, report_of([binary, other], Labels(), costs)
    features, target = load_wine(return_X_y=True)
    names = Labels(["Barolo", "Grignolino", "Barbera"])
    predicted = cross_val_predict(classifier(), features[:, :2], target)
    wine = results("MULTICLASS", target.astype(float), predicted.astype(float))
    yield "report-multiclass", 1350, report_of([wine], names, Goal())
    features, target = load_diabetes(return_X_y=True)
    diabetes = results("REGRESSION", target, cross_val_predict(LinearRegression(), features, target))
    yield "report-regression", 1150, report_of([diabetes], Labels(), Goal())


def classifier() -> object:
    """Return a model to be trained."""
    return make_pipeline(StandardScaler(), LogisticRegression())


def take_picture(html: str, path: Path, height: int) -> None:
    """Take a picture of a page."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_text(html, encoding="utf-8")
        command = ["chromium", *OPTIONS, f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{height}"]
        subprocess.run([*command, f"--screenshot={path}", file.as_uri()], check=True, timeout=120, capture_output=True)


def main() -> None:
    """Make all pictures anew."""
    if not shutil.which("chromium"):
        raise SystemExit("There is no chromium; on Debian: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    for name, height, report in reports():
        take_picture(page(report), IMAGES / f"{name}.png", height)
        print(f"docs/images/{name}.png: {(IMAGES / f'{name}.png').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
