"""Share the rows and the endpoint's rate between many workers, and join their outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypedDict

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.scoring.objects import SHARES, ObjectVersion, errors_uri, open_at, split
from airflow_ml_provider.scoring.output import Output
from airflow_ml_provider.scoring.progress_log import cost, log
from airflow_ml_provider.scoring.settings import Input, check_output
from airflow_ml_provider.scoring.summary import Summary, rows_per_second
from airflow_ml_provider.scoring.writing import Found, Key, delete, head
from airflow_ml_provider.values import check_whole

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import Format, JSONObject


class Share(TypedDict):
    """One worker's share: arguments of MachineLearningPredictS3Operator."""

    row_ranges: list[JSONObject]
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
    """Divide the rows in order, and the endpoint's rate into whole numbers whose sum does not exceed it.

    :param max_requests_per_second: the rate to divide; None means the endpoint's own.
    :raises InvalidArgument: when an argument is not a whole number of at least 1.
    """
    check_whole("workers", workers, 1)
    if max_requests_per_second is not None:
        check_whole("max_requests_per_second", max_requests_per_second, 1)
    rate = max_requests_per_second or _endpoints_rate(hook, ml_model_id)
    found = source.shares(hook.s3, min(workers, rate))  # no worker has a rate below 1
    rows = [sum(row_range.count for row_range in share) for share in found]
    log.info("%s rows for %d workers, %s", f"{sum(rows):,}", len(found), cost(sum(rows)))
    return [
        Share(
            row_ranges=[row_range.to_json() for row_range in share],
            output_uri=_share_uri(output_uri, number),
            input_format=source.format,
            max_requests_per_second=share_of_rate,
        )
        for number, (share, share_of_rate) in enumerate(zip(found, _rates(rate, rows), strict=True))
    ]


def _endpoints_rate(hook: MachineLearningClientHook, ml_model_id: str) -> int:
    """Return the ``PeakRequestsPerSecond`` of a model's endpoint.

    :raises AirflowException: when there is no endpoint, whose rate is 0 then.
    """
    rate = hook.get_realtime_endpoint(ml_model_id)["PeakRequestsPerSecond"]
    if rate < 1:
        raise AirflowException(
            f"MLModel {ml_model_id} in {hook.conn_region_name} has no realtime endpoint to predict with: create it "
            f"with MachineLearningCreateRealtimeEndpointOperator."
        )
    return rate


