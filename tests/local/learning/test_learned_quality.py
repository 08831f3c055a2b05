"""Models learn real data as well as an independent pipeline does, and nothing where there is nothing to learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from amazon_ml_local.learning import evaluate, train
from amazon_ml_local.learning.model import ModelType
from tests.helpers.tables import bundled, cells

PLAIN = '{"outputs": ["normalize(ALL_NUMERIC)"]}'
# Data set, type, metric, floor (ceiling for the error) of the default recipe, and of the plain one.
FLOORS = [
    ("breast_cancer", "BINARY", "BinaryAUC", 0.98, 0.99),
    ("iris", "MULTICLASS", "MulticlassAvgFScore", 0.90, 0.85),
    ("wine", "MULTICLASS", "MulticlassAvgFScore", 0.93, 0.96),
    ("digits", "MULTICLASS", "MulticlassAvgFScore", 0.93, 0.93),
    ("diabetes", "REGRESSION", "RegressionRMSE", 62.0, 58.0),
]


@pytest.mark.parametrize(("name", "model_type", "metric", "binned", "plain"), FLOORS)
def test_bundled_data_sets_reach_their_floors(
    name: str, model_type: ModelType, metric: str, binned: float, plain: float
) -> None:
    """With default parameters each bundled data set reaches a fixed quality on rows that were held out."""
    data = bundled(name, model_type)
    for recipe, floor in ((None, binned), (PLAIN, plain)):
        value = float(evaluate(train(data.train, model_type, recipe, {}), data.test).metrics[metric])
        assert value <= floor if metric == "RegressionRMSE" else value >= floor, f"{recipe}: {value}"


@pytest.mark.parametrize(("name", "model_type"), [(name, kind) for name, kind, *_ in FLOORS])
def test_agrees_with_an_independent_pipeline(name: Any, model_type: Any) -> None:
    """Of one objective our learners and scikit-learn's exact solvers come to the same scores, row by row."""
    data = bundled(name, model_type)
    learner = Ridge(alpha=1.0) if model_type == "REGRESSION" else LogisticRegression(C=1.0, max_iter=1000)
    pipeline = make_pipeline(StandardScaler(), learner)
    pipeline.fit(data.numbers[~data.is_test], data.target[~data.is_test])
    numbers = data.numbers[data.is_test]
    theirs = {
        "REGRESSION": lambda: pipeline.predict(numbers) / data.target.std(),
        "BINARY": lambda: pipeline.predict_proba(numbers)[:, 1],
        "MULTICLASS": lambda: pipeline.predict_proba(numbers),
    }[model_type]()
    per_row = str(1 / np.count_nonzero(~data.is_test))
    parameters = {"sgd.maxPasses": "300", "sgd.l2RegularizationAmount": per_row}
    model = train(data.train, model_type, PLAIN, parameters)
    ours = model.scores(data.test)
    if model_type == "MULTICLASS":
        ours = ours[:, np.argsort(list(map(int, model.labels)))]
    if model_type == "REGRESSION":
        ours = ours / data.target.std()
    difference = np.abs(ours.reshape(theirs.shape) - theirs)
    assert difference.mean() < 0.04
    assert difference.max() < 0.3


@pytest.mark.parametrize(("name", "model_type", "metric", "low", "high"), [
    ("breast_cancer", "BINARY", "BinaryAUC", 0.35, 0.65),
    ("digits", "MULTICLASS", "MulticlassAvgFScore", 0.05, 0.16),
])  # fmt: skip
def test_shuffled_labels_teach_nothing(name: str, model_type: ModelType, metric: str, low: float, high: float) -> None:
    """With the labels shuffled the held-out metric is near chance: nothing leaks from the target."""
    data = bundled(name, model_type, shuffle_labels=True)
    assert low <= float(evaluate(train(data.train, model_type), data.test).metrics[metric]) <= high


def test_shuffled_targets_are_as_hard_as_the_mean() -> None:
    """With the target shuffled a regression's error isn't below that of always answering the mean."""
    data = bundled("diabetes", "REGRESSION", shuffle_labels=True)
    rmse = float(evaluate(train(data.train, "REGRESSION"), data.test).metrics["RegressionRMSE"])
    assert rmse > 0.95 * np.std(data.target[data.is_test])


@pytest.mark.parametrize(("name", "model_type"), [(name, kind) for name, kind, *_ in FLOORS])
def test_the_same_input_gives_the_same_model(name: Any, model_type: Any) -> None:
    """Training is deterministic, shuffling included."""
    data = bundled(name, model_type)
    first, second = (train(data.train, model_type, None, {"sgd.shuffleType": "auto"}) for _ in range(2))
    assert np.array_equal(first.weights, second.weights)


@pytest.mark.parametrize(("name", "model_type"), [(name, kind) for name, kind, *_ in FLOORS])
@pytest.mark.parametrize("recipe", [None, PLAIN, '{"outputs": ["cartesian(quantile_bin(x0,5),quantile_bin(x1,5))"]}'])
def test_one_record_and_a_whole_table_get_the_same_scores(name: Any, model_type: Any, recipe: str | None) -> None:
    """Predict and the batch path are two ways to one result."""
    data = bundled(name, model_type)
    model = train(data.train, model_type, recipe)
    names = list(data.test.schema.kinds)
    for row, scores in list(zip(cells(data.test), model.scores(data.test), strict=True))[:20]:
        record = dict(zip(names, row, strict=True))
        del record["y"]
        ours, batch = model.predict(record), model.explain(scores.tolist())
        assert ours.get("predictedLabel") == batch.get("predictedLabel")
        assert ours.get("predictedScores", {}) == pytest.approx(batch.get("predictedScores", {}), rel=1e-5)
        assert ours.get("predictedValue", 0.0) == pytest.approx(batch.get("predictedValue", 0.0), rel=1e-5)
