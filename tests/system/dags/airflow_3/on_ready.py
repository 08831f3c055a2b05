"""A Dag for the tests with real Airflow processes that Airflow 2 has no means for."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_ml_provider.triggers.event import MachineLearningEventTrigger

WATCHER = AssetWatcher(name="ready", trigger=MachineLearningEventTrigger(ml_model_id="watched", poll_interval=1))


@dag(schedule=[Asset("endpoint", watchers=[WATCHER])])
def on_ready() -> None:
    """Run whenever somebody else's endpoint becomes READY."""

    @task
    def heard(triggering_asset_events: Any = None) -> list[str]:
        events = [event for events in triggering_asset_events.values() for event in events]
        return [event.extra["payload"]["EndpointStatus"] for event in events]

    heard()


on_ready()
