"""The one clock: what passes in this process, and what another process makes of it."""

from __future__ import annotations

import pytest

from airflow_ml_provider import retrying, waiting
from airflow_ml_provider.clock import CLOCK


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """The machine's two clocks, for the test to set."""
    clocks = {"now": 5000.0, "wall": 1_700_000_000.0}
    monkeypatch.setattr(CLOCK, "now", lambda: clocks["now"])
    monkeypatch.setattr(CLOCK, "wall", lambda: clocks["wall"])
    return clocks


def test_a_deadline_goes_to_another_process_by_the_wall_clock(clocks: dict[str, float]) -> None:
    """What is monotonic in one process means nothing in another, nor after a restart of the machine."""
    wait = waiting.Wait("ml_model_completed", "ml-1", "us-east-1", 5600.0, 30, 5000.0)
    state = wait.to_json()
    assert (state["deadline"], state["started"]) == (1_700_000_600.0, 1_700_000_000.0)
    clocks.update(now=70.0, wall=1_700_000_100.0)
    there = waiting.Wait.from_json(state)
    assert there.deadline - CLOCK.now() == pytest.approx(500)
    assert CLOCK.now() - there.started == pytest.approx(100)


@pytest.mark.parametrize("hours", [-1, 1])
def test_setting_the_clock_changes_no_wait_that_a_process_lives_through(clocks: dict[str, float], hours: int) -> None:
    """A wait that is written down afterwards has as much time left as before."""
    wait = waiting.Wait.from_json(waiting.Wait("ml_model_completed", "ml-1", "us-east-1", 5600.0, 30, 5000.0).to_json())
    clocks.update(now=5100.0, wall=clocks["wall"] + 100 + hours * 3600)
    assert waiting.timeout_if_due(wait) is None
    assert retrying.next_pause(wait) == 30
    assert retrying.time_and_calls(wait) == "100 s and 0 calls"
    assert wait.to_json()["deadline"] == clocks["wall"] + 500
