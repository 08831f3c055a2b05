"""How models answer, what their parameters do, and what keeps them from being trained."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from amazon_ml_local.learning import (
    LearningError,
    Table,
    evaluate,
    predict_rows,
    train,
    validate_training_parameters,
)
from amazon_ml_local.learning.model import ModelType
from tests.helpers.tables import bundled, csv_text, table
from tests.helpers.training import DEFAULT_PARAMETERS

PLAIN = '{"outputs": ["normalize(ALL_NUMERIC)"]}'


def labelled(
    rows: Sequence[Sequence[object]], kind: str, inputs: dict[str, str] | None = None, **members: Any
) -> Table:
    """Return a table whose last column is the target y."""
    attributes = (inputs or {"x": "NUMERIC"}) | {"y": kind}
    return table(csv_text(rows), attributes, targetAttributeName="y", **members)


def test_importing_costs_no_numpy() -> None:
    """numpy, scikit-learn, SciPy and SQLAlchemy come when first needed."""
    code = (
        "import sys, amazon_ml_local.learning as learning, amazon_ml_local.storage;"
        "heavy = ('numpy', 'sklearn', 'scipy', 'sqlalchemy', 'boto3', 'botocore');"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_model_with_every_function_passes_between_processes() -> None:
    """Work on large data is done in a process of its own, so whatever a model computes with can be pickled."""
    recipe = """{"outputs": ["c", "ngram(t, 2)", "osb(t, 2)", "lowercase(t)", "no_punct(t)", "normalize(x)",
        "quantile_bin(x, 2)", "cartesian(b, c)"]}"""
    inputs = {"b": "BINARY", "c": "CATEGORICAL", "t": "TEXT", "x": "NUMERIC"}
    rows = [["yn"[n % 2], "abc"[n % 3], f"One, two {n % 5}!", n, n % 2] for n in range(60)]
    model = train(labelled(rows, "BINARY", inputs), "BINARY", recipe)
    record = {"b": "y", "c": "a", "t": "One!", "x": "7"}
    assert pickle.loads(pickle.dumps(model)).predict(record) == model.predict(record)


def above_ten() -> Any:
    """Return a BINARY model that answers 1 for x above 10."""
    return train(labelled([[n, ["n", "Yes"][n > 10]] for n in range(21)], "BINARY"), "BINARY", PLAIN)


def test_binary_answers_one_score_under_its_label() -> None:
    """The score is the probability of 1 whatever the label, a float32."""
    model = above_ten()
    low, high = model.predict({"x": "0"}), model.predict({"x": "20"})
    assert low["predictedLabel"] == "0"
    assert high["predictedLabel"] == "1"
    score = high["predictedScores"]["1"]
    assert list(high["predictedScores"]) == ["1"]
    assert score == float(np.float32(score)) > 0.5 > low["predictedScores"]["0"]
    assert high["details"] == {"PredictiveModelType": "BINARY", "Algorithm": "SGD"}
    assert "predictedValue" not in high


def test_the_threshold_decides_the_label() -> None:
    """A score that reaches it is a 1; the score stays the same."""
    model = above_ten()
    score = model.predict({"x": "20"})["predictedScores"]["1"]
    assert model.predict({"x": "20"}, score)["predictedLabel"] == "1"
    assert model.predict({"x": "20"}, score + 1e-6)["predictedScores"] == {"0": score}
    assert model.predict({"x": "0"}, 0.0)["predictedLabel"] == "1"


def test_regression_answers_a_value() -> None:
    """A straight line is found again, also for values outside of the training data."""
    rows = [[n / 10, 3 * n / 10 - 7] for n in range(200)]
    model = train(labelled(rows, "NUMERIC"), "REGRESSION", PLAIN, {"sgd.maxPasses": "50", "sgd.shuffleType": "auto"})
    answer = model.predict({"x": "30"})
    assert answer["predictedValue"] == pytest.approx(83, rel=0.02)
    assert set(answer) == {"predictedValue", "details"}


def test_multiclass_answers_all_scores() -> None:
    """Every class has its score and they sum up to 1; the label is the best class."""
    data = bundled("iris", "MULTICLASS")
    answer = train(data.train, "MULTICLASS").predict({"x0": "5.1", "x1": "3.5", "x2": "1.4", "x3": "0.2"})
    assert answer["predictedLabel"] == "0"
    assert list(answer["predictedScores"]) == ["0", "1", "2"]
    assert sum(answer["predictedScores"].values()) == pytest.approx(1, rel=1e-6)


def test_two_classes_are_enough_for_multiclass() -> None:
    """The scores of two classes are each other's complement."""
    model = train(labelled([[n, "a" if n < 10 else "b"] for n in range(20)], "CATEGORICAL"), "MULTICLASS", PLAIN)
    for x, label in (("0", "a"), ("19", "b")):
        answer = model.predict({"x": x})
        assert answer["predictedLabel"] == label
        assert sum(answer["predictedScores"].values()) == pytest.approx(1)


