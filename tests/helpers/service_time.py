"""The service's time in place of ours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import BaseSensorOperator

if TYPE_CHECKING:
    import pytest

    from amazon_ml_local.clock import Clock


def live_by(clock: Clock, patch: pytest.MonkeyPatch) -> None:
    """Freeze a clock, and make our waits and Airflow's own poke loop live by it."""
    clock.freeze()
    for name, stand_in in {"now": clock.now, "wall": clock.now, "sleep": clock.sleep}.items():
        patch.setattr(CLOCK, name, stand_in)
    sensor_module = __import__(BaseSensorOperator.__module__, fromlist=["time"])
    patch.setattr(sensor_module, "time", SimpleNamespace(sleep=clock.sleep, monotonic=clock.now, time=clock.now))
