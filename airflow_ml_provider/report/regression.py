"""Measure a REGRESSION model: how far its predictions are from the true values."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np
from sklearn.metrics import mean_absolute_error, median_absolute_error, r2_score, root_mean_squared_error

if TYPE_CHECKING:
    from airflow_ml_provider.report.results import Results
    from airflow_ml_provider.report.thresholds import Floats

BINS = 40
GRID = 40  # cells along each axis


class Histogram(TypedDict):
    """The number of rows between two edges."""

    Edges: list[float]
    Rows: list[int]


class Density(TypedDict):
    """The number of rows in each cell of a grid that is not empty, as ``[place in X, place in Y, rows]``."""

    XEdges: list[float]
    YEdges: list[float]
    Cells: list[list[int]]


class Regression(TypedDict):
    """The measurements of a REGRESSION model; a residual is the true value less the prediction."""

    Metrics: dict[str, float]
    PredictedByTrue: Density
    Residuals: Histogram
    ResidualsByPredicted: Density


def regression(results: Results) -> Regression:
    """Measure a REGRESSION model."""
    truth, predicted = results.truth, results.predicted
    residuals = truth - predicted
    counts, edges = np.histogram(residuals, BINS)
    return Regression(
        Metrics={
            "RegressionRMSE": float(root_mean_squared_error(truth, predicted)),
            "MAE": float(mean_absolute_error(truth, predicted)),
            "MedianAbsoluteError": float(median_absolute_error(truth, predicted)),
            "MeanResidual": float(np.mean(residuals)),
            **_r2(truth, predicted),
        },
        PredictedByTrue=_density(truth, predicted),
        Residuals=Histogram(Edges=edges.tolist(), Rows=counts.tolist()),
        ResidualsByPredicted=_density(predicted, residuals),
    )


def _r2(truth: Floats, predicted: Floats) -> dict[str, float]:
    """Return R², or nothing if all true values are the same: then it is not defined."""
    return {"R2": float(r2_score(truth, predicted))} if truth.min() < truth.max() else {}


def _density(x: Floats, y: Floats) -> Density:
    counts, x_edges, y_edges = np.histogram2d(x, y, GRID)
    cells = [[int(column), int(row), int(counts[column, row])] for column, row in np.argwhere(counts)]
    return Density(XEdges=x_edges.tolist(), YEdges=y_edges.tolist(), Cells=cells)
