"""What was recorded or published of AWS's learning: order of classes, sizes, scaling, learners."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from amazon_ml_local.learning import LearningError, evaluate, predict_rows, train
from amazon_ml_local.learning.lines import MOST_BYTES
from amazon_ml_local.learning.model import ModelType
from tests.helpers.tables import cells, csv_text, table

RECIPES = {
    "plain": '{"outputs": ["ALL_INPUTS"]}',
    "normalized": '{"outputs": ["ALL_CATEGORICAL", "normalize(ALL_NUMERIC)"]}',
}


def test_classes_come_in_the_order_of_their_first_appearance() -> None:
    """The one recorded file of a multiclass batch has the columns 5,6,7,2,8,3,9,0,1,4."""
    order = "5672839014"
    rows = [[n, order[n % 10]] for n in range(300)]
    read = table(csv_text(rows), {"x": "NUMERIC", "y": "CATEGORICAL"}, targetAttributeName="y")
    model = train(read, "MULTICLASS")
    assert list(model.predict({"x": "3"})["predictedScores"]) == list(order)
    (result, _) = predict_rows(model, read, None, "bp", "s3://out").files.values()
    assert gzip.decompress(result).startswith(b"trueLabel,5,6,7,2,8,3,9,0,1,4\n")


def test_rows_outside_of_the_split_have_no_say_in_the_order() -> None:
    """Of the training rows, not of the file."""
    rows = [[n, "a" if n < 50 else "cb"[n % 2]] for n in range(100)]
    split = {"percentBegin": 50, "percentEnd": 100}
    read = table(csv_text(rows), {"x": "NUMERIC", "y": "CATEGORICAL"}, split, targetAttributeName="y")
    assert list(train(read, "MULTICLASS").labels) == ["c", "b"]


def test_an_observation_of_more_than_100_kb_is_not_read() -> None:
    """AWS's limit of an observation holds in files too."""
    lines = [f"{n},word" for n in range(30)]
    lines[3], lines[4] = f"3,{'w' * (MOST_BYTES - 2)}", f"4,{'w' * (MOST_BYTES - 1)}"
    read = table("\n".join(lines), {"x": "NUMERIC", "t": "TEXT"})
    assert read.unreadable == [4]
    assert len(cells(read)[3][1]) == MOST_BYTES - 2
    with pytest.raises(LearningError, match=r"line 1: 102,402 bytes, more than the 102,400 of an observation"):
        table("w" * 102_402, {"t": "TEXT"})


def test_a_model_has_96_bytes_a_parameter() -> None:
    """Recorded: 206,496 bytes for 2,151 parameters."""
    rows = [[f"c{n % 20}", n % 2] for n in range(200)]
    model = train(table(csv_text(rows), {"c": "CATEGORICAL", "y": "BINARY"}, targetAttributeName="y"), "BINARY")
    assert model.size_in_bytes == 96 * 21


def housing(rows: int = 1460) -> tuple[str, dict[str, str]]:
    """Return houses made up like those of Ames: areas in square feet, a few large lots, qualities, quarters, prices."""
    random = np.random.default_rng(0)
    quality = random.integers(1, 11, rows)
    living = np.exp(random.normal(7.2, 0.33, rows)).round()
    lot = np.exp(random.normal(9.1, 0.5, rows)).round()
    lot[random.integers(0, rows, 5)] = 200_000
    basement = np.clip(random.normal(1050, 430, rows), 0, None).round()
    built, garage = random.integers(1900, 2011, rows), random.integers(0, 4, rows)
    quarter = random.integers(0, 25, rows)
    worth = random.normal(0, 0.15, 25)
    log_price = (
        9.0 + 0.12 * quality + 0.3 * np.log(living) + 0.05 * np.log(lot) + 0.0001 * basement
        + 0.003 * (built - 1970) + 0.05 * garage + worth[quarter] + random.normal(0, 0.12, rows)
    )  # fmt: skip
    columns = zip(
        quality.tolist(), living.tolist(), lot.tolist(), basement.tolist(), built.tolist(), garage.tolist(),
        [f"q{number}" for number in quarter], np.exp(log_price).round().tolist(), strict=True,
    )  # fmt: skip
    kinds = dict.fromkeys(("quality", "living", "lot", "basement", "built", "garage"), "NUMERIC")
    return csv_text(list(columns)), {**kinds, "quarter": "CATEGORICAL", "price": "NUMERIC"}


def test_unscaled_numbers_do_badly_and_binned_ones_well() -> None:
    """Published for Ames housing: RMSE 61,507 with ALL_INPUTS, 29,853 with a binned recipe."""
    text, kinds = housing()
    seen = table(text, kinds, {"percentEnd": 70}, targetAttributeName="price")
    held_out = table(text, kinds, {"percentBegin": 70}, targetAttributeName="price")

    def rmse(recipe: str | None) -> float:
        return float(evaluate(train(seen, "REGRESSION", recipe), held_out).metrics["RegressionRMSE"])

    binned, plain, normalized = rmse(None), rmse(RECIPES["plain"]), rmse(RECIPES["normalized"])
    assert 1.5 * binned < plain < 1e6
    assert 1.5 * normalized < plain


@pytest.mark.parametrize("scale", [1e-3, 1e4, 1e9, 1e80, 1e149])
@pytest.mark.parametrize("model_type", ["BINARY", "MULTICLASS", "REGRESSION"])
def test_numbers_of_any_scale_give_finite_answers(model_type: ModelType, scale: float) -> None:
    """Without normalize nothing is scaled: badly learned, but never NaN or infinite."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(300, 2)) * [1, scale]
    target = numbers[:, 0] + numbers[:, 1] / scale
    labels = target if model_type == "REGRESSION" else target > 0
    kind = {"BINARY": "BINARY", "MULTICLASS": "CATEGORICAL", "REGRESSION": "NUMERIC"}[model_type]
    rows = [[*row, str(label).lower()] for row, label in zip(numbers.tolist(), labels.tolist(), strict=True)]
    read = table(csv_text(rows), {"a": "NUMERIC", "b": "NUMERIC", "y": kind}, targetAttributeName="y")
    model = train(read, model_type, RECIPES["plain"])
    assert np.isfinite(model.scores(read)).all()
    assert np.isfinite(float(next(iter(evaluate(model, read).metrics.values()))))


def test_five_learners_are_tried_and_the_best_is_kept() -> None:
    """Recorded in a training log of AWS: five learners with rates from 0.01 to 100."""
    rows = [[n % 17, n % 5, int(n % 17 + n % 5 > 10)] for n in range(500)]
    read = table(csv_text(rows), {"a": "NUMERIC", "b": "NUMERIC", "y": "BINARY"}, targetAttributeName="y")
    log: list[str] = []
    train(read, "BINARY", log=log.append)
    losses = {line.split("rate ")[1].split()[0]: float(line.split()[-1]) for line in log if line.startswith("Learner")}
    assert list(losses) == ["0.01", "0.1", "1", "10", "100"]
    assert f"The rate {min(losses, key=losses.__getitem__)} x " in log[-2]
