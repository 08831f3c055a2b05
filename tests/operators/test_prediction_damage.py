"""Damage costs its own work again, never the run; and what an output's own objects are protected from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.prediction import MachineLearningJoinPredictS3Operator
from airflow_ml_provider.scoring.record import OutputRecord, TakenOver
from tests.helpers.files import (
    FILE,
    OUTPUT,
    SOURCE,
    expected,
    got,
    interrupted,
    joined,
    planned,
    predict,
    recorded,
)

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.helpers.files import Bucket

PARTS = f"{OUTPUT}.parts/"
RECORD = f"{PARTS}progress.json"
LINES = FILE.splitlines()
WITH_REFUSED = "\n".join([*LINES[:5], "ragged", *LINES[5:]])  # in the first part


def delete(bucket: Bucket, uri: str) -> None:
    bucket.client.delete_object(Bucket="bucket", Key=uri.removeprefix("s3://bucket/"))


WAYS: dict[str, Any] = {
    "missing": delete,
    "empty": lambda bucket, uri: bucket.put(uri, b""),
    "short": lambda bucket, uri: bucket.put(uri, bucket.get(uri)[:-9]),
    "foreign": lambda bucket, uri: bucket.put(uri, b"k1,1,0.5\n"),
}


def objects(bucket: Bucket) -> dict[str, Any]:
    """Return where the pieces of the first part lie, and the last part's lines."""
    first, last = (recorded(bucket)["parts"][place]["name"] for place in (0, -1))
    return {"lines": f"{PARTS}{first}", "errors": f"{PARTS}{first}.errors", "last": f"{PARTS}{last}"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("which", ["lines", "errors", "last"])
def test_a_damaged_part_costs_its_own_rows(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, which: str, way: str
) -> None:
    """Between two tries: the next one predicts that part again, and makes the bytes of an undisturbed run."""
    bucket.put(SOURCE, WITH_REFUSED)
    predict(max_errors=1)
    undisturbed = {uri: bucket.get(uri) for uri in bucket.uris()}
    delete(bucket, OUTPUT)
    endpoint.requests.clear()
    done = interrupted(endpoint, bucket, max_errors=1)
    WAYS[way](bucket, objects(bucket)[which])
    summary = predict(max_errors=1, rows_per_part=10)
    assert {uri: bucket.get(uri) for uri in bucket.uris()} == undisturbed
    assert (summary["rows"], summary["errors"]) == (61, 1)
    assert endpoint.requests.count("Predict") <= 61 - done + 10


RECORDS: dict[str, Any] = {
    **WAYS,
    "cut": lambda bucket, uri: bucket.put(uri, bucket.get(uri)[: len(bucket.get(uri)) // 2]),
    "an object": lambda bucket, uri: bucket.put(uri, b"{}"),
    "a list": lambda bucket, uri: bucket.put(uri, b"[]"),
    "nested": lambda bucket, uri: bucket.put(uri, b"[" * 100_000),
    "not utf-8": lambda bucket, uri: bucket.put(uri, b"\xff\xfe"),
    "changed": lambda bucket, uri: bucket.put(uri, bucket.get(uri).replace(b'"rows": 10', b'"rows": 11')),
    "newer": lambda bucket, uri: bucket.put(uri, json.dumps({**json.loads(bucket.get(uri)), "version": 3})),
}


@pytest.mark.parametrize("way", RECORDS)
def test_a_damaged_record_costs_what_it_told_of(bucket: Bucket, endpoint: AmazonMLLocalFixture, way: Any) -> None:
    """Between two tries: the next one begins anew, ends well and leaves nothing."""
    interrupted(endpoint, bucket)
    RECORDS[way](bucket, RECORD)
    predict(rows_per_part=10)
    assert got(bucket) == expected()
    assert bucket.uris() == {SOURCE, OUTPUT}


@pytest.fixture
def at_write(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Arrange an event in place of, or after, the n-th write of an object whose key has this pattern."""

    def arrange(pattern: str, event: Callable[..., Any], number: int = 1) -> None:
        seen, original = [], vars(BaseClient)["_make_api_call"]

        def call(client: Any, operation: str, parameters: Any) -> Any:
            answer: Callable[[], Any] = lambda: original(client, operation, parameters)  # noqa: E731 - it is called by the event
            is_write = operation in ("PutObject", "CompleteMultipartUpload") and re.search(pattern, parameters["Key"])
            if is_write:
                seen.append(operation)
            return event(answer, parameters) if is_write and len(seen) == number else answer()

        monkeypatch.setattr(BaseClient, "_make_api_call", call)

    return arrange


def swallowed(answer: Any, parameters: Any) -> dict[str, Any]:
    """Answer as S3 does, and store nothing."""
    return {"ETag": f'"{hashlib.md5(parameters.get("Body", b"")).hexdigest()}"', "ResponseMetadata": {}}


def lost(answer: Any, parameters: Any) -> Any:
    """Write, and answer what a second attempt is answered."""
    answer()
    return answer()


@pytest.mark.parametrize("number", [2, 3, 5, 6])
@pytest.mark.parametrize("event", [swallowed, lost])
def test_a_record_that_was_not_written_or_not_answered_costs_nothing(
    bucket: Bucket,
    endpoint: AmazonMLLocalFixture,
    at_write: Callable[..., None],
    event: Callable[..., Any],
    number: int,
) -> None:
    """The try sees what is there, and goes on from it."""
    at_write("progress.json", event, number)
    predict(rows_per_part=30)
    assert got(bucket) == expected()
    assert bucket.uris() == {SOURCE, OUTPUT}
    assert endpoint.requests.count("Predict") == 60


def test_a_part_that_s3_did_not_keep_costs_its_own_rows(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, at_write: Callable[..., None]
) -> None:
    """A gateway answers the PUT with 200 and stores nothing: the join finds out."""
    at_write("/000001-", swallowed)
    predict(rows_per_part=10)
    assert got(bucket) == expected()
    assert endpoint.requests.count("Predict") == 70


@pytest.mark.parametrize("event", [swallowed, lost])
def test_an_output_that_was_not_written_or_not_answered_costs_nothing(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, at_write: Callable[..., None], event: Callable[..., Any]
) -> None:
    """It is written again, or found to be there."""
    at_write("out.csv$", event)
    predict(rows_per_part=60)
    assert got(bucket) == expected()
    assert endpoint.requests.count("Predict") == 60


def test_an_s3_that_keeps_nothing_fails(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that is never kept is made again a few times, and then named."""
    original = vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, parameters: Any) -> Any:
        if operation == "PutObject" and "/000000-" in parameters["Key"]:
            return swallowed(None, parameters)
        return original(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    with pytest.raises(
        AirflowException, match=r"output_uri: parts of s3://bucket/out\.csv were missing or damaged 5 t"
    ):
        predict()
    assert OUTPUT not in bucket.uris()
    assert endpoint.requests.count("Predict") == 60 * 5


def test_a_stale_try_stops_at_its_next_write(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, at_write: Callable[..., None]
) -> None:
    """Another try has claimed the output: the message says so, and its part is deleted again."""

    def taken_over(answer: Any, parameters: Any) -> Any:
        predict(rows_per_part=10)
        return answer()

    at_write("/000001-", taken_over)
    with pytest.raises(
        TakenOver, match=r"s3://bucket/out\.csv.parts/progress\.json no longer exists: another try or task"
    ):
        predict(rows_per_part=10)
    assert got(bucket) == expected()
    assert bucket.uris() == {SOURCE, OUTPUT}


def test_an_output_that_somebody_else_writes_meanwhile_is_left(bucket: Bucket, at_write: Callable[..., None]) -> None:
    """What appeared between the look and the write is not written over."""

    def foreign(answer: Any, parameters: Any) -> Any:
        bucket.put(OUTPUT, b"theirs")
        return answer()

    at_write("out.csv$", foreign)
    with pytest.raises(AirflowException, match=r"somebody else has written s3://bucket/out\.csv meanwhile"):
        predict(rows_per_part=60)
    assert bucket.get(OUTPUT) == b"theirs"


@pytest.mark.parametrize("name", ["IfMatch", "IfNoneMatch"])
@pytest.mark.parametrize("operation", ["PutObject", "CompleteMultipartUpload"])
def test_an_s3_without_conditional_writes_is_found_out_before_the_first_row(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch, operation: str, name: str
) -> None:
    """The message names the write that should have been refused."""
    original = vars(BaseClient)["_make_api_call"]

    def call(client: Any, made: Any, parameters: Any) -> Any:
        if made == operation:
            parameters = {key: value for key, value in parameters.items() if key != name}
        return original(client, made, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    header = {"IfMatch": "If-Match", "IfNoneMatch": "If-None-Match"}[name]
    with pytest.raises(AirflowFailException, match=f"not support conditional writes .*{operation} with {header}"):
        predict()
    assert endpoint.requests.count("Predict") == 0
    assert OUTPUT not in bucket.uris()


@pytest.mark.parametrize(
    "arguments",
    [
        {"source_uri": f"{OUTPUT}.errors.csv"},
        {"source_uri": f"{OUTPUT}.parts/"},
        {"source_uri": f"{OUTPUT}.parts/000000-x"},
        {"source_uri": f"{OUTPUT}.shares/"},
        {"output_uri": f"{OUTPUT}.errors.csv"},
        {"output_uri": f"{OUTPUT}.parts/mine.csv"},
    ],
    ids=lambda arguments: " ".join(f"{name} {value}" for name, value in arguments.items()),
)
def test_an_outputs_own_objects_are_no_place_for_others(bucket: Bucket, arguments: dict[str, Any]) -> None:
    """A source or another output among them is refused, and stays."""
    (uri,) = arguments.values()
    mine = f"{uri}mine" if uri.endswith("/") else uri
    bucket.put(mine, FILE)
    with pytest.raises(InvalidArgument, match=r"own objects|belong to the output"):
        predict(**arguments)
    assert bucket.get(mine) == FILE.encode()


def test_what_others_put_among_the_parts_stays(bucket: Bucket) -> None:
    """Only what bears the name of a try is deleted."""
    bucket.put(f"{PARTS}notes.txt", b"mine")
    predict()
    assert bucket.uris() == {SOURCE, OUTPUT, f"{PARTS}notes.txt"}


def test_a_record_that_another_try_has_written_is_not_deleted(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clean-up deletes the version that this try wrote last, and no other."""
    original, theirs = vars(BaseClient)["_make_api_call"], json.dumps({"version": 2, "try": "0123456789ab"}).encode()

    def call(client: Any, operation: str, parameters: Any) -> Any:
        if operation == "DeleteObject" and parameters["Key"].endswith("progress.json"):
            original(client, "PutObject", {"Bucket": "bucket", "Key": parameters["Key"], "Body": theirs})
        return original(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    with pytest.raises(TakenOver, match="0123456789ab"):
        predict()
    assert bucket.get(RECORD) == theirs
    assert got(bucket) == expected()


def test_a_try_that_was_taken_over_stays_so(bucket: Bucket) -> None:
    """After one refused write, none of its later writes is conditional on the other try's version."""
    dead, alive = OutputRecord(bucket.client, OUTPUT), OutputRecord(bucket.client, OUTPUT)
    dead.swap({})
    alive.read()
    alive.swap({"parts": []})
    theirs = bucket.get(RECORD)
    for _ in range(2):
        with pytest.raises(TakenOver, match=alive.try_id):
            dead.swap({})
    assert bucket.get(RECORD) == theirs


def test_an_answer_with_more_than_was_asked_for_is_an_error(
    bucket: Bucket, endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that ignores ranges would have rows read twice."""
    interrupted(endpoint, bucket)
    original = vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, parameters: Any) -> Any:
        if operation == "GetObject":
            parameters = {name: value for name, value in parameters.items() if name != "Range"}
        return original(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    with pytest.raises(AirflowException, match=rf"source_uri: {SOURCE}: S3 sent {len(FILE)} bytes instead of \d+"):
        predict(rows_per_part=10)
    assert OUTPUT not in bucket.uris()


def test_parts_and_uploads_of_dead_tries_are_cleared(bucket: Bucket) -> None:
    """Whoever finishes deletes what no record names any more."""
    bucket.put(f"{PARTS}000007-0123456789ab", b"dead")
    for key in ("out.csv", "out.csv.errors.csv", "elsewhere.csv"):
        bucket.client.create_multipart_upload(Bucket="bucket", Key=key)
    predict()
    assert bucket.uris() == {SOURCE, OUTPUT}
    assert [item["Key"] for item in bucket.client.list_multipart_uploads(Bucket="bucket")["Uploads"]] == [
        "elsewhere.csv"
    ]


@pytest.fixture
def no_uploads_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deny s3:ListBucketMultipartUploads."""
    original = vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, parameters: Any) -> Any:
        if operation == "ListMultipartUploads":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
        return original(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


def test_a_try_that_is_killed_in_its_claim_forgets_no_upload(
    bucket: Bucket, no_uploads_listed: None, at_write: Callable[..., None]
) -> None:
    """The record names the uploads of earlier tries until they are aborted: none of them is completed later."""

    class Killed(BaseException):
        pass

    def killed(answer: Any, parameters: Any) -> None:
        answer()
        raise Killed

    def suspended(answer: Any, parameters: Any) -> Any:
        at_write(r"progress\.json$", killed)
        with pytest.raises(Killed):
            predict()
        bucket.put(SOURCE, FILE.replace("k1,", "later,"))
        predict()
        delete(bucket, OUTPUT)
        return answer()

    at_write(r"out\.csv$", suspended)
    with pytest.raises(TakenOver):
        predict()
    assert bucket.uris() == {SOURCE}


@pytest.mark.parametrize("way", ["missing", "foreign"])
def test_a_share_that_is_not_what_its_worker_wrote_is_not_joined(bucket: Bucket, way: str) -> None:
    """The join compares the ETags of the summaries."""
    summary = predict(output_uri=f"{OUTPUT}.shares/0000-out.csv")
    WAYS[way](bucket, summary["output_uri"])
    join = MachineLearningJoinPredictS3Operator(task_id="join", output_uri=OUTPUT, summaries=[summary])
    with pytest.raises(AirflowException, match="there is no object at .*, or it is not the one"):
        join.execute({})
    assert OUTPUT not in bucket.uris()


def test_the_record_of_an_unfinished_join_is_no_obstacle(bucket: Bucket) -> None:
    """One worker alone may write the output at which a join has failed."""
    summaries = [predict(source_uri=None, **share) for share in planned(2)]
    delete(bucket, summaries[1]["output_uri"])
    with pytest.raises(AirflowException, match="there is no object at"):
        joined(summaries)
    predict()
    assert got(bucket) == expected()
    assert not any(".parts/" in uri for uri in bucket.uris())
