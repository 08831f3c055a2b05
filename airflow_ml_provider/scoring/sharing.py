"""Many workers at one endpoint: rows and rate divided between them, and what they wrote put together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypedDict

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.scoring.objects import find, open_at, split, upload
from airflow_ml_provider.scoring.progress_log import cost, log
from airflow_ml_provider.scoring.settings import Input, at_least

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import Description, Format
    from airflow_ml_provider.scoring.worker import Summary


class Share(TypedDict):
    """What one worker does: arguments of MachineLearningPredictS3Operator."""

    stretches: list[Description]
    output_uri: str
    input_format: Format
    max_requests_per_second: int


def divide(
    hook: MachineLearningClientHook,
    ml_model_id: str,
    source: Input,
    *,
    output_uri: str,
    workers: int,
    max_requests_per_second: int | None,
) -> list[Share]:
    """Divide rows, in order, and the endpoint's rate; the rates are whole numbers, and their sum is no higher."""
    at_least("workers", workers, 1)
    rate = max_requests_per_second
    if rate is None:
        rate = hook.get_realtime_endpoint(ml_model_id)["PeakRequestsPerSecond"]
    if rate < 1:
        raise AirflowException(f"MLModel {ml_model_id} has no realtime endpoint to predict with")
    found = source.shares(hook.s3, min(workers, rate))
    rows = [sum(stretch.count for stretch in share) for share in found]
    log.info("%s rows for %d workers, %s", f"{sum(rows):,}", len(found), cost(sum(rows)))
    return [
        Share(
            stretches=[stretch.to_json() for stretch in share],
            output_uri=_share_uri(output_uri, number),
            input_format=source.format,
            max_requests_per_second=share_of_rate,
        )
        for number, (share, share_of_rate) in enumerate(zip(found, _rates(rate, rows), strict=True))
    ]


def _rates(rate: int, rows: Sequence[int]) -> list[int]:
    """Divide a rate by the rows, so that all are done at once; each gets at least 1, and the sum is the rate."""
    left = rate - len(rows)
    upto = [left * done // sum(rows) for done in accumulate(rows, initial=0)]
    return [1 + end - begin for begin, end in pairwise(upto)]


def _share_uri(output_uri: str, number: int) -> str:
    """Name a share's output; the end of the name says how it is written, so it stays the output's own."""
    name = output_uri.rsplit("/", 1)[-1].removesuffix(".gz")
    return f"{output_uri}.shares/{number:04d}-{name}"


def join(s3: S3Client, output_uri: str, summaries: Sequence[Summary]) -> Summary:
    """Put what the workers wrote together, and then delete it; a second time finds that done.

    :raises AirflowFailException: when there is nothing to join.
    """
    if not summaries:
        raise AirflowFailException("summaries: there are none")
    shares = [summary["output_uri"] for summary in summaries]
    made_of = {"shares": hashlib.sha256(json.dumps(summaries, sort_keys=True).encode()).hexdigest()}
    errors = [summary["errors_uri"] for summary in summaries if summary["errors_uri"]]
    errors_uri = f"{output_uri}.errors.csv"
    if _metadata(s3, output_uri) != made_of:
        _check_there(s3, shares)
        if errors:
            upload(s3, errors_uri, _pieces(s3, errors, has_header=True))
        else:
            _delete(s3, [errors_uri])
        upload(s3, output_uri, _pieces(s3, shares, summaries[0]["output_format"] == "CSV"), made_of)
    _delete(s3, [*shares, *errors])
    return _total(output_uri, errors_uri if errors else None, summaries)


def _metadata(s3: S3Client, uri: str) -> dict[str, str]:
    """Give what an object says of itself; one that is not there says nothing."""
    bucket, key = split("output_uri", uri)
    if not _exists(s3, uri):
        return {}
    return s3.head_object(Bucket=bucket, Key=key)["Metadata"]


def _check_there(s3: S3Client, uris: Sequence[str]) -> None:
    for uri in uris:
        if not _exists(s3, uri):
            raise AirflowException(
                f"summaries: there is no object at {uri}: clear the worker that wrote it, and all the others with it "
                f"when an earlier run of this task has put them together"
            )


def _exists(s3: S3Client, uri: str) -> bool:
    bucket, key = split("output_uri", uri)
    return any(item["Key"] == key for item in s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", ()))


def _delete(s3: S3Client, uris: Sequence[str]) -> None:
    for uri in uris:
        bucket, key = split("output_uri", uri)
        s3.delete_object(Bucket=bucket, Key=key)


def _pieces(s3: S3Client, uris: Sequence[str], has_header: bool) -> Iterator[bytes]:
    header = b""
    for uri in uris:
        (source,) = find(s3, uri)
        with open_at(s3, source) as stream:
            first = stream.readline() if has_header else b""
            if first and header and first != header:
                raise AirflowFailException(f"summaries: {uri} has other columns than those before it")
            yield b"" if header else first
            header = first or header
            while block := stream.read(1024 * 1024):
                yield block


def _total(output_uri: str, errors_uri: str | None, summaries: Sequence[Summary]) -> Summary:
    rows, seconds = sum(item["rows"] for item in summaries), max(item["seconds"] for item in summaries)
    return {
        "output_uri": output_uri,
        "output_format": summaries[0]["output_format"],
        "errors_uri": errors_uri,
        "rows": rows,
        "errors": sum(item["errors"] for item in summaries),
        "parts": sum(item["parts"] for item in summaries),
        "seconds": seconds,
        "rate": round(rows / max(seconds, 1e-3), 1),
    }
