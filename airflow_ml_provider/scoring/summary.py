"""The summary of an output, which the operator returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from airflow_ml_provider.scoring.objects import errors_uri

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Format
    from airflow_ml_provider.scoring.parts import Parts
    from airflow_ml_provider.scoring.settings import Settings


class Summary(TypedDict):
    """The summary of an output; ``seconds`` and ``rate`` (rows a second) are those of all tries together."""

    output_uri: str
    output_format: Format
    etag: str
    errors_uri: str | None
    errors_etag: str | None
    rows: int
    errors: int
    parts: int
    seconds: float
    rate: float


def rows_per_second(rows: int, seconds: float) -> float:
    """Return the rate of a run; one that found nothing to do took no time that the clock shows."""
    return round(rows / max(seconds, 0.001), 1)


def summary(settings: Settings, parts: Parts) -> Summary:
    """Return the summary of an output from its record of progress."""
    progress, rows, refused = parts.progress, parts.row_count, parts.error_count
    whole = progress["whole"]
    return Summary(
        output_uri=settings.output_uri,
        output_format=settings.output_format,
        etag=whole["etag"] if whole else "",
        errors_uri=errors_uri(settings.output_uri) if refused else None,
        errors_etag=whole["errors_etag"] if whole else None,
        rows=rows,
        errors=refused,
        parts=parts.count,
        seconds=round(progress["seconds"], 3),
        rate=rows_per_second(rows, progress["seconds"]),
    )
