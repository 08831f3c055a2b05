"""The triggers whose waits are measured: ours, and one on the amazon provider's AwsBaseWaiterTrigger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

INTERVAL = 5  # seconds from one poll to the next
WAITERS = Path(__file__).parent.parent.parent / "airflow_ml_provider" / "waiters" / "machinelearning.json"


def our_triggers(count: int) -> list[Any]:
    """Return a trigger of this package for each endpoint."""
    from airflow_ml_provider import waiting
    from airflow_ml_provider.clock import CLOCK
    from airflow_ml_provider.triggers.machine_learning import MachineLearningTrigger

    now = CLOCK.now()
    waits = [
        waiting.Wait("realtime_endpoint_ready", f"ml-{n}", "us-east-1", now + 3600, INTERVAL, now, status="UPDATING")
        for n in range(count)
    ]
    return [MachineLearningTrigger(wait=wait.to_json(), carried={}) for wait in waits]


def peer_triggers(count: int) -> list[Any]:
    """Return a trigger on the amazon provider's AwsBaseWaiterTrigger for each endpoint."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger

    class Hook(AwsGenericHook[Any]):
        waiter_path = WAITERS

        def __init__(self, **settings: Any) -> None:
            super().__init__(client_type="machinelearning", **settings)

    class Trigger(AwsBaseWaiterTrigger):
        aws_hook_class = Hook

    common: Any = {
        "waiter_name": "realtime_endpoint_ready",
        "failure_message": "failed",
        "status_message": "status",
        "status_queries": ["EndpointInfo.EndpointStatus"],
        "return_value": None,
        "waiter_delay": INTERVAL,
        "waiter_max_attempts": 720,
    }
    return [
        Trigger(serialized_fields={}, waiter_args={"MLModelId": f"ml-{number}"}, **common) for number in range(count)
    ]
