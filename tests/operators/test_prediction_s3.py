"""A file in, predictions out, nothing lost."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider import transport
from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.errors import InvalidArgument
from amazon_ml_local.entities import Endpoint
from tests.helpers.endpoints import replace
from tests.helpers.files import (
    FILE,
    OUTPUT,
    ROWS,
    SOURCE,
    VALUES,
    expected,
    got,
    interrupted,
    joined,
    planned,
    predict,
)
from tests.helpers.schemas import schema_text

if TYPE_CHECKING:
    from amazon_ml_local.faults import When
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.helpers.files import Bucket


def test_every_row_is_predicted_in_order(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """Key columns and predictions stand in the input's order; each row is asked for once."""
    predict(rows_per_part=25)
    assert got(bucket) == expected()
    assert list(bucket.rows(OUTPUT)[0]) == ["id", "predictedLabel", "predictedScore"]
    assert endpoint.requests.count("Predict") == 60


def test_nothing_but_the_output_stays(bucket: Bucket) -> None:
    """Parts and the record of progress are deleted when it is complete."""
    predict(rows_per_part=25)
    assert bucket.uris() == {SOURCE, OUTPUT}


def test_a_part_of_any_size_is_read_back(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read block by block: a part may be larger than the largest answer of S3 that is accepted."""
    monkeypatch.setattr(transport, "MOST_BYTES", {"s3": 3 * 1024 * 1024})
    rows = [(f"{key}-{'k' * 100_000}", x) for key, x in ROWS]
    bucket.put(SOURCE, "id,x\n" + "".join(f"{key},{x}\n" for key, x in rows))
    predict(rows_per_part=60)
    assert got(bucket) == expected(rows)


def test_the_summary_says_what_was_written(bucket: Bucket) -> None:
    """Rows, errors and parts, and where output and errors file are."""
    summary = predict(rows_per_part=25)
    assert {name: summary[name] for name in ("rows", "errors", "parts", "output_uri", "errors_uri")} == {
        "rows": 60,
        "errors": 0,
        "parts": 3,
        "output_uri": OUTPUT,
        "errors_uri": None,
    }


def test_only_the_models_variables_are_sent(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """The target and a key that the model does not know stay here; an empty field is a missing variable."""
    bucket.put(SOURCE, "id,x,y\nk1,30,1\nk2,,0\n")
    predict()
    sent = [received.parameters["Record"] for received in endpoint.requests if received.operation == "Predict"]
    assert sent == [{"x": "30"}, {}]


@pytest.mark.parametrize(
    ("source", "body", "arguments"),
    [
        (SOURCE, FILE.encode(), {}),
        (SOURCE, b"\xef\xbb\xbf" + FILE.encode(), {}),
        (SOURCE, FILE.replace("\n", "\r\n").encode(), {}),
        (SOURCE, FILE.split("\n", 1)[1].encode(), {"column_names": ["id", "x"]}),
        (f"{SOURCE}.gz", gzip.compress(FILE.encode()), {}),
        ("s3://bucket/in.jsonl", "".join(json.dumps({"id": k, "x": x}) + "\n" for k, x in ROWS).encode(), {}),
        ("s3://bucket/in", "".join(json.dumps({"id": k, "x": x}) + "\n" for k, x in ROWS).encode(),
         {"input_format": "JSON_LINES"}),
    ],
    ids=["csv", "byte order mark", "crlf", "no header", "gzip", "json lines", "input_format"],
)  # fmt: skip
def test_every_input_gives_the_same_output(bucket: Bucket, source: Any, body: Any, arguments: dict[str, Any]) -> None:
    """CSV and JSON Lines, plain and packed, are read alike."""
    bucket.put(source, body)
    predict(source_uri=source, **arguments)
    assert got(bucket) == expected()


def test_a_folder_is_read_in_the_order_of_its_names(bucket: Bucket) -> None:
    """All objects of a folder make one output."""
    bucket.put("s3://bucket/in/2.csv", "id,x\nb,30\n")
    bucket.put("s3://bucket/in/1.csv", "x,id\n3,a\n")
    predict(source_uri="s3://bucket/in/")
    assert got(bucket) == [("a", "0"), ("b", "1")]


@pytest.mark.parametrize(
    ("name", "body"),
    [("0", b""), ("3", b""), ("0.gz", b""), ("0.gz", gzip.compress(b"")), ("0", b"\n\n"), ("0", b"\xef\xbb\xbf")],
    ids=["first", "last", "no gzip", "empty gzip", "empty lines", "byte order mark"],
)
def test_an_empty_object_of_a_folder_is_skipped(bucket: Bucket, name: str, body: Any) -> None:
    """As one with a header alone it has no rows; the others are predicted."""
    bucket.put(f"s3://bucket/in/{name}", body)
    bucket.put("s3://bucket/in/1.csv", "id,x\na,3\nb,30\n")
    assert predict(source_uri="s3://bucket/in/")["rows"] == 2
    assert got(bucket) == [("a", "0"), ("b", "1")]


def test_a_folder_of_empty_objects_is_an_error(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """Nothing to predict is no success."""
    bucket.put("s3://bucket/in/1.csv", b"")
    bucket.put("s3://bucket/in/2.csv", b"id,x\n")
    with pytest.raises(AirflowFailException, match=r"source_uri: s3://bucket/in/ has no rows"):
        predict(source_uri="s3://bucket/in/")
    assert endpoint.requests.count("Predict") == 0


def test_json_lines_hold_the_whole_prediction(bucket: Bucket) -> None:
    """As JSON Lines the output has AWS's members, packed where its name says so."""
    predict(output_uri="s3://bucket/out.jsonl.gz")
    first = json.loads(gzip.decompress(bucket.get("s3://bucket/out.jsonl.gz")).decode().splitlines()[0])
    assert first.keys() == {"id", "predictedLabel", "predictedScores"}
    assert first["predictedScores"].keys() == {"0"}


TYPES = {
    "REGRESSION": ("NUMERIC", [str(2 * x) for x in range(40)], ["predictedValue"]),
    "MULTICLASS": (
        "CATEGORICAL",
        ['"a, b"', "b.1", "c"] * 13,
        ["predictedLabel", "predictedScores.a, b", "predictedScores.b.1", "predictedScores.c"],
    ),
}


@pytest.fixture(params=TYPES)
def typed(
    request: pytest.FixtureRequest, bucket: Bucket, endpoint: AmazonMLLocalFixture
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The columns and Amazon ML's own answers for every row, of a model ``ml-2`` of another type than BINARY."""
    attribute_type, targets, columns = TYPES[request.param]
    lines = "".join(f"{x},{target}\n" for x, target in enumerate(targets))
    endpoint.storage.write("s3://training/typed.csv", f"x,y\n{lines}".encode())
    schema = schema_text({"x": "NUMERIC", "y": attribute_type}, targetAttributeName="y", dataFileContainsHeader=True)
    client = endpoint.client()
    client.create_data_source_from_s3(
        DataSourceId="ds-2",
        DataSpec={"DataLocationS3": "s3://training/typed.csv", "DataSchema": schema},
        ComputeStatistics=True,
    )
    client.create_ml_model(MLModelId="ml-2", MLModelType=request.param, TrainingDataSourceId="ds-2")
    endpoint.clock.advance(3600)
    url = client.create_realtime_endpoint(MLModelId="ml-2")["RealtimeEndpointInfo"]["EndpointUrl"]
    endpoint.clock.advance(3600)
    answers = {}
    for x in set(VALUES):
        answers[x] = client.predict(MLModelId="ml-2", Record={"x": str(x)}, PredictEndpoint=url)["Prediction"]
        endpoint.clock.advance(1)
    return columns, [(key, answers[x]) for key, x in ROWS]


def test_every_type_of_model_has_its_columns(bucket: Bucket, typed: tuple[list[str], list[tuple[Any, ...]]]) -> None:
    """CSV has a value for REGRESSION, and the label and each class's score for MULTICLASS, as Predict gives them."""
    columns, answers = typed
    summary = predict(ml_model_id="ml-2")
    cells = [
        {
            column: answer.get(column, answer.get("predictedScores", {}).get(column.partition(".")[2]))
            for column in columns
        }
        for _, answer in answers
    ]
    assert list(bucket.rows(OUTPUT)[0]) == ["id", *columns]
    assert bucket.rows(OUTPUT) == [
        {"id": key, **{column: str(cell) for column, cell in row.items()}}
        for (key, _), row in zip(answers, cells, strict=True)
    ]
    assert (summary["rows"], summary["errors"]) == (60, 0)


def test_every_type_of_model_has_its_members(bucket: Bucket, typed: tuple[list[str], list[tuple[Any, ...]]]) -> None:
    """JSON Lines have AWS's own members but the details, without scores where the type has none."""
    predict(ml_model_id="ml-2", output_uri="s3://bucket/out.jsonl")
    got = [json.loads(line) for line in bucket.get("s3://bucket/out.jsonl").decode().splitlines()]
    for _, answer in typed[1]:
        answer.pop("details", None)
    assert got == [{"id": key, **answer} for key, answer in typed[1]]


def test_every_type_of_model_is_summed_up_in_the_log(
    bucket: Bucket, typed: tuple[list[str], list[tuple[Any, ...]]], caplog: pytest.LogCaptureFixture
) -> None:
    """Without labels it is by the least, mean and highest value, with labels by how many each has."""
    caplog.set_level("INFO")
    predict(ml_model_id="ml-2")
    values = [answer["predictedValue"] for _, answer in typed[1] if "predictedValue" in answer]
    labels = Counter(answer["predictedLabel"] for _, answer in typed[1] if "predictedLabel" in answer)
    said = ", ".join(f"{label}: {number}" for label, number in sorted(labels.items()))
    if values:
        said = f"min {min(values):g}, mean {sum(values) / len(values):g}, max {max(values):g}"
    assert f"All 60 rows are done. Predictions: {said}" in caplog.text


BAD_ROWS: dict[str, Any] = {
    "ragged": ("k,1,2", "it has 3 fields; the columns are 2"),
    "not utf-8": (b"\xff\xfe,1", "it is not UTF-8"),
    "over 100 KB": ("k," + "1" * 102_401, "it has 102402 bytes; a record may have 102400"),
    "open quote": ('k,"1', "it is no CSV: unexpected end of data"),
    "endless field": ('k,"' + "1" * 140_000 + '"', "it is no CSV: field larger than field limit"),
}


@pytest.mark.parametrize("kind", BAD_ROWS)
def test_a_row_that_cannot_be_sent_goes_to_the_errors_file(bucket: Bucket, kind: str) -> None:
    """It is there with its line number and reason; all other rows are predicted."""
    line, reason = BAD_ROWS[kind]
    lines = FILE.encode().splitlines()
    lines.insert(3, line if isinstance(line, bytes) else line.encode())
    bucket.put(SOURCE, b"\n".join(lines))
    summary = predict(max_errors=1)
    assert got(bucket) == expected()
    assert (summary["errors"], summary["errors_uri"]) == (1, f"{OUTPUT}.errors.csv")
    (error,) = bucket.rows(f"{OUTPUT}.errors.csv")
    assert (error["uri"], error["line"]) == (SOURCE, "4")
    assert reason in error["reason"]


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "{",
        '"x"',
        '{"x": 1}',
        '{"id": "k", "x": {}}',
        '{"id": "\\ud800", "x": 1}',
        f'{{"id": "k", "x": {10**400}}}',
    ],
)
def test_a_bad_line_of_json_goes_to_the_errors_file(bucket: Bucket, line: str) -> None:
    """What is no flat object with the key columns is refused by itself."""
    bucket.put("s3://bucket/in.jsonl", f'{{"id": "a", "x": 1}}\n\n{line}\n{{"id": "b", "x": 30}}\n')
    predict(source_uri="s3://bucket/in.jsonl", max_errors=1)
    assert got(bucket) == [("a", "0"), ("b", "1")]
    assert [error["line"] for error in bucket.rows(f"{OUTPUT}.errors.csv")] == ["3"]


