"""A trained model: weights by pattern and class, from which it predicts."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, TypedDict

import numpy as np

from amazon_ml_local.learning.steps import TableRows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from amazon_ml_local.learning.features import Features
    from amazon_ml_local.learning.steps import Floats
    from amazon_ml_local.learning.table import Table

LARGEST = float(np.finfo(np.float32).max)
BLOCK_ROWS = 65_536
ModelType: TypeAlias = Literal["REGRESSION", "BINARY", "MULTICLASS"]


class Prediction(TypedDict, total=False):
    """The answer of Predict, in AWS's member names."""

    predictedLabel: str
    predictedValue: float
    predictedScores: dict[str, float]
    details: dict[str, str]


class Learned(NamedTuple):
    """The result of a learner: weights by feature and class, and intercepts by class."""

    weights: Floats
    intercepts: Floats


class Model:
    """Predict the target of a record.

    :param labels: the classes in the order of their first appearance, 0 before 1 for BINARY; none for REGRESSION.
    :param learned: weights and intercepts: one column per class, or one in all for REGRESSION and BINARY.
    """

    def __init__(
        self,
        model_type: ModelType,
        target: str,
        labels: Sequence[str],
        features: Features,
        learned: Learned,
        recipe: str,
        training_parameters: dict[str, str],
        size_in_bytes: int,
    ) -> None:
        self.model_type = model_type
        self.target = target
        self.labels = labels
        self.recipe = recipe
        self.training_parameters = training_parameters
        self.size_in_bytes = size_in_bytes
        self.features = features
        self.weights = np.ascontiguousarray(learned.weights)
        self.intercepts = learned.intercepts

    def without_content(self) -> Model:
        """Return what Get shows of a deleted model."""
        slim = copy(self)
        for name in ("features", "weights", "intercepts"):
            vars(slim).pop(name, None)
        return slim

    def predict(self, record: Mapping[str, str], threshold: float | None = None) -> Prediction:
        """Return the prediction for one record, as AWS's Predict answers it.

        :param record: variables by name, without the target; unknown ones are ignored, missing ones and values of
            the wrong type count as missing.
        :param threshold: BINARY only: the least score for label "1"; None means 0.5.
        """
        places, values = self.features.row(record)
        raw = np.array(values) @ self.weights[places] + self.intercepts
        return self.explain(self._scores(raw[np.newaxis])[0].tolist(), threshold)

    def explain(self, scores: Sequence[float], threshold: float | None = None) -> Prediction:
        """Return the prediction for the scores of one record."""
        prediction = Prediction(details={"PredictiveModelType": self.model_type, "Algorithm": "SGD"})
        match self.model_type:
            case "REGRESSION":
                prediction["predictedValue"] = scores[0]
            case "BINARY":
                label = "1" if scores[0] >= (0.5 if threshold is None else threshold) else "0"
                prediction |= Prediction(predictedLabel=label, predictedScores={label: scores[0]})
            case "MULTICLASS":
                best = self.labels[scores.index(max(scores))]
                named = dict(zip(self.labels, scores, strict=True))
                prediction |= Prediction(predictedLabel=best, predictedScores=named)
        return prediction

    def scores(self, table: Table) -> NDArray[np.float32]:
        """Return a row of scores for each readable row of a table: the value, the score of "1", or each class's."""
        return np.concatenate(list(self.scores_by_block(table)))

    def scores_by_block(self, table: Table) -> Iterator[NDArray[np.float32]]:
        """Yield the scores of all rows in blocks, so that not all features are in memory at once."""
        for first in range(0, max(len(table), 1), BLOCK_ROWS):  # one empty block of an empty table
            matrix = self.features.matrix(TableRows(table, slice(first, first + BLOCK_ROWS)))
            yield self._scores(matrix @ self.weights + self.intercepts)

    def _scores(self, raw: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return sums of weights as scores: as they are for REGRESSION, else as probabilities."""
        raw = np.nan_to_num(np.clip(raw, -LARGEST, LARGEST))
        match self.model_type:
            case "BINARY":
                raw = 1 / (1 + np.exp(-np.clip(raw, -700, 700)))  # exp overflows beyond 709
            case "MULTICLASS":
                raw = np.exp(raw - raw.max(axis=1, keepdims=True))
                raw = raw / raw.sum(axis=1, keepdims=True)
        return raw.astype(np.float32)