@pytest.mark.parametrize("record", [{}, {"x": ""}, {"x": "many"}, {"other": "1"}, {"x": "nan", "y": "1"}])
@pytest.mark.parametrize("recipe", [None, PLAIN])
def test_what_a_record_lacks_counts_as_missing(record: dict[str, Any], recipe: str | None) -> None:
    """Unknown variables, missing ones and values of the wrong type leave the same answer."""
    model = train(labelled([[n, n % 2] for n in range(20)], "BINARY"), "BINARY", recipe)
    assert model.predict(record) == model.predict({})


def test_text_and_categories_are_learned() -> None:
    """Words and categories carry a model; words that training didn't show are ignored."""
    rows = [[word, color, int(word == "good")] for word in ("good", "bad") for color in "rgb" for _ in range(5)]
    model = train(labelled(rows, "BINARY", {"t": "TEXT", "c": "CATEGORICAL"}), "BINARY")
    assert model.predict({"t": "good indeed", "c": "violet"})["predictedLabel"] == "1"
    assert model.predict({"t": "bad indeed", "c": "violet"})["predictedLabel"] == "0"


def test_identifiers_weights_and_excluded_attributes_teach_nothing() -> None:
    """rowId, rowWeight and excluded attributes are no inputs, even when they give the target away."""
    rows = [[n % 2, n % 2, n % 2, 1, n % 2] for n in range(40)]
    inputs = {"id": "CATEGORICAL", "w": "NUMERIC", "out": "NUMERIC", "x": "NUMERIC"}
    read = labelled(rows, "BINARY", inputs, rowId="id", rowWeight="w", excludedAttributeNames=["out"])
    assert list(read.schema.inputs) == ["x"]
    model = train(read, "BINARY", PLAIN)
    assert len(model.features.names) == 1


def test_a_row_counts_by_its_weight() -> None:
    """Rows of weight 0 are as good as absent."""
    rows = [[0, 1, 1]] * 20 + [[1, 0, 1]] * 20 + [[0, 0, 0]] * 60
    model = train(labelled(rows, "BINARY", {"x": "NUMERIC", "w": "NUMERIC"}, rowWeight="w"), "BINARY", PLAIN)
    assert model.predict({"x": "0"})["predictedLabel"] == "1"


WEIGHTED = {"x": "NUMERIC", "w": "NUMERIC"}


def test_a_weight_may_be_of_any_size() -> None:
    """One beyond all others keeps the model a model."""
    rows = [[n, 1e100 if n == 7 else 1, 2 * n] for n in range(50)]
    model = train(labelled(rows, "NUMERIC", WEIGHTED, rowWeight="w"), "REGRESSION", PLAIN)
    assert np.isfinite(model.weights).all()


def test_weights_that_are_all_zero_are_refused() -> None:
    """There is nothing to learn from."""
    with pytest.raises(LearningError, match="No record has a weight above 0 in the rowWeight attribute 'w'"):
        train(labelled([[n, 0, n] for n in range(9)], "NUMERIC", WEIGHTED, rowWeight="w"), "REGRESSION")


def test_training_parameters_are_shown_with_their_defaults() -> None:
    """GetMLModel shows all of them, as strings."""
    read = labelled([[n, n % 2] for n in range(20)], "BINARY")
    assert train(read, "BINARY").training_parameters == DEFAULT_PARAMETERS
    given = {"sgd.maxPasses": "7", "sgd.l1RegularizationAmount": "1E-3"}
    assert train(read, "BINARY", None, given).training_parameters == DEFAULT_PARAMETERS | given


@pytest.mark.parametrize(
    ("name", "model_type"), [("breast_cancer", "BINARY"), ("digits", "MULTICLASS"), ("diabetes", "REGRESSION")]
)
def test_training_parameters_do_what_they_say(name: str, model_type: ModelType) -> None:
    """More passes grow the weights, L2 shrinks them, L1 removes some, and so the model gets smaller."""
    data = bundled(name, model_type)

    def trained(**parameters: str) -> Any:
        return train(data.train, model_type, None, {f"sgd.{key}": value for key, value in parameters.items()})

    plain = trained()
    norm = np.linalg.norm(plain.weights)
    assert np.linalg.norm(trained(maxPasses="1").weights) != norm
    assert np.linalg.norm(trained(l2RegularizationAmount="0.1").weights) < 0.8 * norm
    sparse = trained(l1RegularizationAmount="0.01")
    assert np.count_nonzero(sparse.weights) < 0.8 * np.count_nonzero(plain.weights)
    assert sparse.size_in_bytes < plain.size_in_bytes
    if model_type != "MULTICLASS":
        assert not np.array_equal(trained(shuffleType="auto").weights, plain.weights)


