"""``make demo``, as a user runs it and stops it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.system.commands import Command, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


@pytest.fixture
def demo() -> Iterator[Command]:
    with running("demo") as command:
        yield command


def test_the_demo_explains_itself(demo: Command) -> None:
    """Every task is explained, the predictions appear once, and the end names the endpoint's fate and its cost."""
    text = demo.read_until("`make up`")
    assert demo.process.wait(30) == 0
    for step in ("put the rows", "make a data source", "train a model", "create the realtime endpoint", "delete the"):
        assert step in text
    assert text.count("predicted   score of 1   truth") == 1
    assert "It is the share of pairs" in text
    assert "its status is NONE" in text
    assert "would have cost $0.0181" in text
    assert demo.living() == []


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("The data:", signal.SIGTERM),
        ("Amazon ML Local starts", signal.SIGINT),
        ("Airflow makes its database", signal.SIGTERM),
        ("upload", signal.SIGINT),
        ("train ", signal.SIGTERM),
        ("predict ", signal.SIGHUP),
    ],
)
def test_an_interrupted_demo_leaves_nothing(demo: Command, moment: str, number: Any) -> None:
    """It ends within seconds, whatever it does at that moment, and so does all that it started."""
    demo.read_until(moment)
    assert demo.end(number) < 5
    assert demo.process.returncode == 130
    assert demo.process.stdout
    assert "everything it started has ended" in demo.process.stdout.read()
    assert demo.living() == []


def test_a_second_demo_says_that_one_runs(demo: Command) -> None:
    """It ends at once, and the first one goes on."""
    demo.read_until("Amazon ML Local starts")
    with running("demo") as second:
        second.read_until(f"make demo runs already here, as process {demo.process.pid}.")
        assert second.process.wait(30) == 1
    assert demo.process.poll() is None
