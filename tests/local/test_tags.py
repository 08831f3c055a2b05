"""Tags of entities."""

from __future__ import annotations

from typing import Any

import pytest

ON = {"ResourceId": "ds-1", "ResourceType": "DataSource"}


@pytest.fixture(autouse=True)
def _data_source(data_source: Any) -> None:
    data_source("ds-1")


def tags(client: Any) -> dict[str, str | None]:
    return {tag["Key"]: tag.get("Value") for tag in client.describe_tags(**ON)["Tags"]}


def test_a_tag_of_a_known_key_replaces_its_value(client: Any) -> None:
    assert client.describe_tags(**ON)["Tags"] == []
    client.add_tags(**ON, Tags=[{"Key": "team", "Value": "a"}, {"Key": "größe é"}])
    client.add_tags(**ON, Tags=[{"Key": "team", "Value": "b"}])
    assert tags(client) == {"team": "b", "größe é": None}


def test_tags_are_deleted_by_their_keys(client: Any) -> None:
    """A key that is not there changes nothing."""
    client.add_tags(**ON, Tags=[{"Key": "team", "Value": "a"}, {"Key": "größe é"}])
    deleted = client.delete_tags(**ON, TagKeys=["team", "not there"])
    assert (deleted["ResourceId"], deleted["ResourceType"]) == ("ds-1", "DataSource")
    assert tags(client) == {"größe é": None}


def test_the_51st_tag_is_refused_and_none_of_its_request_is_kept(client: Any, refused: Any) -> None:
    client.add_tags(**ON, Tags=[{"Key": f"k{number}"} for number in range(49)])
    two_more = [{"Key": "k49"}, {"Key": "k50"}]
    refused("TagLimitExceededException", "more than 50 tags", client.add_tags, **ON, Tags=two_more)
    assert len(tags(client)) == 49


@pytest.mark.parametrize(
    ("code", "given", "text"),
    [
        ("InvalidTagException", [{"Key": "k"}, {"Key": "k"}], "twice"),
        ("InvalidTagException", [{"Key": "aws:team"}], "reserved"),
        ("InvalidTagException", [{"Value": "v"}], "no key"),
        ("InvalidInputException", [{"Key": "a" * 129}], "length less than or equal to 128"),
        ("InvalidInputException", [{"Key": "what?"}], "regular expression pattern"),
        ("InvalidInputException", [{"Key": "k", "Value": "v" * 257}], "length less than or equal to 256"),
        ("InvalidInputException", [{"Key": f"k{number}"} for number in range(101)], "less than or equal to 100"),
    ],
)
def test_a_bad_tag_is_refused(code: str, given: list[dict[str, str]], text: str, client: Any, refused: Any) -> None:
    refused(code, text, client.add_tags, **ON, Tags=given)
    assert tags(client) == {}


def test_tags_die_with_their_entity_s_id(client: Any, data_source: Any) -> None:
    client.add_tags(**ON, Tags=[{"Key": "k"}])
    client.delete_data_source(DataSourceId="ds-1")
    data_source("ds-1")
    assert tags(client) == {}


def test_tags_do_not_lag(client: Any, service: Any) -> None:
    """A list of entities may lag; DescribeTags uses up no such fault."""
    service.faults.add("lag", seconds=90, count=1)
    client.add_tags(**ON, Tags=[{"Key": "k", "Value": "v"}])
    assert tags(client) == {"k": "v"}
    assert client.describe_data_sources()["Results"] == []
    assert list(service.faults) == []