def _rates(rate: int, rows: Sequence[int]) -> list[int]:
    """Divide a rate in proportion to the rows, so that all workers end together.

    Each gets 1, and a share of the rest. The rest is divided at the running totals of the rows, so that rounding does
    not change the sum.
    """
    rest = rate - len(rows)
    ends = [rest * total // sum(rows) for total in accumulate(rows, initial=0)]
    return [1 + end - begin for begin, end in pairwise(ends)]


def _share_uri(output_uri: str, number: int) -> str:
    """Return the URI of a share's output; it ends as the output's own does, since the ending determines the format."""
    name = output_uri.rsplit("/", 1)[-1].removesuffix(".gz")
    return f"{output_uri}{SHARES}{number:04d}-{name}"


def join(s3: S3Client, output_uri: str, summaries: Sequence[Summary]) -> Summary:
    """Join the outputs of the workers, and delete them; a retry finds a complete output and changes nothing.

    :raises AirflowFailException: when there is nothing to join, or no row has a prediction.
    :raises TakenOver: when another try or task has claimed this output.
    """
    if not summaries:
        raise AirflowFailException("summaries: there are none")
    check_output(output_uri)
    made_of = {"shares": hashlib.sha256(json.dumps(summaries, sort_keys=True).encode()).hexdigest()}
    total = _total(output_uri, summaries)
    if total["rows"] == total["errors"]:
        raise AirflowFailException(f"summaries: all {total['rows']} rows got no prediction")
    output = Output(s3, output_uri)
    output.record.read()  # for the uploads of an earlier try, which the claim aborts
    output.claim(made_of)
    found = output.find(output_uri)
    if found is None or not made_of.items() <= found.metadata.items():  # it is not joined from these yet
        found = _write_joined(s3, output, total, summaries, made_of)
    _delete_shares(s3, output, summaries)
    output.clear()
    errors = output.find(total["errors_uri"]) if total["errors_uri"] else None
    return {**total, "etag": found.etag, "errors_etag": errors.etag if errors else None}


def _write_joined(
    s3: S3Client, output: Output, total: Summary, summaries: Sequence[Summary], made_of: Mapping[str, str]
) -> Found:
    """Write the joined errors file, then the joined output, and return the version of the output.

    :param made_of: identifies the summaries; by this metadata of the output a retry sees that it is complete.
    """
    shares = [_version(s3, *version) for version in _outputs(summaries)]
    errors = [_version(s3, *version) for version in _errors(summaries)]
    if total["errors_uri"]:
        output.write(total["errors_uri"], lambda: _pieces(s3, errors, has_header=True), state=made_of)
    else:
        output.remove_errors(made_of)
    has_header = total["output_format"] == "CSV"
    return output.write(total["output_uri"], lambda: _pieces(s3, shares, has_header), state=made_of, metadata=made_of)


def _outputs(summaries: Sequence[Summary]) -> list[tuple[str, str]]:
    """Return URI and ETag of each worker's output."""
    return [(item["output_uri"], item["etag"]) for item in summaries]


def _errors(summaries: Sequence[Summary]) -> list[tuple[str, str]]:
    """Return URI and ETag of the errors file of each worker that has one."""
    return [(item["errors_uri"], item["errors_etag"] or "") for item in summaries if item["errors_uri"]]


def _version(s3: S3Client, uri: str, etag: str) -> ObjectVersion:
    """Return the version of an object that a worker wrote.

    :raises AirflowException: when it no longer exists, or has been replaced.
    """
    found = head(s3, Key(*split("output_uri", uri)))
    if found is None or found.etag != etag:
        raise AirflowException(
            f"summaries: there is no object at {uri}, or it is not the one that the summary describes: clear the "
            f"worker that wrote it, and all other workers too if an earlier run of this task has joined their outputs"
        )
    return ObjectVersion(uri, found.etag, found.size)


def _delete_shares(s3: S3Client, output: Output, summaries: Sequence[Summary]) -> None:
    """Delete the objects in the versions that the summaries name, and not what a later run has written since."""
    versions = [(Key(*split("output_uri", uri)), etag) for uri, etag in _outputs(summaries) + _errors(summaries)]
    seen = [(key, etag) for key, etag in versions if (found := head(s3, key)) and found.etag == etag]
    # After the look: a try that was suspended until here stops, and deletes nothing that its successor wrote.
    output.record.confirm()
    for key, etag in seen:
        delete(s3, key, etag)


def _pieces(s3: S3Client, sources: Sequence[ObjectVersion], has_header: bool) -> Iterator[bytes]:
    """Yield the bytes of all objects, one after the other, with the header of the first alone."""
    header = b""
    for source in sources:
        with open_at(s3, source) as stream:
            own_header = stream.readline() if has_header else b""
            if own_header and header and own_header != header:
                raise AirflowFailException(f"summaries: {source.uri} has other columns than those before it")
            if not header:
                header = own_header  # empty if no row of this source has a prediction
                yield header
            while block := stream.read(1024 * 1024):
                yield block


def _total(output_uri: str, summaries: Sequence[Summary]) -> Summary:
    """Return the summary of all shares together, without the ETags of the objects that are yet to be written."""
    rows = sum(item["rows"] for item in summaries)
    seconds = max(item["seconds"] for item in summaries)  # the workers run at the same time
    errors = sum(item["errors"] for item in summaries)
    return {
        "output_uri": output_uri,
        "output_format": summaries[0]["output_format"],
        "etag": "",
        "errors_uri": errors_uri(output_uri) if errors else None,
        "errors_etag": None,
        "rows": rows,
        "errors": errors,
        "parts": sum(item["parts"] for item in summaries),
        "seconds": seconds,
        "rate": rows_per_second(rows, seconds),
    }
