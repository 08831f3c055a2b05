"""Check the rendered arguments of the S3 operators."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.payloads import Format
from airflow_ml_provider.scoring.objects import ERRORS, PARTS, SHARES, errors_uri, split
from airflow_ml_provider.scoring.plan import RowRange, check_row_count, plan
from airflow_ml_provider.values import check_at_least, check_whole

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from airflow_ml_provider.payloads import JSONObject

PREDICTION_COLUMNS = frozenset({"predictedLabel", "predictedScore", "predictedScores", "predictedValue"})
JSON_LINES_NAMES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class Input:
    """The source of the rows: its URI and format, and how many rows it may have."""

    source_uri: str
    format: Format
    column_names: Sequence[str] | None
    max_predictions: int | None

    @classmethod
    def checked(
        cls,
        *,
        source_uri: str,
        output_uri: str,
        input_format: Format | None,
        column_names: Sequence[str] | None,
        max_predictions: int | None,
    ) -> Input:
        """Return the input for these arguments of an operator.

        :raises InvalidArgument: naming the argument and what is allowed.
        """
        split("source_uri", source_uri)
        check_output(output_uri)
        check_source(source_uri, output_uri)
        names = None if column_names is None else distinct_names("column_names", column_names)
        if max_predictions is not None:
            check_whole("max_predictions", max_predictions, 1)
        return cls(source_uri, format_of("input_format", input_format, source_uri), names, max_predictions)

    def shares(self, s3: S3Client, workers: int = 1) -> list[list[RowRange]]:
        """Read the source, and return its rows divided between so many workers at most.

        :raises AirflowFailException: when there is no row, or there are more than ``max_predictions``.
        """
        found = plan(s3, self.source_uri, self.format, self.column_names, workers)
        check_row_count(found, self.max_predictions)
        return found


@dataclass(frozen=True)
class Settings:
    """How a file is read and its predictions are written; ``MachineLearningPredictS3Operator`` documents each field."""

    output_uri: str
    input_format: Format
    output_format: Format
    key_columns: Sequence[str]
    excluded_attribute_names: Sequence[str]
    max_errors: int
    max_requests_per_second: int | None
    rows_per_part: int
    timeout: float

    @classmethod
    def checked(
        cls,
        *,
        source_uri: str | None,
        output_uri: str,
        input_format: Format | None,
        output_format: Format | None,
        key_columns: Sequence[str],
        excluded_attribute_names: Sequence[str],
        max_errors: int,
        max_requests_per_second: int | None,
        rows_per_part: int,
        timeout: float,
    ) -> Settings:
        """Return the settings for these arguments of an operator.

        :raises InvalidArgument: naming the argument and what is allowed.
        """
        check_output(output_uri)
        check_whole("max_errors", max_errors, 0)
        check_whole("rows_per_part", rows_per_part, 1)
        check_at_least("timeout", timeout, 0)
        if max_requests_per_second is not None:
            check_whole("max_requests_per_second", max_requests_per_second, 1)
        return cls(
            output_uri=output_uri,
            input_format=format_of("input_format", input_format, source_uri or ""),
            output_format=format_of("output_format", output_format, output_uri),
            key_columns=key_names(key_columns),
            excluded_attribute_names=distinct_names("excluded_attribute_names", excluded_attribute_names),
            max_errors=max_errors,
            max_requests_per_second=max_requests_per_second,
            rows_per_part=rows_per_part,
            timeout=timeout,
        )

    def depends_on(self) -> JSONObject:
        """Return the settings that the bytes of the output depend on."""
        return {
            "input_format": self.input_format,
            "output_format": self.output_format,
            "key_columns": list(self.key_columns),
            "excluded_attribute_names": list(self.excluded_attribute_names),
        }


def check_output(uri: str) -> None:
    """Raise InvalidArgument unless an output is an S3 URI that cannot be an object of another output."""
    split("output_uri", uri)
    # The other output would delete it.
    if PARTS in uri or uri.endswith(ERRORS):
        raise InvalidArgument(f"output_uri: {uri!r} is a name of another output's own objects (…{ERRORS}, …{PARTS}…)")


def check_source(uri: str, output_uri: str) -> None:
    """Raise InvalidArgument when a source is the output, contains it, or is one of the output's own objects."""
    if uri == output_uri or (uri.endswith("/") and output_uri.startswith(uri)):
        raise InvalidArgument(f"output_uri: {output_uri!r} is the source_uri or in it; it must be elsewhere")
    own = tuple(output_uri + suffix for suffix in (PARTS, SHARES))
    if uri == errors_uri(output_uri) or uri.startswith(own):
        raise InvalidArgument(f"source_uri: {uri!r} is one of the objects that belong to the output {output_uri!r}")


def key_names(value: object) -> list[str]:
    """Return the names of the key columns.

    :raises InvalidArgument: when they are no list of different names, or one is named like a column of the predictions.
    """
    names = distinct_names("key_columns", value)
    for name in names:
        if name in PREDICTION_COLUMNS or name.startswith("predictedScores."):
            raise InvalidArgument(
                f"key_columns: {name!r} is a name of the predictions' own columns; rename it in the source"
            )
    return names


def share_of(row_ranges: Sequence[JSONObject], output_uri: str, max_predictions: int | None) -> list[RowRange]:
    """Return one worker's share of a plan.

    :param row_ranges: as ``RowRange.to_json`` returns them.
    :raises InvalidArgument: when the source of its rows is one of the output's own objects.
    :raises AirflowFailException: when it has more rows than ``max_predictions``.
    """
    found = [RowRange(**cast("dict[str, Any]", row_range)) for row_range in row_ranges]
    for row_range in found:
        check_source(row_range.uri, output_uri)
    check_row_count([found], max_predictions)
    return found


def format_of(argument: str, format: object, uri: str) -> Format:
    """Return the format by an argument, or if it is None, by the name at the end of a URI.

    :raises InvalidArgument: when the argument names another format.
    """
    if format is None:
        name = uri.removesuffix(".gz")
        return "JSON_LINES" if os.path.splitext(name)[1] in JSON_LINES_NAMES else "CSV"
    if format not in get_args(Format):
        raise InvalidArgument(f"{argument}: {format!r}; it must be {' or '.join(get_args(Format))}")
    return cast("Format", format)


def distinct_names(argument: str, value: object) -> list[str]:
    """Return an argument that must be a list of different names.

    :raises InvalidArgument: when it is not.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise InvalidArgument(f"{argument}: it is {type(value).__name__}; it must be a list of names")
    if not all(value) or len(set(value)) < len(value):
        raise InvalidArgument(f"{argument}: a name is empty or repeated")
    return list(value)
