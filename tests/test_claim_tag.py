"""A claim on an endpoint as a tag: within AWS's limits, readable for people, and read back as it was."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from airflow_ml_provider.claim_tag import ClaimTag, State, in_utc, key_of, new_claim_tag, parse
from airflow_ml_provider.payloads import RealtimeEndpoint
from airflow_ml_provider.service_model import service_model

AT = "2026-11-24T10:00:05.123000+00:00"
RUN = "scheduled__2026-11-24T00:00:00+00:00"


def endpoint(created_at: Any) -> RealtimeEndpoint:
    return {"MLModelId": "ml-1", "EndpointStatus": "READY", "CreatedAt": created_at}


def test_a_tag_is_readable() -> None:
    """Who reads it in AWS's console sees the state, the time, Dag, task, run and map index; the key has the try too."""
    tag = replace(new_claim_tag("deploy", "group.create", RUN, 3, 2), state="created", at=AT).to_tag()
    assert re.fullmatch("airflow-endpoint:[0-9a-f]{16}:3/2", tag["Key"])
    assert tag["Value"] == f"created={AT} dag=deploy task=group.create run={RUN} map=3"


@pytest.mark.parametrize("state", ["creating", "created", "using"])
@pytest.mark.parametrize("leaving", [False, True])
@pytest.mark.parametrize("map_index", [-1, 0, 1023])
def test_it_is_read_back_as_it_was(state: State, leaving: bool, map_index: int) -> None:
    """Nothing that decides about an endpoint is lost in a tag."""
    claim = new_claim_tag("deploy", "create", RUN, map_index)
    claim = replace(claim, state=state, at=AT, earlier=AT if leaving else "", leaving=leaving)
    assert parse(claim.to_tag()) == claim


@pytest.mark.parametrize("name", ["x" * 250, "überprüfung", "a~b c%d=e\n", "日本語"])
def test_any_name_makes_a_tag_that_aws_takes(name: str) -> None:
    """The service model says how long keys and values may be, and which characters they may hold."""
    claim = new_claim_tag(name, name, name, 1023)
    claim = replace(claim, state="creating", at=AT, again=99999, earlier=AT, leaving=True)
    for member, text in claim.to_tag().items():
        shape = service_model().shape_for(f"Tag{member}")
        assert shape.metadata["min"] <= len(text) <= shape.metadata["max"]
        assert all(letter.isalnum() or letter in " _.:/=+-@" for letter in text)
    read = parse(claim.to_tag())
    assert read
    assert read == replace(claim, dag_id=read.dag_id, task_id=read.task_id, run_id=read.run_id)  # which may be cut


@pytest.mark.parametrize("map_index", [-1, 3])
@pytest.mark.parametrize(("name", "whole"), [("x" * 50, True), ("x" * 100, False), ("a~b", False)])
def test_names_that_are_not_whole_are_known_by_the_key(name: str, whole: bool, map_index: int) -> None:
    """Airflow knows no run of a name that was cut, or whose characters were replaced."""
    claim = parse(replace(new_claim_tag(name, name, RUN, map_index), state="created", at=AT).to_tag())
    assert claim
    assert claim.has_whole_names is whole


@pytest.mark.parametrize(
    ("other", "belongs"),
    [
        (("d", "t", "r", 0, 1), True),
        (("d", "t", "r", 0, 2), True),
        (("d", "t", "r", 0, 3), False),
        (("d", "t", "r", 1, 1), False),
    ],
)
def test_a_claim_belongs_to_later_tries_of_its_task_instance(other: Any, belongs: bool) -> None:
    """A try may delete what earlier ones have created, and nothing of later ones or of other map indexes."""
    assert new_claim_tag(*other).belongs_to(new_claim_tag("d", "t", "r", 0, 2)) is belongs


def test_the_key_tells_names_apart_that_look_alike() -> None:
    """Names that are cut or changed for the value make keys of their own."""
    assert len({new_claim_tag(*names).key for names in (("a~", "t", "r"), ("a-", "t", "r"), ("a", "-t", "r"))}) == 3


def test_the_key_ends_with_the_map_index_and_the_try() -> None:
    """So the claims of all instances of a mapped task are found by what their keys begin with."""
    assert new_claim_tag("d", "t", "r", 0, 2).key == key_of("d", "t", "r") + ":0/2"


@pytest.mark.parametrize(
    "tag",
    [
        {"Key": "cost centre", "Value": f"created={AT}"},
        {"Key": "airflow-endpoint:0", "Value": "something else"},
        {"Key": "airflow-endpoint:0", "Value": "created=yesterday dag=d"},
        {"Key": "airflow-endpoint:0", "Value": "created=2026-11-24T10:00:05"},
        {"Key": "airflow-endpoint:0"},
        {"Key": "airflow-endpoint:0", "Value": None},
    ],
)
def test_other_tags_are_no_claims(tag: dict[str, Any]) -> None:
    """A tag of somebody else, or one that somebody has changed, is nobody's claim."""
    assert parse(tag) is None


@pytest.mark.parametrize(
    ("state", "at", "created_at", "covered"),
    [
        ("created", AT, AT, True),
        ("created", AT, "2026-11-24T12:00:05.123000+02:00", True),
        ("using", AT, "2026-11-24T10:00:05.124000+00:00", False),
        ("creating", AT, AT, True),
        ("creating", AT, "2026-11-24T10:01:05+00:00", True),
        ("creating", AT, "2026-11-24T10:01:06+00:00", False),
        ("creating", AT, "2026-11-24T10:00:05+00:00", False),
        ("creating", "", "2026-11-24T10:00:05+00:00", True),
        ("created", AT, None, False),
        ("creating", "", None, False),
    ],
)
def test_which_endpoint_a_claim_covers(state: State, at: str, created_at: str | None, covered: bool) -> None:
    """The one of its CreatedAt, in any time zone; before Create's answer is known, one created within a call's time."""
    assert ClaimTag("key", state=state, at=at).covers(endpoint(created_at)) is covered


def test_before_a_retry_creates_its_claim_covers_the_earlier_endpoint_too() -> None:
    """And none that somebody created between the two."""
    claim = ClaimTag("key", state="creating", at="2026-11-24T12:00:00+00:00", earlier=AT)
    times = [AT, "2026-11-24T11:00:00+00:00", "2026-11-24T12:00:01+00:00"]
    assert [claim.covers(endpoint(time)) for time in times] == [True, False, True]


def test_times_in_tags_are_utc() -> None:
    """botocore's times have the offset of the worker's own time zone."""
    assert in_utc("2026-11-24T12:00:05.123000+02:00") == AT
    assert in_utc("2026-11-24T12:00:05.123000+02:00", after=-1) == "2026-11-24T10:00:04.123000+00:00"
