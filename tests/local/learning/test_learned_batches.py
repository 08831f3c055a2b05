"""The files of a batch prediction, byte for byte as AWS's developer guide describes them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest

from amazon_ml_local.learning import LearningError, Model, predict_rows, read_table, train
from amazon_ml_local.learning.batch import scientific
from amazon_ml_local.learning.features import Features
from amazon_ml_local.learning.model import Learned, ModelType
from amazon_ml_local.learning.recipe import parse_recipe, resolve
from amazon_ml_local.learning.steps import TableRows
from amazon_ml_local.storage import MemoryStorage, StorageError
from tests.helpers.schemas import schema_text
from tests.helpers.tables import table

MANIFEST = "s3://out/deep/batch-prediction/bp-1.manifest"
RESULT = "s3://out/deep/batch-prediction/result/bp-1-{}.gz"


def known(model_type: ModelType, labels: list[str]) -> Model:
    """Return a model of known scores: x for REGRESSION, else its logistic function for the second class."""
    data = TableRows(table("-1\n1\n", {"x": "NUMERIC"}))
    features = Features(resolve(parse_recipe('{"outputs": ["x"]}'), {"x": "NUMERIC"}), data)
    weights = np.array([[0.0, 1.0] if model_type == "MULTICLASS" else [1.0]])
    return Model(model_type, "y", labels, features, Learned(weights, np.zeros(weights.shape[1])), "", {}, 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.996733, "9.96733E-1"), (0.0, "0E0"), (1.0, "1E0"), (-12.5, "-1.25E1"), (1e-7, "1E-7"),
        (123456789.0, "1.234568E8"), (float(np.float32(0.1)), "1E-1"), (0.00121, "1.21E-3"), (9.9999999, "1E1"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_java_does(value: float, text: str) -> None:
    """At most six decimals, no zeros at their end, one digit before them: 0.######E0."""
    assert scientific(value) == text


# ln 3 is where the logistic function is 0.75.
THREE, FOUR = 1.0986122886681098, 1.3862943611198906
BINARY = b'tag,trueLabel,bestAnswer,score\na,1,1,7.5E-1\n\n"b,c",0,0,2E-1\n'
REGRESSION = b'tag,trueLabel,score\na,Yes,1.098612E0\n\n"b,c",n,-1.386294E0\n'
MULTICLASS = b'tag,trueLabel,n,Yes\na,Yes,2.5E-1,7.5E-1\n\n"b,c",n,8E-1,2E-1\n'


@pytest.mark.parametrize(
    ("model_type", "labels", "expected"),
    [("BINARY", ["0", "1"], BINARY), ("REGRESSION", [], REGRESSION), ("MULTICLASS", ["n", "Yes"], MULTICLASS)],
)
def test_the_result_file_byte_for_byte(model_type: ModelType, labels: list[Any], expected: bytes) -> None:
    """Header, the input's order and count, a blank line for a record that cannot be read, quotes where needed."""
    rows = f'a,{THREE},Yes\nbroken\n"b,c",-{FOUR},n\n' + "z,3,y\n" * 8
    kinds = {"id": "CATEGORICAL", "x": "NUMERIC", "y": "BINARY" if model_type == "BINARY" else "CATEGORICAL"}
    read = table(rows, kinds, rowId="id", targetAttributeName="y")
    storage = MemoryStorage()
    results = predict_rows(known(model_type, labels), read, None, "bp-1", "s3://out/deep/")
    results.write(storage)
    assert results.counts == (11, 1)
    assert set(storage.objects) == {MANIFEST, RESULT.format("data.csv")}
    result = gzip.decompress(storage.objects[RESULT.format("data.csv")])
    assert result.startswith(expected)
    assert result.count(b"\n") == 12
    assert storage.objects[MANIFEST] == b'{"s3://bucket/in/data.csv": "' + RESULT.format("data.csv").encode() + b'"}'


