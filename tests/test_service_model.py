"""Requests made of arguments: where a member goes, and what a value becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.service_model import arguments, build_request
from airflow_ml_provider.values import convert

S3 = {"data_source_id": "ds", "data_location_s3": "s3://b/k", "data_schema": "{}"}


def test_flattened_members_go_back_where_they_belong() -> None:
    """The members of DataSpec are arguments; in the request they stand inside of it."""
    request = build_request("CreateDataSourceFromS3", S3 | {"data_source_name": "n"})
    assert request == {
        "DataSourceId": "ds",
        "DataSourceName": "n",
        "DataSpec": {"DataLocationS3": "s3://b/k", "DataSchema": "{}"},
    }
    assert {"data_spec", "rds_data"}.isdisjoint(arguments("CreateDataSourceFromRDS"))


@pytest.mark.parametrize("member", ["data_schema", "data_rearrangement"])
def test_mappings_become_json_text(member: str) -> None:
    """A mapping and its JSON text are the same to the service."""
    given = {"a": [1, {"b": None}]}
    as_mapping = build_request("CreateDataSourceFromS3", S3 | {member: given})
    as_text = build_request("CreateDataSourceFromS3", S3 | {member: json.dumps(given)})
    assert as_mapping == as_text


@pytest.mark.parametrize(
    ("operation", "name", "given", "member", "sent"),
    [
        ("UpdateMLModel", "score_threshold", "0.5", "ScoreThreshold", 0.5),
        ("UpdateMLModel", "score_threshold", 0.0, "ScoreThreshold", 0.0),
        ("UpdateMLModel", "score_threshold", "0", "ScoreThreshold", 0.0),
        ("UpdateMLModel", "ml_model_name", "", "MLModelName", ""),
        ("UpdateMLModel", "ml_model_id", 123, "MLModelId", "123"),
        ("GetMLModel", "verbose", "True", "Verbose", True),
        ("GetMLModel", "verbose", "false", "Verbose", False),
        ("GetMLModel", "verbose", 0, "Verbose", False),
        ("DescribeMLModels", "limit", "25", "Limit", 25),
        ("DescribeMLModels", "limit", 25.0, "Limit", 25),
        ("CreateMLModel", "parameters", {"sgd.maxPasses": 10}, "Parameters", {"sgd.maxPasses": "10"}),
        ("CreateMLModel", "parameters", {"sgd.l1RegularizationAmount": 1e-06}, "Parameters", None),
        ("AddTags", "tags", [{"Key": "größe m²", "Value": 1}], "Tags", [{"Key": "größe m²", "Value": "1"}]),
    ],
)
def test_values_become_what_the_member_is(operation: str, name: str, given: Any, member: str, sent: Any) -> None:
    """Rendered text becomes a number or a boolean, a number text; what is falsy is sent like anything else."""
    required = {"ml_model_type": "BINARY", "training_data_source_id": "ds", "ml_model_id": "ml"}
    required |= {"resource_id": "ml", "resource_type": "MLModel"}
    request = build_request(operation, required | {name: given})
    assert request[member] == (sent if sent is not None else {"sgd.l1RegularizationAmount": "1e-06"})


@pytest.mark.parametrize("value", [1.5, "1.5", float("inf"), float("nan"), "many"])
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    """An integer member takes no fraction: cut off, it would be another number than the one given."""
    with pytest.raises(InvalidArgument, match=f"^limit: {value!r} is not a finite int$"):
        build_request("DescribeMLModels", {"limit": value})


@pytest.mark.parametrize("value", [10**400, "1" * 400], ids=["number", "text"])
def test_an_integer_beyond_every_float_is_refused(value: object) -> None:
    """It is an argument that is not allowed, and no OverflowError, after which Airflow would retry."""
    with pytest.raises(InvalidArgument, match="^limit: .* is not a finite int$"):
        build_request("DescribeMLModels", {"limit": value})


def test_none_is_left_out() -> None:
    """An argument that is None is no part of the request."""
    assert build_request("UpdateMLModel", {"ml_model_id": "ml", "ml_model_name": None}) == {"MLModelId": "ml"}


def test_long_values_are_not_repeated_in_messages() -> None:
    """A message shows at most 80 characters of a value."""
    from airflow_ml_provider.service_model import service_model

    with pytest.raises(InvalidArgument, match="does not match") as error:
        convert("output_uri", "", service_model().shape_for("S3Url"), "x" * 2000)
    assert len(str(error.value)) < 160
