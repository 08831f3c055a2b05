"""The levers over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amazon_ml_local.protocol import Request
from amazon_ml_local.serving.control import Control


@pytest.fixture
def control(service: Any) -> Any:
    """Call the control API: ``control(method, path, body)`` gives status and JSON."""

    def call(method: str, path: str, body: Any = None, content_type: str = "application/json") -> tuple[int, Any]:
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = Control(service, lambda: None).handle(Request(method, path, {"Content-Type": content_type}, sent))
        return response.status, json.loads(response.body)

    return call


def test_the_clock_is_frozen_advanced_sped_up_and_resumed(control: Any, service: Any) -> None:
    start = service.clock.now()
    status, state = control("POST", "/_local/clock", {"advance": 60})
    assert (status, state["clock"]) == (200, {"now": start + 60, "frozen": True, "speed": 1.0})
    assert control("POST", "/_local/clock", {"frozen": False, "speed": 10})[1]["clock"]["speed"] == 10
    assert not service.clock.frozen
    assert control("POST", "/_local/clock", {"frozen": True})[1]["clock"]["frozen"] is True


def test_durations_are_set(control: Any, service: Any) -> None:
    """Of the jobs, of an endpoint, and of the time until its predictor is mounted."""
    assert control("POST", "/_local/durations", {"ml_model": 300, "mount": 60})[0] == 200
    assert (service.durations.ml_model, service.durations.mount) == (300, 60)


@pytest.mark.parametrize("polls", [3, None])
def test_the_schedule_is_set(polls: int | None, control: Any, service: Any) -> None:
    """By Gets instead of time, or by time again."""
    service.ready_after_polls(7)
    control("POST", "/_local/schedule", {"ready_after_polls": polls})
    assert service.state.polls_needed == polls


def test_the_rate_is_set(control: Any) -> None:
    control("POST", "/_local/rate", {"peak_requests_per_second": 5})
    assert control("GET", "/_local")[1]["peak_requests_per_second"] == 5


def test_faults_are_added_listed_and_cleared(control: Any, service: Any, client: Any, refused: Any) -> None:
    fault = {"kind": "error", "operation": "GetMLModel", "count": 9, "code": "Broken", "message": "m", "status": 418}
    state = control("POST", "/_local/faults", fault)[1]
    shown = {
        "kind": "error",
        "operation": "GetMLModel",
        "left": 9,
        "when": "before",
        "probability": 1.0,
        "seconds": 0.0,
    }
    assert state["faults"] == [shown]
    refused("Broken", "m", client.get_ml_model, MLModelId="ml-1")
    assert control("DELETE", "/_local/faults")[1]["faults"] == []


def test_a_model_is_told_to_fail(control: Any, service: Any, client: Any, model: Any) -> None:
    control("POST", "/_local/failures", {"kind": "MLModel", "id": "ml-1", "message": "No luck"})
    assert control("GET", "/_local")[1]["failures"] == [{"kind": "MLModel", "id": "ml-1", "message": "No luck"}]
    model("ml-1")
    assert client.get_ml_model(MLModelId="ml-1")["Message"] == "No luck"


def test_the_requests_received_are_told_and_forgotten(control: Any, client: Any) -> None:
    client.describe_ml_models(Limit=3)
    [received] = control("GET", "/_local/requests")[1]
    assert (received["operation"], received["parameters"], received["status"]) == (
        "DescribeMLModels",
        {"Limit": 3},
        200,
    )
    assert control("DELETE", "/_local/requests")[1]["requests"] == 0


def test_health_is_told(control: Any) -> None:
    assert control("GET", "/_local/health") == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/_local/nothing", None, 404, "no GET /_local/nothing; there are GET /_local, "),
        ("PUT", "/_local/clock", {}, 404, "no PUT /_local/clock"),
        ("POST", "/_local/clock", b"{", 400, "must be a JSON object"),
        ("POST", "/_local/clock", [], 400, "must be a JSON object"),
        ("POST", "/_local/clock", {"forward": 3}, 400, "no member 'forward'; there are frozen, speed, advance"),
        ("POST", "/_local/clock", {"advance": "3"}, 400, "advance cannot be '3'"),
        ("POST", "/_local/clock", {"advance": True}, 400, "advance cannot be True"),
        ("POST", "/_local/clock", {"advance": -3}, 400, "never goes back"),
        ("POST", "/_local/clock", {"speed": 0}, 400, "speed must be above 0"),
        ("POST", "/_local/durations", {"model": 3}, 400, "no duration 'model'; there are data_source, "),
        ("POST", "/_local/durations", {"self": 3}, 400, "no duration 'self'"),
        ("POST", "/_local/durations", {"ml_model": "3"}, 400, "ml_model must be 0 seconds or more"),
        ("POST", "/_local/durations", {"ml_model": -1}, 400, "ml_model must be 0 seconds or more"),
        ("POST", "/_local/schedule", {}, 400, "ready_after_polls is missing"),
        ("POST", "/_local/schedule", {"ready_after_polls": 0}, 400, "1 or more"),
        ("POST", "/_local/rate", {"peak_requests_per_second": 0}, 400, "1 or more"),
        ("POST", "/_local/failures", {"kind": "Model", "id": "x"}, 400, "no kind 'Model'"),
        ("POST", "/_local/failures", {"kind": "MLModel"}, 400, "id is missing"),
        ("POST", "/_local/faults", {"kind": "thunder"}, 400, "no fault 'thunder'"),
        ("POST", "/_local/faults", {"kind": "slow", "second": 3}, 400, "no member 'second'"),
    ],
)
def test_what_is_not_known_is_refused(method: str, path: str, body: Any, status: int, text: str, control: Any) -> None:
    given_status, answer = control(method, path, body)
    assert given_status == status
    assert text in answer["error"]


def test_a_web_page_cannot_turn_the_levers(control: Any) -> None:
    """Browsers post plain text and forms across sites without asking; JSON they do not."""
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        status, answer = control("POST", "/_local/clock", {"advance": 3}, content_type)
        assert (status, answer["error"]) == (415, "the content type must be application/json")


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/_local/clock", b'{"advance": 1' + b"0" * 400 + b"}", "too large"),
        ("/_local/clock", b'{"advance": 1e999}', "the clock never goes back"),
        ("/_local/faults", b'{"kind": "slow", "seconds": 1e999}', "slow needs seconds above 0"),
    ],
)
def test_time_does_not_end(path: str, body: bytes, text: str, control: Any, service: Any) -> None:
    """A jump that no number can hold, or a sleep without end, is refused."""
    before = service.clock.now()
    status, answer = control("POST", path, body)
    assert status == 400
    assert text in answer["error"]
    assert service.clock.now() == before
    assert list(service.faults) == []
