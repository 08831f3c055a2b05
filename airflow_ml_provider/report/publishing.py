"""Write a report to S3, and return its description for XCom."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.links import object_url
from airflow_ml_provider.report.evaluate import evaluate, metrics
from airflow_ml_provider.report.page import page
from airflow_ml_provider.scoring.objects import split, translate_s3_errors

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.payloads import Description
    from airflow_ml_provider.report.columns import ResultSource
    from airflow_ml_provider.report.evaluate import Report
    from airflow_ml_provider.report.thresholds import Goal

PAGE = ".html"


def check_page_uri(uri: object) -> None:
    """Raise InvalidArgument unless it is the S3 URI of an object whose name ends in ``.html``."""
    split("output_uri", uri)
    if not str(uri).endswith(PAGE):
        raise InvalidArgument(f"output_uri: {uri!r}; its name must end in {PAGE}")


def publish(s3: S3Client, sources: Sequence[ResultSource], goal: Goal, output_uri: str) -> Description:
    """Evaluate the results, write the report, and return its description.

    Nothing is written until page and JSON are both complete. The JSON is written first, so that no page is without it.

    :param output_uri: the URI of the page, which ends in ``.html``.
    :raises AirflowFailException: on bad input, naming its place.
    :raises AirflowException: when it cannot be written.
    """
    report = evaluate(s3, sources, goal)
    json_uri = f"{output_uri.removesuffix(PAGE)}.json"
    written = {
        json_uri: (json.dumps(report, allow_nan=False), "application/json"),
        output_uri: (page(report), "text/html"),
    }
    for uri, (text, media_type) in written.items():
        bucket, key = split("output_uri", uri)
        with translate_s3_errors("written", uri):
            s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType=f"{media_type}; charset=utf-8")
    url = object_url(output_uri, s3.meta.endpoint_url, s3.meta.region_name)
    return {**describe(report), "ReportUri": output_uri, "JsonUri": json_uri, "ReportUrl": url}


def describe(report: Report) -> Description:
    """Return the parts of a report that go to XCom."""
    first, *others = report["Models"]
    found: dict[str, object] = {
        "MLModelType": report["MLModelType"],
        "Rows": first["Rows"],
        "Metrics": metrics(first),
    }
    if "Binary" in first:
        for name in ("BestThreshold", "AtBestThreshold", "AtScoreThreshold"):
            found[name] = cast("dict[str, object]", first["Binary"])[name]
    if others:
        found["OtherMetrics"] = metrics(others[0])
        numbers = report["Comparison"].items()  # without its two lists, which stay in the report
        found["Comparison"] = {name: value for name, value in numbers if name not in ("Differences", "MatchedBy")}
    return cast("Description", found)
