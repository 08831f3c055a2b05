"""Start Dags when an endpoint or a model changes, by Airflow 3's AssetWatcher."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal, cast

from airflow.triggers import base

from airflow_ml_provider import retrying, waiting
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import AIRFLOW_3
from airflow_ml_provider.triggers.poller import poller

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import JSON, AwsSettings, Description
    from airflow_ml_provider.resources import WaiterName
    from airflow_ml_provider.triggers.poller import Poller
    from airflow_ml_provider.waiting import Wait

if not AIRFLOW_3:
    raise ImportError(
        "airflow_ml_provider.triggers.event needs Airflow 3: Airflow 2 has no AssetWatcher. A sensor of "
        "airflow_ml_provider.sensors.machine_learning waits there for the same."
    )

log = logging.getLogger(__name__)

TARGETS: dict[str, WaiterName] = {
    "READY": "realtime_endpoint_ready",
    "NONE": "realtime_endpoint_deleted",
    "COMPLETED": "ml_model_completed",
}


class MachineLearningEventTrigger(base.BaseEventTrigger):
    """Fire whenever the endpoint of a model becomes READY or is deleted, or a model becomes COMPLETED.

    It fires on a change: a status that holds already at the first poll starts no Dag. It never ends, and goes on
    through errors. Airflow 3.3 keeps the last status with the asset, so that a change while no triggerer ran fires too.
    Before 3.3, and where several assets share the watcher, a change during a restart is lost.

    The event's payload is the endpoint's or the model's description, under AWS's names in plain JSON types.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]``.
    :param target_status: ``READY`` or ``NONE`` of its endpoint, or ``COMPLETED`` of the model itself.
    :param poll_interval: seconds between two polls.
    :param aws_conn_id: the Airflow connection with the credentials; None means boto3's own chain.
    :param region_name: the AWS region, else the connection's.
    :param verify: whether to verify SSL certificates, or the path of a CA bundle.
    :param botocore_config: keyword arguments of ``botocore.config.Config``.
    """

    def __init__(
        self,
        *,
        ml_model_id: str,
        target_status: Literal["READY", "NONE", "COMPLETED"] = "READY",
        poll_interval: float = 60,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, JSON] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow leaves its triggers untyped
        if target_status not in TARGETS:
            raise ValueError(f"target_status: {target_status!r}; it must be one of {', '.join(TARGETS)}")
        if poll_interval <= 0:
            raise ValueError(f"poll_interval: {poll_interval} s; it must be above 0")
        self.ml_model_id = ml_model_id
        self.target_status = target_status
        self.poll_interval = poll_interval
        self.aws_settings: AwsSettings = {
            "aws_conn_id": aws_conn_id,
            "region_name": region_name,
            "verify": verify,
            "botocore_config": botocore_config,
        }

    def serialize(self) -> tuple[str, dict[str, object]]:
        own = {name: getattr(self, name) for name in ("ml_model_id", "target_status", "poll_interval")}
        return f"{type(self).__module__}.{type(self).__qualname__}", {**own, **self.aws_settings}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.ml_model_id} {self.target_status}>"

    async def run(self) -> AsyncIterator[base.TriggerEvent]:
        previous = last_at_target = await self._load_state()
        wait = self._new_wait()
        with poller(self.aws_settings).keep_alive() as shared_poller:
            while True:
                state, reached = await self._poll(shared_poller, wait)
                if state and state != previous:
                    # With the same CreatedAt it is the same endpoint that is back at the target: it has fired before.
                    is_repeated = state == last_at_target and reached is not None and "CreatedAt" in reached
                    if previous is not None and reached and not is_repeated:
                        yield base.TriggerEvent(reached)  # type: ignore[no-untyped-call]  # as above
                    previous = state
                    if reached:
                        last_at_target = state
                    await self._save_state(state)
                await asyncio.sleep(retrying.next_pause(wait))

    def _new_wait(self) -> Wait:
        """Return a wait without a deadline."""
        return waiting.Wait(
            waiter=TARGETS[self.target_status],
            resource_id=self.ml_model_id,
            region=self.aws_settings["region_name"] or "the default region",
            deadline=float("inf"),
            delay=self.poll_interval,
            started=CLOCK.now(),
        )

    @staticmethod
    async def _poll(shared_poller: Poller, wait: Wait) -> tuple[str, Description | None]:
        """Return the present state as text, empty after an error, and the description if the state is the target.

        At the target the state holds ``CreatedAt`` too, which tells a new endpoint from the one before.
        """
        outcome = await shared_poller.poll(wait)
        if outcome and outcome["kind"] == "success":
            description = outcome["description"]
            return f"{description.get(wait.resource.status_member)} {description.get('CreatedAt') or ''}", description
        if outcome and outcome["kind"] == "error":
            retrying.record_failure(wait, wait.error)
            log.warning("%s", outcome["message"])
        if wait.failures:
            return "", None
        if outcome and not outcome["description"]:  # a failure without a description is ResourceNotFoundException
            return "not found", None
        return wait.status, None

    @property
    def _key(self) -> str:
        return f"machine_learning {self.ml_model_id} {self.target_status}"

    async def _load_state(self) -> str | None:
        store = getattr(self, "asset_state_store", None)
        if store is None:
            return None
        try:
            return cast("str | None", await store.aget(self._key))
        except ValueError:  # Airflow raises it for a watcher of several assets
            log.info("%s: watched by several assets, so Airflow keeps no state over a restart", self._key)
            self.asset_state_store = None
            return None

    async def _save_state(self, state: str) -> None:
        if (store := getattr(self, "asset_state_store", None)) is not None:
            await store.aset(self._key, state)