def test_a_key_of_any_text_is_written_back(bucket: Bucket) -> None:
    """Quotes, commas and characters beyond ASCII, also those that JSON escapes in two halves."""
    keys = ["ü,", 'a"b', "a\rb", "a\nb", "\N{GRINNING FACE}"]
    lines = [json.dumps({"id": key, "x": 30}) for key in keys]
    bucket.put("s3://bucket/in.jsonl", "\n".join(lines))
    predict(source_uri="s3://bucket/in.jsonl")
    body = bucket.get(OUTPUT).decode()
    assert [row[0] for row in csv.reader(io.StringIO(body, newline=""))] == ["id", *keys]


@pytest.mark.parametrize("change", ["threshold", "endpoint"])
def test_a_change_in_mid_run_is_never_mixed_into_one_output(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """With two thresholds or at two endpoints: the try fails, and the next one predicts every row again."""
    from airflow_ml_provider.scoring import parts

    original = parts.Parts.write

    def write(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        monkeypatch.setattr(parts.Parts, "write", original)
        if change == "threshold":
            endpoint.client().update_ml_model(MLModelId="ml-1", ScoreThreshold=0.9999)
        else:
            replace_at_once(endpoint)

    monkeypatch.setattr(parts.Parts, "write", write)
    with pytest.raises(AirflowException, match="ml-1 in us-east-1: this changed during the predictions") as caught:
        predict(rows_per_part=20, timeout=10_000)
    assert not isinstance(caught.value, AirflowFailException)
    assert OUTPUT not in bucket.uris()
    endpoint.requests.clear()
    predict(rows_per_part=20)
    assert endpoint.requests.count("Predict") == 60


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_that_breaks_off_is_read_again(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    """S3's connections break between the bytes too; that costs neither the row nor the task."""
    from botocore.exceptions import IncompleteReadError, ReadTimeoutError
    from botocore.response import StreamingBody

    original, broken = StreamingBody.read, [ReadTimeoutError(endpoint_url="s3"), None, IncompleteReadError(
        actual_bytes=1, expected_bytes=2
    )]  # fmt: skip

    def read(self: Any, amt: Any = None) -> Any:
        if broken and (error := broken.pop()):
            raise error
        return original(self, amt)

    source = f"{SOURCE}.gz" if packed else SOURCE
    bucket.put(source, gzip.compress(FILE.encode()) if packed else FILE)
    monkeypatch.setattr(StreamingBody, "read", read)
    predict(source_uri=source, input_format="CSV")
    assert got(bucket) == expected()
    assert not broken


ARCHIVE = gzip.compress(b"id,x\n" + b"".join(b"%f,1\n" % random.Random(n).random() for n in range(2000)))


@pytest.mark.parametrize(
    "body",
    [b"no gzip", ARCHIVE[:5000] + bytes(10) + ARCHIVE[5010:], ARCHIVE[:3000]],
    ids=["no gzip", "damaged", "cut off"],
)
def test_a_damaged_archive_is_an_error(bucket: Bucket, endpoint: AmazonMLLocalFixture, body: bytes) -> None:
    """What is no gzip, in its head or in its midst, fails for good and names the file."""
    bucket.put(f"{SOURCE}.gz", body)
    with pytest.raises(AirflowFailException, match=r"source_uri: s3://bucket/in\.csv\.gz cannot be unpacked"):
        predict(source_uri=f"{SOURCE}.gz")
    assert endpoint.requests.count("Predict") == 0


def test_a_row_that_the_service_refuses_goes_to_the_errors_file(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """The reason holds the service's code and its words."""
    endpoint.faults.add(
        "error", operation="Predict", code="InvalidInputException", message="no such", status=400, count=1
    )
    predict(max_errors=1)
    (error,) = bucket.rows(f"{OUTPUT}.errors.csv")
    assert error["line"] == "2"
    assert error["reason"].startswith("refused with InvalidInputException: ")
    assert got(bucket) == expected()[1:]


@pytest.fixture
def failed_of_an_error(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """A try that has failed, since line 42 of its source is one error more than was allowed."""
    lines = FILE.splitlines()
    lines.insert(41, "ragged")
    bucket.put(SOURCE, "\n".join(lines))
    with pytest.raises(
        AirflowFailException, match=r"max_errors: 1 rows got no prediction, allowed are 0; .*errors.csv"
    ):
        predict()
    endpoint.requests.clear()


def test_too_many_errors_leave_the_errors_file_and_no_output(bucket: Bucket, failed_of_an_error: None) -> None:
    """Whoever reads the error finds the rows there."""
    assert OUTPUT not in bucket.uris()
    assert bucket.rows(f"{OUTPUT}.errors.csv")[0]["line"] == "42"


def test_a_try_that_allows_more_errors_goes_on_behind_what_was_done(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, failed_of_an_error: None
) -> None:
    """No row is asked for twice."""
    predict(max_errors=1)
    assert got(bucket) == expected()
    assert endpoint.requests.count("Predict") == 20


def test_errors_of_an_earlier_run_do_not_stay(bucket: Bucket) -> None:
    """A run without errors deletes the errors file that another one left."""
    bucket.put(f"{OUTPUT}.errors.csv", "old")
    predict()
    assert bucket.uris() == {SOURCE, OUTPUT}


HEADERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown column": ("id,x,zip", {}, r"the model knows no variable 'zip'; excluded_attribute_names leaves it out"),
    "another case": ("ID,X", {"key_columns": []}, r"the model knows no variable 'ID'; excluded_attribute_names"),
    "nearly a variable": ("id,X", {}, r"the model knows no variable 'X' \(did you mean 'x'\?\)"),
    "missing key": ("id,x", {"key_columns": ["ID"]}, r"it has no key column 'ID' \(did you mean 'id'\?\)"),
    "no variable at all": ("id,y", {}, "it has no variable of the model"),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_fault_of_the_header_fails_before_the_first_prediction(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, kind: str
) -> None:
    """However many errors are allowed; nothing is written."""
    header, arguments, message = HEADERS[kind]
    bucket.put(SOURCE, f"{header}\n" + "k,1,2\n"[: 2 * len(header.split(","))] + "\n")
    with pytest.raises(AirflowFailException, match=rf"the header of s3://bucket/in\.csv: {message}"):
        predict(max_errors=1000, **arguments)
    assert bucket.uris() == {SOURCE}
    assert endpoint.requests.count("Predict") == 0


NO_HEADERS = {
    "csv without a header": "Jane Roe,30\nJohn Doe,3\n",
    "json lines": '{"id": "Jane Roe", "x": 30}\n{"id": "John Doe", "x": 3}\n',
}
NO_HEADER = r"none of its columns is .*is its first line a header\? column_names .* input_format"


@pytest.mark.parametrize("keys", [[], ["Jane"]], ids=["no key", "a key"])
@pytest.mark.parametrize("kind", NO_HEADERS)
def test_a_first_line_that_is_no_header_is_not_quoted(bucket: Bucket, kind: str, keys: list[str]) -> None:
    """Its cells are somebody's data, also one like the name of a key; the message says how to read such a file."""
    bucket.put("s3://bucket/in/1", NO_HEADERS[kind])
    with pytest.raises(AirflowFailException, match=NO_HEADER) as caught:
        predict(source_uri="s3://bucket/in/", key_columns=keys)
    assert "Roe" not in str(caught.value)


@pytest.mark.parametrize("kind", NO_HEADERS)
def test_a_first_line_is_not_quoted_though_the_variables_are_unknown(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, kind: str
) -> None:
    """Without the schema the key columns alone show what is a header; the message names the one that is missing."""
    bucket.put(SOURCE, NO_HEADERS[kind])
    endpoint.faults.add("error", operation="GetDataSource", code="AccessDeniedException", message="no", status=400)
    message = r"it has no key column 'Jane'; is its first line a header\? column_names .* input_format"
    with pytest.raises(AirflowFailException, match=message) as caught:
        predict(key_columns=["Jane"])
    assert "Roe" not in str(caught.value)


def test_an_excluded_column_is_not_sent(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """Then the model need not know it."""
    bucket.put(SOURCE, "id,x,zip\nk,1,2\n")
    predict(excluded_attribute_names=["zip"])
    assert got(bucket) == [("k", "0")]


def test_a_header_of_100_000_columns_is_read_at_once(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """The first unknown column is named within seconds."""
    bucket.put(SOURCE, ",".join(["id", "x", *(f"column{number}" for number in range(100_000))]) + "\nk,1\n")
    began = time.monotonic()
    with pytest.raises(AirflowFailException, match="the model knows no variable 'column0'"):
        predict()
    assert time.monotonic() - began < 10


def test_the_first_reasons_stand_in_the_exception(bucket: Bucket) -> None:
    """Each kind once with its line, and without the record's values."""
    lines = FILE.splitlines()
    lines[3:3] = ["secret", "secret", 'secret,"1']
    bucket.put(SOURCE, "\n".join(lines))
    with pytest.raises(AirflowFailException, match="max_errors: 3 rows got no prediction, allowed are 2") as caught:
        predict(max_errors=2)
    assert "; line 4 of s3://bucket/in.csv: it has 1 fields; the columns are 2; line 6 of" in str(caught.value)
    assert "it is no CSV" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("output", [OUTPUT, "s3://bucket/out.jsonl"])
def test_all_rows_refused_is_a_failure_whatever_max_errors(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, output: Any
) -> None:
    """The reasons are in the errors file and in the exception; the next run begins anew."""
    bucket.put(SOURCE, "id,x\nragged\nragged,1,2\n")
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="all 2 rows got no prediction; .* it has 1 fields"):
            predict(max_errors=1000, output_uri=output)
    assert bucket.uris() == {SOURCE, f"{output}.errors.csv"}
    bucket.put(SOURCE, FILE)
    predict(output_uri=output)
    assert bucket.uris() == {SOURCE, output}


def test_a_row_without_any_variable_of_the_model_is_refused(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """JSON Lines have no header: each row is judged by itself, before it is sent."""
    bucket.put("s3://bucket/in.jsonl", '{"id": "a", "x": 1}\n{"id": "b"}\n{"id": "c", "X": 1}\n')
    predict(source_uri="s3://bucket/in.jsonl", max_errors=2)
    reasons = [error["reason"] for error in bucket.rows(f"{OUTPUT}.errors.csv")]
    assert reasons[0] == "it has no variable of the model"
    assert reasons[1].startswith("the model knows no variable 'X' (did you mean 'x'?)")
    assert endpoint.requests.count("Predict") == 1


@pytest.mark.parametrize("name", ["predictedLabel", "predictedScore", "predictedValue", "predictedScores.a"])
def test_a_key_column_named_like_a_result_is_refused(bucket: Bucket, name: str) -> None:
    """The output's columns would stand twice."""
    with pytest.raises(InvalidArgument, match=f"key_columns: '{name}' is a column of the predictions|own columns"):
        predict(key_columns=[name])


@pytest.mark.parametrize("operation", ["GetMLModel", "GetDataSource"])
def test_the_gets_survive_garbage(bucket: Bucket, endpoint: AmazonMLLocalFixture, operation: str) -> None:
    """A proxy's page, half an answer and a reset cost a while, not the task."""
    endpoint.faults.add("garbage", operation=operation, count=2)
    endpoint.faults.add("reset", operation=operation, count=2)
    predict()
    assert got(bucket) == expected()


INPUTS: dict[str, Any] = {
    "csv": {"in.csv": FILE},
    "gzip": {"in.csv.gz": gzip.compress(FILE.encode())},
    "json lines": {"in.jsonl": "".join(f'{{"id": "{key}", "x": {x}}}\n' for key, x in ROWS)},
    "crlf and beyond ascii": {"in.csv": "\ufeff" + FILE.replace("k", "kü").replace("\n", "\r\n")},
    "folder": {"in/1.csv": FILE[: FILE.index("k25")], "in/2.csv.gz": gzip.compress(b"id,x\nz1,3\nz2,35\n")}
    | {"in/3.csv": "id,x\n" + FILE[FILE.index("k25") :]},
}


@pytest.mark.parametrize("kind", INPUTS)
def test_a_retry_goes_on_behind_what_was_done(bucket: Bucket, endpoint: AmazonMLLocalFixture, kind: str) -> None:
    """Whatever the input: the bytes are those of an undisturbed run, and no row is asked for twice."""
    for name, body in INPUTS[kind].items():
        bucket.put(f"s3://bucket/{name}", body)
    source = "s3://bucket/in/" if kind == "folder" else f"s3://bucket/{next(iter(INPUTS[kind]))}"
    rows = predict(source_uri=source)["rows"]
    undisturbed = bucket.get(OUTPUT)
    bucket.client.delete_object(Bucket="bucket", Key="out.csv")
    endpoint.requests.clear()
    done = interrupted(endpoint, bucket, source_uri=source)
    assert 10 <= done < rows
    predict(rows_per_part=10, source_uri=source)
    assert bucket.get(OUTPUT) == undisturbed
    assert endpoint.requests.count("Predict") == rows - done


PASSING: dict[Any, dict[str, Any]] = {
    (0, None): {"kind": "reset"},
    (500, "InternalServerException"): {"kind": "server_error"},
    (400, "ThrottlingException"): {"kind": "throttling"},
    (400, "PredictorNotMountedException"): {
        "kind": "error", "code": "PredictorNotMountedException", "message": "Not mounted", "status": 400,
    },
}  # fmt: skip


@pytest.mark.parametrize("when", ["before", "after"])
def test_passing_faults_change_no_byte(bucket: Bucket, endpoint: AmazonMLLocalFixture, when: When) -> None:
    """With 5 % of the calls failing in each of four ways the output is the same, and there is no errors file."""
    undisturbed_uri = "s3://bucket/undisturbed.csv"
    bucket.put(SOURCE, FILE + "".join(f"more{number},{number % 40}\n" for number in range(140)))
    undisturbed = predict(output_uri=undisturbed_uri, rows_per_part=25)
    endpoint.clock.advance(2)
    endpoint.requests.clear()
    for seed, fault in enumerate(PASSING.values()):
        endpoint.faults.add(**fault, operation="Predict", probability=0.05, seed=seed, when=when)
    summary = predict(rows_per_part=25)
    assert bucket.get(OUTPUT) == bucket.get(undisturbed_uri)
    assert bucket.uris() == {SOURCE, OUTPUT, undisturbed_uri}
    assert all(summary[name] == undisturbed[name] for name in ("rows", "errors", "errors_uri", "parts"))
    failed = Counter((item.status, item.error_code) for item in endpoint.requests if item.status != 200)
    assert failed.keys() == PASSING.keys()


def change_threshold(endpoint: AmazonMLLocalFixture, bucket: Bucket) -> None:
    endpoint.client().update_ml_model(MLModelId="ml-1", ScoreThreshold=0.9)


def change_endpoint(endpoint: AmazonMLLocalFixture, bucket: Bucket) -> None:
    replace(endpoint)
    endpoint.clock.advance(3600)


def replace_at_once(endpoint: AmazonMLLocalFixture) -> None:
    """Replace the endpoint in one step, so that no thread that predicts meanwhile finds that there is none."""
    endpoint.clock.advance(5)
    state = endpoint.service.state
    lifecycle = state.new_lifecycle("RealtimeEndpoint", "ml-1", 0)
    state.region("us-east-1").get("MLModel", "ml-1").endpoints.append(Endpoint(lifecycle, 200))


def change_source(endpoint: AmazonMLLocalFixture, bucket: Bucket) -> None:
    bucket.put(SOURCE, FILE + "new,1\n")


@pytest.mark.parametrize("change", [change_threshold, change_endpoint, change_source])
def test_a_change_since_the_last_try_begins_anew(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, change: Callable[..., Any]
) -> None:
    """Parts made from another source, with another threshold or at another endpoint are thrown away."""
    interrupted(endpoint, bucket)
    change(endpoint, bucket)
    predict()
    assert endpoint.requests.count("Predict") == len(bucket.get(SOURCE).splitlines()) - 1


def test_a_source_that_changes_meanwhile_is_an_error(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of two versions are never mixed."""
    from airflow_ml_provider.scoring import worker

    original = worker.Scoring.run

    def run(self: Any) -> Any:
        bucket.put(SOURCE, FILE.replace("k1,", "q1,"))
        return original(self)

    monkeypatch.setattr(worker.Scoring, "run", run)
    with pytest.raises(AirflowException, match=r"in\.csv changed while it was read") as caught:
        predict()
    assert not isinstance(caught.value, AirflowFailException)  # the next try begins anew
    assert OUTPUT not in bucket.uris()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", r"in\.csv has no rows: it is empty"),
        ("id,x\n", "has no rows"),
        ("id,,x\n1,2,3\n", "column 2 in the header of s3://bucket/in.csv is empty"),
        ("id,id\n1,2\n", "column 1 in the header of s3://bucket/in.csv is .*repeated"),
        ("id,x\r1,2\r", "the header of s3://bucket/in.csv cannot be read: it is no CSV: new-line character"),
        (FILE.encode("utf-16"), "is UTF-16; it must be UTF-8"),
    ],
    ids=["empty", "header only", "nameless column", "column twice", "lines that end in CR alone", "utf-16"],
)
def test_a_file_that_is_none_is_an_error(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, body: str | bytes, message: str
) -> None:
    """The message names the file, and no prediction is made."""
    bucket.put(SOURCE, body)
    with pytest.raises(AirflowFailException, match=message):
        predict()
    assert bucket.uris() == {SOURCE}
    assert endpoint.requests.count("Predict") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_uri": SOURCE}, "output_uri: .* is the source_uri"),
        ({"source_uri": "s3://bucket/in/", "output_uri": "s3://bucket/in/out"}, "output_uri: .* or in it"),
        ({"source_uri": "bucket/in.csv"}, "source_uri: 'bucket/in.csv' is no S3 URI"),
        ({"output_uri": "s3://bucket"}, "output_uri: 's3://bucket' is no S3 URI"),
        ({"source_uri": None}, "source_uri, row_ranges: exactly one"),
        ({"row_ranges": []}, "source_uri, row_ranges: exactly one"),
        ({"ml_model_id": None}, "ml_model_id: it is None"),
        ({"key_columns": "id"}, "key_columns: it is str; it must be a list of names"),
        ({"column_names": ["a", "a"]}, "column_names: a name is empty or repeated"),
        ({"excluded_attribute_names": [1]}, "excluded_attribute_names: it is list; it must be a list of names"),
        ({"input_format": "XML"}, "input_format: 'XML'; it must be CSV or JSON_LINES"),
        ({"output_format": "XML"}, "output_format: 'XML'; it must be CSV or JSON_LINES"),
        ({"max_errors": -1}, "max_errors: -1; it must be a whole number of at least 0"),
        ({"max_predictions": 0}, "max_predictions: 0; it must be a whole number of at least 1"),
        ({"max_requests_per_second": 0}, "max_requests_per_second: 0; it must be a whole number of at least 1"),
        ({"rows_per_part": 0}, "rows_per_part: 0; it must be a whole number of at least 1"),
        ({"max_errors": 1.5}, r"max_errors: 1\.5; it must be a whole number of at least 0"),
        ({"max_predictions": 1e6}, r"max_predictions: 1000000\.0; it must be a whole number of at least 1"),
        ({"max_requests_per_second": 50.0}, r"max_requests_per_second: 50\.0; it must be a whole number of at least 1"),
        ({"max_requests_per_second": True}, "max_requests_per_second: True; it must be a whole number of at least 1"),
        ({"rows_per_part": 2000.0}, r"rows_per_part: 2000\.0; it must be a whole number of at least 1"),
        ({"timeout": -0.5}, r"timeout: -0\.5; it must be a number of at least 0"),
        ({"timeout": float("nan")}, "timeout: nan; it must be a number of at least 0"),
        ({"timeout": "60"}, "timeout: '60'; it must be a number of at least 0"),
    ],
)
def test_a_bad_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    """Each is a clear error that says what is allowed, before anybody is asked for anything."""
    with pytest.raises(InvalidArgument, match=message):
        predict(**arguments)


def test_a_missing_source_is_an_error(bucket: Bucket) -> None:
    """It is named."""
    with pytest.raises(AirflowFailException, match="source_uri: there is no object at s3://bucket/nothing"):
        predict(source_uri="s3://bucket/nothing")


def test_an_output_that_is_not_writable_costs_no_prediction(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """It is tried before the first prediction."""
    with pytest.raises(AirflowException, match=r"output_uri: s3://elsewhere/out.csv cannot be .*NoSuchBucket"):
        predict(output_uri="s3://elsewhere/out.csv")
    assert endpoint.requests.count("Predict") == 0


def test_more_rows_than_max_predictions_are_not_begun(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """The limit holds before the first prediction."""
    with pytest.raises(AirflowFailException, match="max_predictions: there are 60 rows, allowed are 59"):
        predict(max_predictions=59)
    assert endpoint.requests.count("Predict") == 0


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return what a run writes into its log."""
    caplog.set_level("INFO")
    predict()
    return "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("amazon_ml_local"))


def test_the_log_tells_the_cost(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    """How many rows there are and about what they cost, before the first prediction."""
    assert "60 rows to predict, about $0.01 at $0.0001 a prediction" in logged(caplog)


def test_the_log_counts_the_labels(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    """At the end it says how many rows have each."""
    assert "Predictions: 0: 30, 1: 30" in logged(caplog)


def test_the_log_holds_no_record(bucket: Bucket, caplog: pytest.LogCaptureFixture) -> None:
    """What people sent is in no line above DEBUG."""
    bucket.put(SOURCE, FILE.replace("k1,", "secret,"))
    assert "secret" not in logged(caplog)


@pytest.fixture
def folder(bucket: Bucket) -> str:
    """A folder of three objects, with 60 rows, 2 and none."""
    bucket.put("s3://bucket/in/1.csv", FILE)
    bucket.put("s3://bucket/in/2.csv.gz", gzip.compress(b"id,x\nz1,3\nz2,35\n"))
    bucket.put("s3://bucket/in/3.csv", "id,x\n")
    return "s3://bucket/in/"


def test_workers_share_the_rate_as_they_share_the_rows(folder: str) -> None:
    """All rows are in some share, and together the shares have the endpoint's 200 requests a second."""
    plan = planned(3, folder)
    assert [sum(row_range["count"] for row_range in share["row_ranges"]) for share in plan] == [23, 22, 17]
    assert [share["max_requests_per_second"] for share in plan] == [74, 70, 56]


def test_many_workers_make_the_bytes_of_one(bucket: Bucket, folder: str) -> None:
    """Divided between workers, one after the other here, and joined: the output is the same, and no share stays."""
    predict(source_uri=folder, output_uri="s3://bucket/one.csv")
    total = joined([predict(source_uri=None, **share) for share in json.loads(json.dumps(planned(3, folder)))])
    assert bucket.get(OUTPUT) == bucket.get("s3://bucket/one.csv")
    assert total["rows"] == 62
    assert not any(".shares/" in uri for uri in bucket.uris())


def test_a_join_that_is_repeated_returns_the_same(folder: str) -> None:
    """A retry finds its work done, though the shares are gone."""
    summaries = [predict(source_uri=None, **share) for share in planned(3, folder)]
    assert joined(summaries) == joined(summaries)


@pytest.mark.parametrize("rate", [0, "200", 200 / 4, True])
def test_a_bad_rate_of_a_plan_is_named(rate: Any, bucket: Bucket) -> None:
    """It is an error of this argument, and not of the endpoint."""
    message = f"max_requests_per_second: {rate!r}; it must be a whole number of at least 1"
    with pytest.raises(InvalidArgument, match=message):
        planned(2, max_requests_per_second=rate)


def test_a_bad_number_of_workers_is_named(bucket: Bucket) -> None:
    """Half a worker is none."""
    with pytest.raises(InvalidArgument, match=r"workers: 2\.5; it must be a whole number of at least 1"):
        planned(2.5)


def test_a_join_of_what_was_joined_before_in_part_is_an_error(bucket: Bucket, endpoint: AmazonMLLocalFixture) -> None:
    """One worker that is cleared alone finds the others' shares gone; its own is kept, and nothing looks done."""
    plan = planned(2)
    summaries = [predict(source_uri=None, **share) for share in plan]
    joined(summaries)
    whole = bucket.get(OUTPUT)
    endpoint.client().update_ml_model(MLModelId="ml-1", ScoreThreshold=0.9)
    again = predict(source_uri=None, **plan[0])
    again["seconds"] += 1  # as by a clock that does not stand still; the same bytes by the same summary are done
    with pytest.raises(AirflowException, match=r"there is no object at s3://bucket/out\.csv\.shares/0001-out\.csv"):
        joined([again, summaries[1]])
    assert again["output_uri"] in bucket.uris()
    assert bucket.get(OUTPUT) == whole
    joined([again, predict(source_uri=None, **plan[1])])
    assert len(got(bucket)) == 60


def test_a_join_is_not_done_when_the_errors_alone_differ(bucket: Bucket) -> None:
    """Which version of the errors file belongs to a share stands in its summary, as that of its predictions does."""
    bucket.put(SOURCE, f"{FILE}ragged\n")
    first = predict(source_uri=None, max_errors=1, **planned(1)[0])
    joined([first])
    bucket.put(SOURCE, f"{FILE}ragged,in,another,way\n")
    second = predict(source_uri=None, max_errors=1, **planned(1)[0])
    assert {**second, "errors_etag": first["errors_etag"]} == first
    joined([second])
    assert [error["reason"] for error in bucket.rows(f"{OUTPUT}.errors.csv")] == ["it has 4 fields; the columns are 2"]


def test_a_late_join_deletes_nothing_of_a_later_run(bucket: Bucket) -> None:
    """It finds its own work done, and leaves shares that have been written since to the join that knows of them."""
    summary = predict(source_uri=None, **planned(1)[0])
    joined([summary])
    bucket.put(SOURCE, FILE.replace("k1,", "later,"))
    later = predict(source_uri=None, **planned(1)[0])
    joined([summary])
    assert later["output_uri"] in bucket.uris()
    joined([later])
    assert got(bucket)[1][0] == "later"


def test_a_large_archive_starves_no_worker(bucket: Bucket) -> None:
    """It goes to one worker as a whole; what comes after it is divided between the others."""
    bucket.put("s3://bucket/in/1.csv.gz", gzip.compress(("id,x\n" + "k,1\n" * 30_000).encode()))
    bucket.put("s3://bucket/in/2.csv", "id,x\n" + "k,1\n" * 30)
    plan = planned(4, "s3://bucket/in/")
    counts = [sum(row_range["count"] for row_range in share["row_ranges"]) for share in plan]
    assert counts[0] == 30_000
    assert len(counts) == 4
    assert max(counts[1:]) - min(counts[1:]) <= 2
    assert [share["max_requests_per_second"] for share in plan] == [196, 1, 1, 2]  # as there are rows


def test_the_log_tells_how_far_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """Rows, rate, errors and the time left, every ten seconds."""
    from airflow_ml_provider.scoring import progress_log

    seconds = iter([0.0, 4.0, 10.0, 15.0])
    progress = progress_log.ProgressLog(1000, 100, SimpleNamespace(now=lambda: next(seconds)))
    with caplog.at_level("INFO", progress_log.log.name):
        for rows in (200, 300, 400):
            progress.log_progress(rows, 2)
    assert caplog.messages == ["300 of 1,000 rows (30 %), 20.0/s, 2 errors, 35 s left"]


def test_errors_of_all_workers_are_joined(bucket: Bucket) -> None:
    """One errors file, with the line numbers of the source."""
    lines = FILE.splitlines()
    lines[3], lines[50] = "ragged", "ragged"
    bucket.put(SOURCE, "\n".join(lines))
    plan = planned(3)
    total = joined([predict(source_uri=None, max_errors=1, **share) for share in plan])
    assert (total["rows"], total["errors"]) == (60, 2)
    assert [error["line"] for error in bucket.rows(f"{OUTPUT}.errors.csv")] == ["4", "51"]
    assert len(got(bucket)) == 58