def test_a_model_keeps_to_its_greatest_size() -> None:
    """Beyond sgd.maxMLModelSizeInBytes the patterns that matter least are forgotten; those that matter stay."""
    rows = [[f"{'good' if n % 2 else 'bad'} {' '.join(f'word{n}x{k}' for k in range(10))}", n % 2] for n in range(1000)]
    read = labelled(rows, "BINARY", {"t": "TEXT"})
    whole = train(read, "BINARY")
    part = train(read, "BINARY", None, {"sgd.maxMLModelSizeInBytes": "100000"})
    assert part.size_in_bytes <= 100_000 < whole.size_in_bytes
    assert [part.predict({"t": word})["predictedLabel"] for word in ("good", "bad")] == ["1", "0"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sgd.maxPasses": "0"}, "sgd.maxPasses must be an integer from 1 to 10000, not '0'"),
        ({"sgd.maxPasses": "ten"}, "sgd.maxPasses must be an integer from 1 to 10000, not 'ten'"),
        (
            {"sgd.maxMLModelSizeInBytes": "99999"},
            "sgd.maxMLModelSizeInBytes must be an integer from 100000 to 2147483648",
        ),
        ({"sgd.shuffleType": "yes"}, "sgd.shuffleType must be 'auto' or 'none', not 'yes'"),
        ({"sgd.l1RegularizationAmount": "-1"}, "sgd.l1RegularizationAmount must be a number from 0 up"),
        ({"sgd.l2RegularizationAmount": "inf"}, "sgd.l2RegularizationAmount must be a number from 0 up"),
        ({"sgd.l1RegularizationAmount": "1", "sgd.l2RegularizationAmount": "1"}, "cannot both be above 0"),
        ({"algorithm": "adam"}, "algorithm must be 'sgd', not 'adam'"),
        ({"sgd.speed": "1"}, "Unknown training parameters: sgd.speed"),
    ],
)
def test_a_bad_training_parameter_is_named(parameters: dict[str, Any], message: str) -> None:
    """Ranges and values are AWS's; the error is a ValueError, fit for InvalidInputException."""
    with pytest.raises(ValueError, match=message):
        validate_training_parameters(parameters)


@pytest.mark.parametrize(
    ("model_type", "kind", "values", "message"),
    [
        ("BINARY", "BINARY", ["1", "y", "TRUE"], "Every record's target is '1': a classifier needs two classes"),
        ("MULTICLASS", "CATEGORICAL", ["a", "a", ""], "Every record's target is 'a'"),
        ("MULTICLASS", "CATEGORICAL", [f"c{n}" for n in range(101)], "The target has 101 classes; at most 100"),
        ("BINARY", "BINARY", ["maybe", "", "2"], "No record has a usable value of the target 'y'"),
        ("REGRESSION", "NUMERIC", ["tall", "small"], "No record has a usable value of the target 'y'"),
        ("REGRESSION", "CATEGORICAL", ["1", "2"], "The target 'y' is CATEGORICAL; a REGRESSION model needs a NUMERIC"),
        ("BINARY", "NUMERIC", ["1", "0"], "The target 'y' is NUMERIC; a BINARY model needs a BINARY target"),
    ],
)
def test_a_target_that_cannot_be_learned_says_why(
    model_type: ModelType, kind: str, values: list[Any], message: str
) -> None:
    """One class, too many, none at all, or the wrong kind."""
    with pytest.raises(LearningError, match=message):
        train(labelled([[1, value] for value in values], kind), model_type)


def test_a_schema_without_a_target_says_so() -> None:
    """A model needs one."""
    with pytest.raises(LearningError, match="names no targetAttributeName"):
        train(table("1,2\n", {"a": "NUMERIC", "y": "NUMERIC"}, targetAttributeName=""), "REGRESSION")


def test_data_without_values_say_so() -> None:
    """A model needs something to learn from."""
    with pytest.raises(LearningError, match="outputs have no value in any record"):
        train(labelled([["", 0], ["", 1]], "BINARY", {"c": "CATEGORICAL"}), "BINARY")


@pytest.mark.parametrize("recipe", [None, PLAIN])
@pytest.mark.parametrize("extreme", [1e6, 1e140, -1e12])
def test_one_extreme_value_does_not_break_a_model(recipe: str | None, extreme: float) -> None:
    """Steps stay stable: every score is a number."""
    rows: list[list[float]] = [[n % 7, n % 7 * 2] for n in range(500)]
    rows[250] = [extreme, 3]
    model = train(labelled(rows, "NUMERIC"), "REGRESSION", recipe)
    assert np.isfinite(model.predict({"x": "3"})["predictedValue"])
    assert np.isfinite(model.predict({"x": str(extreme)})["predictedValue"])


