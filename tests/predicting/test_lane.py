"""Requests on a connection that stands end as all others do, whatever the other side answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import BotoCoreError, ConnectionClosedError
from botocore.parsers import ResponseParserError

from airflow_ml_provider import errors
from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from airflow_ml_provider.predicting.wire import Wire
from airflow_ml_provider.transport import AnswerTooLarge
from tests.helpers.hostile import ANSWERS, hostile
from tests.helpers.memory import most_memory

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture


def second_of_many() -> Callable[..., Any]:
    """Choose the second request alone."""
    numbers = count(1)
    return lambda request: next(numbers) == 2


def wire_to(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    return Wire(MachineLearningHook(config={"read_timeout": 1}), "ml-1", server.url)


def label(wire: Any) -> Any:
    return wire.predict(wire.body({"x": 30}))["predictedLabel"]


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_attempt_on_a_connection_that_stands_ends(
    endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    """In about its time, in little memory, by an error that passes; the next attempt is a new connection's."""
    with hostile("html") as elsewhere, hostile(kind, endpoint.url, second_of_many()) as server:
        server.elsewhere = elsewhere.url
        wire = wire_to(server, monkeypatch)
        assert label(wire) == "1"
        began, memory = time.monotonic(), most_memory()
        with pytest.raises((BotoCoreError, ResponseParserError)) as caught:
            label(wire)
        assert time.monotonic() - began < 5
        assert most_memory() - memory < 100
        time.sleep(0.1)  # until the end of the connection has arrived
        assert label(wire) == "1"
        assert not elsewhere.asked
    assert errors.is_transient(caught.value)


@pytest.mark.parametrize("kind", ["endless_chunks", "large_body"])
def test_an_answer_that_is_too_large_is_said_to_be(
    endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """As where the session sends."""
    with hostile(kind, endpoint.url, second_of_many()) as server:
        wire = wire_to(server, monkeypatch)
        label(wire)
        with pytest.raises(AnswerTooLarge, match=rf"{server.url}/ has more than \d+ bytes"):
            label(wire)


def test_one_connection_serves_many_requests(endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened once."""
    with hostile("html", endpoint.url, lambda request: False) as server:
        wire = wire_to(server, monkeypatch)
        assert [label(wire) for _ in range(5)] == ["1"] * 5
        assert server.connections == 1


def test_a_connection_that_the_server_has_closed_meanwhile_is_made_anew(
    endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server closes those that are idle; nobody hears of it."""
    with hostile("html", endpoint.url, lambda request: False) as server:
        server.answers_a_connection = 1
        wire = wire_to(server, monkeypatch)
        for _ in range(3):
            assert label(wire) == "1"
            time.sleep(0.1)  # until the end of the connection has arrived
        assert server.connections == 3


def test_a_connection_that_the_server_closes_on_a_request_is_an_error_that_passes(
    endpoint: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the request was read cannot be known."""
    with hostile("hang_up", endpoint.url, second_of_many()) as server:
        wire = wire_to(server, monkeypatch)
        label(wire)
        with pytest.raises(ConnectionClosedError, match=server.url):
            label(wire)
        assert label(wire) == "1"