def test_without_row_id_and_target_only_the_answer_is_written() -> None:
    """tag and trueLabel stand only where the data has them; the threshold decides bestAnswer."""
    storage = MemoryStorage()
    read = table(f"0\n{FOUR}\n", {"x": "NUMERIC"})
    predict_rows(known("BINARY", ["0", "1"]), read, 0.75, "bp-1", "s3://out/deep").write(storage)
    assert gzip.decompress(storage.objects[RESULT.format("data.csv")]) == b"bestAnswer,score\n0,5E-1\n1,8E-1\n"


def test_each_input_file_has_its_own_result() -> None:
    """The manifest maps them; files of one name in different folders do not overwrite each other."""
    files = {"s3://in/d/a/x.csv": b"1\n2\n", "s3://in/d/b/x.csv": b"3\n", "s3://in/d/y.csv": b"4\n"}
    storage = MemoryStorage(files)
    read = read_table({"location_s3": "s3://in/d/", "schema": schema_text({"x": "NUMERIC"})}, storage)
    predict_rows(known("REGRESSION", []), read, None, "bp-1", "s3://out/deep").write(storage)
    manifest = json.loads(storage.objects[MANIFEST])
    assert manifest == dict(zip(files, map(RESULT.format, ["a-x.csv", "b-x.csv", "y.csv"]), strict=True))
    assert [gzip.decompress(storage.objects[uri]) for uri in manifest.values()] == [
        b"score\n1E0\n2E0\n", b"score\n3E0\n", b"score\n4E0\n",
    ]  # fmt: skip


def test_files_whose_paths_join_to_one_name_have_results_of_their_own() -> None:
    """A folder's name may hold the sign that joins folders in the names of results."""
    files = {"s3://in/d/a-b/x.csv": b"1\n", "s3://in/d/a/b-x.csv": b"2\n"}
    read = read_table({"location_s3": "s3://in/d/", "schema": schema_text({"x": "NUMERIC"})}, MemoryStorage(files))
    results = predict_rows(known("REGRESSION", []), read, None, "bp-1", "s3://out/deep")
    manifest = json.loads(results.files[MANIFEST])
    assert [gzip.decompress(results.files[manifest[uri]]) for uri in files] == [b"score\n1E0\n", b"score\n2E0\n"]


def test_the_same_batch_gives_the_same_bytes() -> None:
    """No time is written into the gzip file."""
    read = table("\n".join(f"{n},{n % 2}" for n in range(20)), {"x": "NUMERIC", "y": "BINARY"}, targetAttributeName="y")
    storages = [MemoryStorage(), MemoryStorage()]
    for storage in storages:
        predict_rows(train(read, "BINARY"), read, None, "bp-1", "s3://out/deep").write(storage)
    assert storages[0].objects == storages[1].objects


def test_results_that_cannot_be_written_say_so() -> None:
    """The storage's own reason is told."""

    class Full(MemoryStorage):
        def write(self, uri: str, body: bytes) -> None:
            raise StorageError(f"{uri}: AccessDenied")

    with pytest.raises(LearningError, match=r"predictions cannot be written. s3://out/.*AccessDenied"):
        predict_rows(known("REGRESSION", []), table("1\n", {"x": "NUMERIC"}), None, "b", "s3://out").write(Full())


def test_a_split_without_rows_gives_a_file_without_predictions() -> None:
    """An empty share of the data is no error: the result has its header alone."""
    attributes = {"x": "NUMERIC", "c": "CATEGORICAL", "t": "TEXT", "y": "BINARY"}
    read = table("\n".join(f"{n},a,b c,{n % 2}" for n in range(20)), attributes, targetAttributeName="y")
    recipe = '{"outputs": ["ALL_INPUTS", "quantile_bin(x,5)", "cartesian(c,t)"]}'
    empty = table("1,a,b,1\n", attributes, {"percentBegin": 50, "percentEnd": 50})
    storage = MemoryStorage()
    results = predict_rows(train(read, "BINARY", recipe), empty, None, "bp-1", "s3://out/deep")
    results.write(storage)
    assert results.counts == (0, 0)
    assert gzip.decompress(storage.objects[RESULT.format("data.csv")]) == b"trueLabel,bestAnswer,score\n"
