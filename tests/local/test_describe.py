"""Lists: filters, order, pages."""

from __future__ import annotations

import functools
import operator
from datetime import UTC, datetime
from typing import Any

import pytest


@pytest.fixture
def models(client: Any, service: Any, data_source: Any) -> list[str]:
    """Seven models, one a minute, named so that names sort otherwise than times."""
    sources = {"REGRESSION": data_source("ds-2", "double"), "BINARY": data_source("ds-1")}
    ids = []
    for number, name in enumerate("gabcdfe"):
        service.clock.advance(60)
        kind = "BINARY" if number % 2 else "REGRESSION"
        client.create_ml_model(
            MLModelId=f"ml-{number}", MLModelName=name, MLModelType=kind, TrainingDataSourceId=sources[kind]
        )
        ids.append(f"ml-{number}")
    return ids


def ids(page: Any) -> list[str]:
    return [item["MLModelId"] for item in page["Results"]]


def names(page: Any) -> str:
    return "".join(item["Name"] for item in page["Results"])


def test_a_list_is_sorted_by_creation_and_can_be_turned_round(client: Any, models: list[str]) -> None:
    assert ids(client.describe_ml_models()) == models
    assert ids(client.describe_ml_models(SortOrder="dsc")) == models[::-1]


def test_pages_follow_each_other_without_gap_or_repetition(client: Any, models: list[str]) -> None:
    for order in ("asc", "dsc"):
        pages = client.get_paginator("describe_ml_models").paginate(SortOrder=order, PaginationConfig={"PageSize": 3})
        found = [ids(page) for page in pages]
        assert [len(page) for page in found] == [3, 3, 1]
        assert functools.reduce(operator.iadd, found, []) == (models if order == "asc" else models[::-1])


def test_a_full_last_page_has_no_token(client: Any, models: list[str]) -> None:
    assert "NextToken" not in client.describe_ml_models(Limit=7)
    assert "NextToken" in client.describe_ml_models(Limit=6)


def test_what_is_made_or_deleted_between_two_pages_disturbs_neither(client: Any, models: list[str]) -> None:
    first = client.describe_ml_models(Limit=3)
    client.delete_ml_model(MLModelId="ml-1")
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1", MLModelName="z")
    second = client.describe_ml_models(Limit=10, NextToken=first["NextToken"])
    assert ids(second) == [*models[3:], "ml-1"]


def test_a_token_belongs_to_one_query(client: Any, models: list[str], refused: Any) -> None:
    token = client.describe_ml_models(Limit=3)["NextToken"]
    describe = client.describe_ml_models
    refused("InvalidInputException", "another filter or order", describe, NextToken=token, SortOrder="dsc")
    for made_up in ("made up", "bm8=", "W10=", "WzEsMl0="):
        refused("InvalidInputException", "NextToken", describe, NextToken=made_up)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"EQ": "c"}, "c"),
        ({"NE": "c"}, "abdefg"),
        ({"GT": "c"}, "defg"),
        ({"GE": "c"}, "cdefg"),
        ({"LT": "c"}, "ab"),
        ({"LE": "c"}, "abc"),
        ({"Prefix": "a"}, "a"),
        ({"GT": "b", "LE": "e"}, "cde"),
        ({"GE": "b", "SortOrder": "dsc"}, "gfedcb"),
        ({}, "abcdefg"),
    ],
)
def test_each_comparator_on_a_name_which_also_orders(query: Any, expected: str, client: Any, models: list[str]) -> None:
    assert names(client.describe_ml_models(FilterVariable="Name", **query)) == expected


def test_pages_of_a_filtered_list(client: Any, models: list[str]) -> None:
    pages = client.get_paginator("describe_ml_models").paginate(
        FilterVariable="Name", GE="b", SortOrder="dsc", PaginationConfig={"PageSize": 2}
    )
    assert [names(page) for page in pages] == ["gf", "ed", "cb"]


@pytest.mark.parametrize("form", ["epoch", "iso"])
def test_times_are_compared_in_epoch_seconds_or_iso_8601(form: str, client: Any, models: list[str]) -> None:
    moment: datetime = client.get_ml_model(MLModelId="ml-4")["CreatedAt"]
    border = str(moment.timestamp() - 1) if form == "epoch" else moment.astimezone(UTC).isoformat()[:19]
    assert ids(client.describe_ml_models(FilterVariable="CreatedAt", GE=border)) == models[4:]


