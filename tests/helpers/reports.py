"""Reports of made-up rows, as if they were read from S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

import numpy as np

from airflow_ml_provider.report.columns import Model, ModelType, ResultSource
from airflow_ml_provider.report.evaluate import Report, report_of
from airflow_ml_provider.report.labels import Labels
from airflow_ml_provider.report.results import Results
from airflow_ml_provider.report.thresholds import Goal

if TYPE_CHECKING:
    from numpy.typing import NDArray

N = 500
KINDS: list[tuple[ModelType, int]] = [(type, models) for type in get_args(ModelType) for models in (1, 2)]
NASTY = ("<script>document.title='run'</script>", "$x^{$ & \"quoted\" 'text'", "<img src=x onerror=alert(1)>")


def results(type: ModelType, truth: NDArray[np.float64], predicted: NDArray[np.float64], name: str) -> Results:
    """Return the results of one object."""
    uri = f"s3://reports/{name}.csv"
    source = ResultSource("predictions_uri", Model("ml-1", name, type, 0.5), [uri], "CSV", False, "y")
    none = np.zeros(0, dtype=np.int64)
    return Results(source, truth, predicted, np.arange(1, len(truth) + 1), none, [], len(truth), 0, 0, [(uri, 0)])


def made_report(type: ModelType, models: int = 1, names: Sequence[str] = NASTY, rows: int = N) -> Report:
    """Return the report of one model or of two, the second one worse."""
    random = np.random.default_rng(0)
    truth = {
        "BINARY": (random.random(rows) < 0.4).astype(float),
        "MULTICLASS": random.integers(0, len(names), rows).astype(float),
        "REGRESSION": random.gamma(3, 50, rows),
    }[type]

    def predicted(noise: float) -> NDArray[np.float64]:
        if type == "BINARY":
            return np.clip(random.normal(0.3 + 0.4 * truth, noise), 0, 1)
        if type == "MULTICLASS":
            return np.where(random.random(rows) > noise, truth, random.integers(0, len(names), rows)).astype(float)
        return np.asarray(truth * 0.9 + random.normal(10, 100 * noise, rows))

    read = [results(type, truth, predicted(0.2 * (place + 1)), NASTY[2]) for place in range(models)]
    return report_of(read, Labels(names), Goal())
