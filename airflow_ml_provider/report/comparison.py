"""Compare two models on the same rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from airflow_ml_provider.compat import AirflowFailException

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from airflow_ml_provider.report.results import Results

SHOWN = 10


class Difference(TypedDict):
    """One row on which the models differ most. For BINARY models the predictions are scores."""

    Row: int
    TrueLabel: str | float
    Prediction: str | float
    OtherPrediction: str | float


class Comparison(TypedDict):
    """How two models differ. Of REGRESSION models the one that is closer to the true value counts as right.

    ``MeanDifference`` is that of scores or values, without sign; 0 for MULTICLASS models, which predict labels.
    """

    Rows: int
    MatchedBy: list[str]
    SamePrediction: int
    BothRight: int
    OnlyThisRight: int
    OnlyOtherRight: int
    BothWrong: int
    MeanDifference: float
    Differences: list[Difference]


def check_same_rows(first: Results, other: Results) -> list[str]:
    """Return the columns in which the rows of both models are the same: the true label, and key columns.

    :raises AirflowFailException: naming the place of the first row that differs.
    """
    if first.total != other.total:
        raise AirflowFailException(
            f"{other.source.argument}: it has {other.total:,} rows, {first.source.argument} has {first.total:,}; two "
            f"models are compared on the same rows"
        )
    places, other_places = _common(first, other)
    _check_equal(first, other, first.truth[places] != other.truth[other_places], places, "true label")
    if not first.key_columns or list(first.key_columns) != list(other.key_columns):
        return [first.source.true_label_column]
    columns = ", ".join(map(repr, first.key_columns))
    _check_equal(first, other, first.keys[places] != other.keys[other_places], places, columns)
    return [first.source.true_label_column, *first.key_columns]


def _common(first: Results, other: Results) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places, in each of both results, of the rows that both models have predicted."""
    _, places, other_places = np.intersect1d(first.rows, other.rows, assume_unique=True, return_indices=True)
    return places, other_places


def _check_equal(
    first: Results, other: Results, differs: NDArray[np.bool_], places: NDArray[np.int64], what: str
) -> None:
    """Raise AirflowFailException at the first row that differs.

    :param differs: for each row that both models have predicted, whether it differs.
    :param places: the places of these rows in ``first``.
    """
    differing = np.flatnonzero(differs)
    if len(differing):
        row = int(first.rows[places[differing[0]]])
        raise AirflowFailException(
            f"{other.source.argument}: {other.place(row)} has another {what} than {first.place(row)}; two models are "
            f"compared on the same rows in the same order"
        )


def comparison(first: Results, other: Results, names: list[str]) -> Comparison:
    """Compare two models, each by its own threshold; of two values, the one closer to the true value is right.

    :param names: the labels of the classes by number.
    :raises AirflowFailException: when the rows are not the same.
    """
    matched_by = check_same_rows(first, other)
    places, other_places = _common(first, other)
    truth, one, two = first.truth[places], first.predicted[places], other.predicted[other_places]
    one_right, two_right = _right(first, truth, one, two), _right(other, truth, two, one)
    return Comparison(
        Rows=len(truth),
        MatchedBy=matched_by,
        SamePrediction=int((_answers(first, one) == _answers(other, two)).sum()),
        BothRight=int((one_right & two_right).sum()),
        OnlyThisRight=int((one_right & ~two_right).sum()),
        OnlyOtherRight=int((two_right & ~one_right).sum()),
        BothWrong=int((~one_right & ~two_right).sum()),
        MeanDifference=0.0 if first.source.model.type == "MULTICLASS" else float(np.abs(one - two).mean()),
        Differences=_differences(first, first.rows[places], truth, one, two, names),
    )


def _answers(results: Results, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return predictions, with 0 or 1 in place of a score, by the model's own threshold."""
    if results.source.model.type != "BINARY":
        return predicted
    return (predicted >= results.source.model.score_threshold).astype(np.float64)


def _right(
    results: Results, truth: NDArray[np.float64], predicted: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return for each row whether a model is right: by its class, or its value is at least as close as the other's."""
    if results.source.model.type == "REGRESSION":
        return np.less_equal(np.abs(predicted - truth), np.abs(others - truth))
    return np.equal(_answers(results, predicted), truth)


def _differences(
    first: Results,
    rows: NDArray[np.int64],
    truth: NDArray[np.float64],
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    names: list[str],
) -> list[Difference]:
    """Return the rows that differ most; for classes, the first row of each of the most frequent differences."""
    is_multiclass = first.source.model.type == "MULTICLASS"
    places = _most_frequent_differences(one, two) if is_multiclass else _largest_differences(one, two)

    def shown(value: float) -> str | float:
        return names[int(value)] if is_multiclass else float(value)

    return [
        Difference(
            Row=int(rows[place]),
            TrueLabel=shown(truth[place]),
            Prediction=shown(one[place]),
            OtherPrediction=shown(two[place]),
        )
        for place in places
        if one[place] != two[place]
    ]


def _most_frequent_differences(one: NDArray[np.float64], two: NDArray[np.float64]) -> list[int]:
    """Return the first place of each of the most frequent pairs of different classes."""
    differing = np.flatnonzero(one != two)
    pairs = list(zip(one[differing].tolist(), two[differing].tolist(), strict=True))
    first_places: dict[tuple[float, float], int] = {}
    for place, pair in zip(differing.tolist(), pairs, strict=True):
        first_places.setdefault(pair, place)
    return [first_places[pair] for pair, _ in Counter(pairs).most_common(SHOWN)]


def _largest_differences(one: NDArray[np.float64], two: NDArray[np.float64]) -> list[int]:
    """Return the places of the largest differences, which may be 0."""
    places: list[int] = np.argsort(-np.abs(one - two), kind="stable")[:SHOWN].tolist()
    return places
