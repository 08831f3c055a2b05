"""The trigger as Airflow keeps it: plain JSON, the task's settings, no secret."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.deferred import first_event, reloaded, run_in_loop

if TYPE_CHECKING:
    from airflow_ml_provider.triggers.machine_learning import MachineLearningTrigger
    from amazon_ml_local.clock import Clock

pytestmark = pytest.mark.core

SETTINGS: dict[str, Any] = {
    "aws_conn_id": "aws_default",
    "region_name": "us-east-1",
    "verify": False,
    "botocore_config": {"proxies": {"http": "http://user:pass@proxy"}, "read_timeout": 5},
}


def test_it_survives_serialization(trigger: Callable[..., MachineLearningTrigger]) -> None:
    """What Airflow keeps is plain JSON, and makes the same trigger anew."""
    one = trigger("ml-1", **SETTINGS)
    name, arguments = one.serialize()
    assert name == "airflow_ml_provider.triggers.machine_learning.MachineLearningTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert reloaded(one).serialize() == (name, arguments)
    assert {key: arguments[key] for key in SETTINGS} == SETTINGS


def test_it_is_shown_without_its_settings(trigger: Callable[..., MachineLearningTrigger]) -> None:
    """A botocore config may hold a proxy's password, and Airflow logs a trigger's repr."""
    assert repr(trigger("ml-1", **SETTINGS)) == "<MachineLearningTrigger RealtimeEndpoint ml-1 in us-east-1>"


def test_the_event_is_plain_json(
    service_clock: Clock, endpoints: Callable[[int], list[str]], trigger: Callable[..., MachineLearningTrigger]
) -> None:
    """It carries outcome, wait and what the task gave along, and no more."""
    (model_id,) = endpoints(1)
    payload = run_in_loop(service_clock, lambda: first_event(trigger(model_id))).payload
    assert json.loads(json.dumps(payload)) == payload
    assert set(payload) == {"outcome", "wait", "carried"}
    assert payload["carried"] == {"ours": False}
    assert payload["wait"]["status"] == "READY"
