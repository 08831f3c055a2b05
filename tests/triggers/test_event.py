"""Dags that start when somebody else's endpoint changes: an event for a change, none for a state."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AIRFLOW_3
from tests.helpers.deferred import reloaded, run_in_loop

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.faults import FaultKind
    from amazon_ml_local.fixture import AmazonMLLocalFixture

NAME = "airflow_ml_provider.triggers.event"


def test_it_needs_airflow_3() -> None:
    """On Airflow 2 the import says so, and what to use there."""
    if AIRFLOW_3:
        assert importlib.import_module(NAME).MachineLearningEventTrigger
    else:
        with pytest.raises(ImportError, match="needs Airflow 3.*A sensor of airflow_ml_provider.sensors"):
            importlib.import_module(NAME)


if AIRFLOW_3:
    from airflow_ml_provider.triggers.event import MachineLearningEventTrigger

    class Store(dict[str, Any]):
        """Airflow's store of an asset's state: it outlives the triggerer."""

        async def aget(self, key: str) -> Any:
            return self.get(key)

        async def aset(self, key: str, value: Any) -> None:
            self[key] = value

    class Shared(Store):
        """What Airflow gives where several assets have the same watcher."""

        async def aget(self, key: str) -> None:
            raise ValueError("several")

    def watch(clock: Any, events: Any, store: Any = None, **arguments: Any) -> Any:
        """Watch for 1,000 s; return what was fired. ``events`` are what happens so many seconds from the start."""
        fired = []

        async def watching() -> None:
            one: Any = reloaded(MachineLearningEventTrigger(**{"ml_model_id": "ml-1"} | arguments))
            one.asset_state_store = store

            async def collect() -> None:
                async for event in one.run():
                    fired.append(event.payload)  # noqa: PERF401 - it never ends

            task = asyncio.create_task(collect())
            began = clock.now()
            for seconds, happens in events:
                await asyncio.sleep(began + seconds - clock.now())
                happens()
            await asyncio.sleep(began + 1000 - clock.now())
            assert not task.done()
            task.cancel()

        run_in_loop(clock, watching)
        return fired

    @pytest.fixture
    def make(service: AmazonMLLocalFixture) -> Callable[[], Any]:
        return lambda: service.client().create_realtime_endpoint(MLModelId="ml-1")

    @pytest.fixture
    def delete(service: AmazonMLLocalFixture) -> Callable[[], Any]:
        return lambda: service.client().delete_realtime_endpoint(MLModelId="ml-1")

    def test_it_fires_each_time_the_endpoint_becomes_ready(
        service_clock: Clock, make: Callable[[], Any], delete: Callable[[], Any]
    ) -> None:
        """Two endpoints one after the other are two events, each with the endpoint's info in plain JSON."""
        fired = watch(service_clock, [(10, make), (300, delete), (400, make)])
        assert [event["EndpointStatus"] for event in fired] == ["READY", "READY"]
        assert fired[0]["CreatedAt"] != fired[1]["CreatedAt"]
        assert json.loads(json.dumps(fired)) == fired

    def test_an_endpoint_made_anew_between_two_looks_is_a_change(
        service_clock: Clock, service: AmazonMLLocalFixture, make: Callable[[], Any], delete: Callable[[], Any]
    ) -> None:
        """CreatedAt tells it from the one before."""
        service.service.durations.set(realtime_endpoint=1)
        fired = watch(service_clock, [(10, make), (301, delete), (302, make)])
        assert [event["EndpointStatus"] for event in fired] == ["READY", "READY"]

    def test_what_is_so_already_starts_no_dag(service_clock: Clock, make: Callable[[], Any]) -> None:
        """The first look is the baseline: READY would start Dags for ever."""
        make()
        service_clock.advance(100)
        assert watch(service_clock, []) == []

    def test_a_model_that_is_not_found_for_a_moment_is_no_change(
        service_clock: Clock, service: AmazonMLLocalFixture, make: Callable[[], Any]
    ) -> None:
        """One look may miss what is there; the endpoint is the same as before."""
        missing: Any = {"operation": "GetMLModel", "code": "ResourceNotFoundException", "message": "no", "status": 400}
        missed = partial(service.faults.add, "error", count=1, **missing)
        assert len(watch(service_clock, [(10, make), (300, missed)])) == 1

    def test_it_fires_when_the_endpoint_is_gone(
        service_clock: Clock, make: Callable[[], Any], delete: Callable[[], Any]
    ) -> None:
        """Deleted by whomever."""
        make()
        (event,) = watch(service_clock, [(200, delete)], target_status="NONE")
        assert event["EndpointStatus"] == "NONE"

    def test_it_fires_when_a_model_is_completed(service_clock: Clock, service: AmazonMLLocalFixture) -> None:
        """Also of a model that does not exist yet when the watch begins."""
        create = service.client().create_ml_model
        train = partial(create, MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
        (event,) = watch(service_clock, [(100, train)], ml_model_id="ml-2", target_status="COMPLETED")
        assert event["Status"] == "COMPLETED"
        assert "LogUri" not in event

    def test_a_change_while_no_triggerer_ran_is_noticed(service_clock: Clock, make: Callable[[], Any]) -> None:
        """Airflow 3.3 keeps what was last seen with the asset; a restart alone fires nothing."""
        store = Store()
        assert watch(service_clock, [], store) == []
        make()
        service_clock.advance(500)
        assert len(watch(service_clock, [], store)) == 1
        assert watch(service_clock, [], store) == []

    def test_a_watcher_of_several_assets_begins_anew(service_clock: Clock, make: Callable[[], Any]) -> None:
        """Airflow cannot tell whose state it would be."""
        assert len(watch(service_clock, [(10, make)], Shared())) == 1

    @pytest.mark.parametrize("kind", ["throttling", "server_error", "reset", "garbage", "never_enrolled"])
    def test_it_goes_on_through_errors(
        service_clock: Clock, service: AmazonMLLocalFixture, make: Callable[[], Any], kind: FaultKind
    ) -> None:
        """Nothing ends it, and errors are no change; while they last it asks more and more seldom."""
        begin = partial(service.faults.add, kind, count=4, operation="GetMLModel")
        assert len(watch(service_clock, [(10, make), (25, begin)], poll_interval=10)) == 1
        assert service.requests.count("GetMLModel") <= 100

    @pytest.mark.parametrize(("region", "named"), [("us-east-1", "us-east-1"), (None, "the default region")])
    def test_a_warning_names_the_region(
        service_clock: Clock,
        service: AmazonMLLocalFixture,
        caplog: pytest.LogCaptureFixture,
        region: str | None,
        named: str,
    ) -> None:
        """An error that lasts is logged with the model and where it was looked for."""
        service.faults.add("never_enrolled", count=1, operation="GetMLModel")
        watch(service_clock, [], region_name=region)
        assert f"RealtimeEndpoint ml-1 in {named}: status" in caplog.text

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"target_status": "UPDATING"}, "^target_status: 'UPDATING'; it must be one of READY, NONE, COMPLETED"),
            ({"poll_interval": 0}, "^poll_interval: 0 s; it must be above 0"),
        ],
    )
    def test_bad_arguments_are_refused_at_once(arguments: dict[str, Any], message: str) -> None:
        """Where they are written."""
        with pytest.raises(ValueError, match=message):
            MachineLearningEventTrigger(ml_model_id="ml-1", **arguments)

    def test_airflow_takes_it_for_an_asset_watcher() -> None:
        """As a Dag file writes it."""
        from airflow.sdk import Asset, AssetWatcher

        ready = AssetWatcher(name="ready", trigger=MachineLearningEventTrigger(ml_model_id="ml-1"))
        assert Asset("endpoint", watchers=[ready]).watchers == [ready]

    def test_airflow_knows_a_watcher_again() -> None:
        """When the Dag file is read anew, the same arguments have the same hash."""
        one, same = (MachineLearningEventTrigger(ml_model_id="ml-1") for _ in range(2))
        assert one.hash(*one.serialize()) == same.hash(*same.serialize())

    def test_it_is_shown_without_its_settings() -> None:
        """Airflow logs a trigger's repr, and a botocore config may hold a proxy's password."""
        config: Any = {"proxies": {"http": "http://user:pass@proxy"}}
        trigger = MachineLearningEventTrigger(ml_model_id="ml-1", botocore_config=config)
        assert repr(trigger) == "<MachineLearningEventTrigger ml-1 READY>"
