"""The trigger of a task that waits deferred."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_ml_provider import ownership
from airflow_ml_provider.compat import AIRFLOW_3_3
from airflow_ml_provider.triggers.poller import poller
from airflow_ml_provider.triggers.task_state import is_given_up
from airflow_ml_provider.waiting import Wait

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import AwsSettings, Event, JSONObject

log = logging.getLogger(__name__)
_clean_ups: set[asyncio.Task[None]] = set()  # an event loop alone does not keep its tasks alive


class MachineLearningTrigger(BaseTrigger):
    """Wait in the triggerer, and resume the task with the outcome in an ``Event``.

    All arguments are plain JSON and hold no secret: credentials come from the connection.

    :param wait: the wait, as ``Wait.to_json`` returns it; its deadline is absolute.
    :param carried: what the task gets back in the event.
    """

    def __init__(
        self,
        *,
        wait: JSONObject,
        carried: JSONObject,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: JSONObject | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow leaves its triggers untyped
        self.wait = Wait.from_json(wait)
        self.carried = carried
        self.aws_settings: AwsSettings = {
            "aws_conn_id": aws_conn_id,
            "region_name": region_name,
            "verify": verify,
            "botocore_config": botocore_config,
        }

    def serialize(self) -> tuple[str, dict[str, object]]:
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return name, {"wait": self.wait.to_json(), "carried": self.carried, **self.aws_settings}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.wait}>"

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            outcome = await poller(self.aws_settings).outcome(self.wait)
        except asyncio.CancelledError:
            if not AIRFLOW_3_3:  # before it, Airflow does not tell a kill from a shutdown
                await self.on_kill()
            raise
        event: Event = {"outcome": outcome, "wait": self.wait.to_json(), "carried": self.carried}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]  # as above

    async def on_kill(self) -> None:
        """Delete the endpoint that the task created, if Airflow has given the task up.

        Airflow cancels this coroutine about once a second until it ends, so the clean-up runs in an asyncio task of its
        own.
        """
        if self.carried.get("delete_on_failure"):
            clean_up = asyncio.create_task(self._clean_up())
            _clean_ups.add(clean_up)
            clean_up.add_done_callback(_clean_ups.discard)
            await asyncio.shield(clean_up)

    async def _clean_up(self) -> None:
        try:
            if self.task_instance and await is_given_up(self.task_instance):
                await poller(self.aws_settings).call_with_hook(self._delete_own_endpoint)
        except Exception:
            log.exception("%s: kept after an error; it costs money until somebody deletes it", self.wait)

    def _delete_own_endpoint(self, hook: MachineLearningClientHook) -> None:
        register = ownership.Register(hook, self.wait)
        ownership.Claim.from_json(register, cast("JSONObject", self.carried["claim"])).delete_own_endpoint()