@pytest.mark.parametrize(
    ("variable", "value", "count"),
    [
        ("Status", "COMPLETED", 7),
        ("Status", "PENDING", 0),
        ("MLModelType", "BINARY", 3),
        ("TrainingDataSourceId", "ds-1", 3),
        ("TrainingDataURI", "s3://bucket/train.csv", 7),
        ("IAMUser", "arn:aws:iam::123456789012:root", 7),
        ("Algorithm", "sgd", 7),
        ("RealtimeEndpointStatus", "NONE", 6),
        ("RealtimeEndpointStatus", "READY", 1),
    ],
)
def test_each_filter_of_models(
    variable: str, value: str, count: int, client: Any, service: Any, models: list[str]
) -> None:
    service.clock.advance(3600)
    client.create_realtime_endpoint(MLModelId="ml-3")
    service.clock.advance(3600)
    assert len(client.describe_ml_models(FilterVariable=variable, EQ=value)["Results"]) == count


@pytest.mark.parametrize(
    ("variable", "value"), [("MLModelId", "ml-0"), ("DataSourceId", "ds-2"), ("DataURI", "s3://bucket/train.csv")]
)
def test_evaluations_and_batch_predictions_are_found_by_what_they_were_made_of(
    variable: str, value: str, client: Any, models: list[str]
) -> None:
    client.create_evaluation(EvaluationId="ev-1", MLModelId="ml-0", EvaluationDataSourceId="ds-2")
    client.create_batch_prediction(
        BatchPredictionId="bp-1", MLModelId="ml-0", BatchPredictionDataSourceId="ds-2", OutputUri="s3://b"
    )
    for describe in (client.describe_evaluations, client.describe_batch_predictions):
        assert len(describe(FilterVariable=variable, EQ=value)["Results"]) == 1
        assert describe(FilterVariable=variable, NE=value)["Results"] == []


def test_data_sources_are_found_by_their_location(client: Any, models: list[str]) -> None:
    found = client.describe_data_sources(FilterVariable="DataLocationS3", Prefix="s3://bucket/")
    assert [item["DataSourceId"] for item in found["Results"]] == ["ds-2", "ds-1"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"EQ": "x"}, "EQ needs a FilterVariable"),
        ({"FilterVariable": "CreatedAt", "GT": "yesterday"}, "'yesterday' is no time"),
        ({"FilterVariable": "MLModelId"}, "Member must satisfy enum value set: [CreatedAt, "),
        ({"SortOrder": "desc"}, "Member must satisfy enum value set: [asc, dsc]"),
        ({"Limit": 0}, "greater than or equal to 1"),
        ({"Limit": 101}, "less than or equal to 100"),
        ({"FilterVariable": "Name", "EQ": " "}, "regular expression pattern"),
    ],
)
def test_a_bad_query_is_refused(query: Any, text: str, service: Any, refused: Any) -> None:
    from botocore.config import Config

    client = service.client(config=Config(parameter_validation=False))
    refused("InvalidInputException", text, client.describe_ml_models, **query)


def test_a_list_that_lags_tells_of_the_past(client: Any, service: Any, models: list[str]) -> None:
    service.clock.advance(3600)
    client.create_realtime_endpoint(MLModelId="ml-0")
    client.delete_ml_model(MLModelId="ml-1")
    service.clock.advance(10)
    service.faults.add("lag", seconds=30)
    before = {item["MLModelId"]: item for item in client.describe_ml_models()["Results"]}
    assert before["ml-0"]["EndpointInfo"]["EndpointStatus"] == "NONE"
    assert before["ml-1"]["Status"] == "COMPLETED"
    service.clock.advance(30)
    after = {item["MLModelId"]: item for item in client.describe_ml_models()["Results"]}
    assert after["ml-0"]["EndpointInfo"]["EndpointStatus"] == "READY"
    assert after["ml-1"]["Status"] == "DELETED"
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "DELETED"


def test_what_is_younger_than_the_lag_is_not_listed(client: Any, service: Any, models: list[str]) -> None:
    service.faults.add("lag", seconds=90)
    assert ids(client.describe_ml_models()) == models[:5]
