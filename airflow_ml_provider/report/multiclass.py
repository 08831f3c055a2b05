"""Measure a MULTICLASS model: each class, and which classes it confuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from airflow_ml_provider.compat import AirflowFailException

if TYPE_CHECKING:
    from airflow_ml_provider.report.results import Results

SHOWN_CONFUSIONS = 10


class ClassReport(TypedDict):
    """The measurements of one class; a ratio with a denominator of 0 is 0."""

    Label: str
    Precision: float
    Recall: float
    F1: float
    Rows: int


class Confusion(TypedDict):
    """The number of rows of one class that were predicted as another."""

    TrueLabel: str
    PredictedLabel: str
    Rows: int


class Multiclass(TypedDict):
    """The measurements of a MULTICLASS model. ``ConfusionMatrix`` has a row for each true label."""

    Metrics: dict[str, float]
    Labels: list[str]
    ConfusionMatrix: list[list[int]]
    Classes: list[ClassReport]
    Confusions: list[Confusion]


def multiclass(results: Results, names: list[str]) -> Multiclass:
    """Measure a MULTICLASS model.

    :param names: the labels by number.
    :raises AirflowFailException: when all rows are of one class.
    """
    if results.truth.min() == results.truth.max():
        raise AirflowFailException(
            f"true_label_column: all of the {len(results.truth):,} rows at {', '.join(results.source.uris)} are of one "
            f"class; a report needs rows of several"
        )
    order = sorted(range(len(names)), key=names.__getitem__)
    truth, predicted = results.truth.astype(np.int64), results.predicted.astype(np.int64)
    matrix = confusion_matrix(truth, predicted, labels=order)
    by_class = precision_recall_fscore_support(truth, predicted, labels=order, zero_division=0)
    precision, recall, f1, rows = by_class  # each an array with an item for each class
    labels = [names[place] for place in order]
    return Multiclass(
        Metrics={
            "MulticlassAvgFScore": float(np.mean(f1)),
            "Accuracy": float(accuracy_score(truth, predicted)),
            "MacroPrecision": float(np.mean(precision)),
            "MacroRecall": float(np.mean(recall)),
            "WeightedFScore": float(np.average(f1, weights=rows)),
        },
        Labels=labels,
        ConfusionMatrix=matrix.tolist(),
        Classes=[
            ClassReport(Label=label, Precision=float(p), Recall=float(r), F1=float(f), Rows=int(n))
            for label, p, r, f, n in zip(labels, *by_class, strict=True)
        ],
        Confusions=_confusions(labels, matrix.tolist()),
    )


def _confusions(labels: list[str], matrix: list[list[int]]) -> list[Confusion]:
    """Return the most frequent errors."""
    errors = [
        Confusion(TrueLabel=labels[true], PredictedLabel=labels[predicted], Rows=count)
        for true, row in enumerate(matrix)
        for predicted, count in enumerate(row)
        if count and true != predicted
    ]
    return sorted(errors, key=lambda error: -error["Rows"])[:SHOWN_CONFUSIONS]