@pytest.mark.parametrize("parameter", ["sgd.l1RegularizationAmount", "sgd.l2RegularizationAmount"])
@pytest.mark.parametrize("amount", ["1E6", "1.7976931348623157E308"])
@pytest.mark.parametrize(
    ("model_type", "kind"), [("BINARY", "BINARY"), ("MULTICLASS", "CATEGORICAL"), ("REGRESSION", "NUMERIC")]
)
def test_any_amount_of_regularization_gives_a_model(
    model_type: ModelType, kind: str, amount: str, parameter: str
) -> None:
    """AWS allows amounts up to the greatest double: such a model says nothing, but it is one."""
    model = train(labelled([[n, n % 2] for n in range(50)], kind), model_type, None, {parameter: amount})
    assert np.isfinite(model.weights).all()
    assert np.abs(model.weights).max() < 0.1


def test_a_value_beyond_a_float32_is_its_greatest() -> None:
    """An answer is always a number, never infinity, which JSON doesn't have."""
    model = train(labelled([[n, n * 1e60] for n in range(50)], "NUMERIC"), "REGRESSION")
    assert model.predict({"x": "49"})["predictedValue"] == float(np.finfo(np.float32).max)


def test_two_long_texts_in_one_record_are_answered() -> None:
    """A product of words is cut off at a hundred thousand."""
    read = labelled([["a b", "c", 0], ["d", "e", 1]], "BINARY", {"t": "TEXT", "u": "TEXT"})
    model = train(read, "BINARY", '{"outputs": ["cartesian(t, u)"]}')
    long = " ".join(f"w{n}" for n in range(5000))
    assert model.predict({"t": f"d {long}", "u": f"e {long}"}) == model.predict({"t": "d", "u": "e"})


EVALUATED = [[n, n] for n in range(20)]


def test_auc_is_the_share_of_pairs_in_order() -> None:
    """Scores grow with x. Of 2 × 2 pairs of a 0 and a 1 three are in order: 0.75."""
    model = train(labelled([[n, int(n > 10)] for n in range(20)], "BINARY"), "BINARY", PLAIN)
    held_out = labelled([[1, "n"], [5, "y"], [9, "n"], [15, "y"], [3, ""]], "BINARY")
    assert evaluate(model, held_out).metrics == {"BinaryAUC": "0.75"}


def test_rmse_is_the_root_of_the_mean_squared_error() -> None:
    """Rows without a target do not count."""
    model = train(labelled(EVALUATED, "NUMERIC"), "REGRESSION", PLAIN)
    errors = [model.predict({"x": str(x)})["predictedValue"] - y for x, y in ((1, 4), (5, 5))]
    rmse = float(evaluate(model, labelled([[1, 4], [5, 5], [7, "?"]], "NUMERIC")).metrics["RegressionRMSE"])
    assert rmse == pytest.approx((sum(error**2 for error in errors) / 2) ** 0.5)


def test_a_class_that_training_did_not_show_counts_as_wrong() -> None:
    """a: F1 1, b: precision 1/2 and recall 1, F1 2/3; c was never learned, F1 0: the mean is 5/9."""
    model = train(labelled([[n, "a" if n < 10 else "b"] for n in range(20)], "CATEGORICAL"), "MULTICLASS", PLAIN)
    held_out = labelled([[0, "a"], [19, "b"], [18, "c"]], "CATEGORICAL")
    assert float(evaluate(model, held_out).metrics["MulticlassAvgFScore"]) == pytest.approx(5 / 9)


def test_an_evaluation_that_cannot_be_says_why() -> None:
    """No target in the data, no value in it, or one class where AUC needs two."""
    model = train(labelled([[n, n % 2] for n in range(20)], "BINARY"), "BINARY")
    cases = {
        "has no attribute 'y', the target of the model": table("1\n", {"x": "NUMERIC"}),
        "No record has a usable value of the target 'y'": labelled([[1, ""]], "BINARY"),
        "Every record's target 'y' is 1: AUC needs both": labelled([[1, 1], [2, "t"]], "BINARY"),
    }
    for message, held_out in cases.items():
        with pytest.raises(LearningError, match=message):
            evaluate(model, held_out)


def test_a_batch_needs_no_target() -> None:
    """Predictions are made for data that has inputs alone."""
    model = train(labelled([[n, n % 2] for n in range(20)], "BINARY"), "BINARY")
    results = predict_rows(model, table("1\n2\n", {"x": "NUMERIC"}), None, "bp", "s3://b/")
    assert results.counts == (2, 0)
