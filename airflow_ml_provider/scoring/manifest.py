"""The results of a batch prediction: where they are, and their rows.

Source: Amazon Machine Learning developer guide, "Reading the BatchPrediction Output Files".
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from io import TextIOWrapper
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.scoring.objects import find, open_at, split, translate_s3_errors

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook

BatchRow: TypeAlias = "dict[str, str | float]"

TEXTS = frozenset({"tag", "trueLabel", "bestAnswer"})  # the columns whose cells are text; all others hold numbers


class Manifest(TypedDict):
    """Where a batch prediction's manifest is, and what it holds: input URI → result URI."""

    ManifestUri: str
    ResultUris: dict[str, str]


def manifest_uri(output_uri: str, batch_prediction_id: str) -> str:
    """Return the URI of the manifest."""
    return f"{output_uri.rstrip('/')}/batch-prediction/{batch_prediction_id}.manifest"


def read_manifest(hook: MachineLearningClientHook, output_uri: str, batch_prediction_id: str) -> Manifest:
    """Return the manifest of a COMPLETED batch prediction.

    :param hook: the hook whose connection reads S3.
    :param output_uri: the batch prediction's ``OutputUri``.
    :param batch_prediction_id: its id.
    :raises AirflowException: when it cannot be read.
    :raises ValueError: when it is damaged.
    """
    uri = manifest_uri(output_uri, batch_prediction_id)
    bucket, key = split("output_uri", uri)
    with translate_s3_errors("read", uri):
        body = hook.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return Manifest(ManifestUri=uri, ResultUris=_parsed(body))


def _parsed(body: bytes) -> dict[str, str]:
    """Return the JSON object of a manifest; raise ValueError when it is damaged."""
    try:
        found: object = json.loads(body)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"it is no JSON object, but {type(found).__name__}")
    return found


def read_rows(hook: MachineLearningClientHook, batch_prediction_id: str) -> Iterator[BatchRow | None]:
    """Yield the rows of all results; ``MachineLearningHook.read_batch_prediction`` documents them."""
    found = hook.conn.get_batch_prediction(BatchPredictionId=batch_prediction_id)
    if found.get("Status") != "COMPLETED":
        raise AirflowException(
            f"BatchPrediction {batch_prediction_id} in {hook.conn_region_name} is {found.get('Status')}; it has "
            f"results when it is COMPLETED."
        )
    for uri in read_manifest(hook, found["OutputUri"], batch_prediction_id)["ResultUris"].values():
        yield from _rows(hook, uri)


def _rows(hook: MachineLearningClientHook, uri: str) -> Iterator[BatchRow | None]:
    (source,) = find(hook.s3, uri)
    with closing(TextIOWrapper(open_at(hook.s3, source), encoding="utf-8", newline="")) as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        for cells in reader:
            yield _row(header, cells) if cells else None


def _row(header: list[str], cells: list[str]) -> BatchRow:
    return {name: cell if name in TEXTS else float(cell) for name, cell in zip(header, cells, strict=True) if cell}
