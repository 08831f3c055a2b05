"""Waits: poll a resource, and judge by the answer whether the wait goes on, succeeds, fails or times out.

The synchronous wait, the sensor and the deferred wait share this module, and with it the acceptors in
``waiters/machinelearning.json``, the only place that defines which states are final.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from airflow_ml_provider import errors
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.payloads import Description, JSONObject, Outcome
from airflow_ml_provider.resources import WAITERS, Resource, WaiterName, describe, highlight
from airflow_ml_provider.retrying import deadline_message, next_pause, record_failure, time_and_calls

if TYPE_CHECKING:
    from botocore.waiter import AcceptorConfig, SingleWaiterConfig

WAITERS_FILE = Path(__file__).parent / "waiters" / "machinelearning.json"
MOMENTS = ("deadline", "started")  # the fields of a ``Wait`` that another process must convert
NOT_SEEN = "not seen"  # the status of a wait of which no poll has succeeded yet


class Hook(Protocol):
    """The part of ``MachineLearningClientHook`` that a poll uses."""

    def get(self, resource: Resource, resource_id: str, deadline: float) -> Mapping[str, object]: ...


@dataclass
class Wait:
    """One wait: for which state of which resource, until when, and what its polls have shown so far.

    ``deadline`` and ``started`` are moments of ``CLOCK.now``, so that setting the machine's clock neither shortens nor
    prolongs the wait. ``delay`` is the pause between two polls in seconds. ``created_at`` is the ``CreatedAt`` of an
    endpoint in the answer to the task's own Create; with it, NONE means that somebody has deleted the endpoint since.
    ``status`` is that of the last poll; for ``calls``, ``failures`` and ``error`` see ``Attempts``.
    """

    waiter: WaiterName
    resource_id: str
    region: str
    deadline: float
    delay: float
    started: float
    created_at: str = ""
    calls: int = 0
    status: str = NOT_SEEN
    failures: int = 0
    error: str = ""

    def to_json(self) -> JSONObject:
        """Return the wait in plain JSON types for another process, its moments in seconds since the epoch."""
        moments = {name: CLOCK.to_wall(getattr(self, name)) for name in MOMENTS}
        return asdict(self) | moments

    @classmethod
    def from_json(cls, state: JSONObject) -> Wait:
        """Return the wait that ``to_json`` returned."""
        wait = cls(**cast("dict[str, Any]", state))
        for name in MOMENTS:
            setattr(wait, name, CLOCK.from_wall(getattr(wait, name)))
        return wait

    @property
    def resource(self) -> Resource:
        return WAITERS[self.waiter]

    def __str__(self) -> str:
        return f"{self.resource.name} {self.resource_id} in {self.region}"


@cache
def waiter_config(waiter: WaiterName) -> SingleWaiterConfig:
    """Load one of our waiters with botocore's own reader."""
    import json

    from botocore.waiter import WaiterModel

    return WaiterModel(json.loads(WAITERS_FILE.read_text())).get_waiter(waiter)


@cache
def acceptors(waiter: WaiterName) -> list[AcceptorConfig]:
    """Return the acceptors of a waiter; the first that matches decides."""
    return waiter_config(waiter).acceptors


def _acceptor_state(waiter: WaiterName, answer: Mapping[str, object]) -> str | None:
    """Return what an answer means for a waiter: ``success``, ``failure``, ``retry``; None if no acceptor matches."""
    return next((acceptor.state for acceptor in acceptors(waiter) if acceptor.matcher_func(answer)), None)


def judge(wait: Wait, answer: Mapping[str, object]) -> Outcome | None:
    """Return how the wait ends with this answer to a Get, or None if it goes on."""
    description = describe(wait.resource, answer)
    status = str(description.get(wait.resource.status_member) or "")
    if not status:  # a proxy's page or half an answer, which botocore reads as an empty one
        record_failure(wait, "an answer without a status")
        return None
    wait.status, wait.failures, wait.error = status, 0, ""
    state = _acceptor_state(wait.waiter, answer)
    # The acceptors cannot know that there was an endpoint: for them NONE is a state before it exists.
    if status == "NONE" and wait.created_at and state == "retry":
        return _outcome("failure", wait, description, "somebody deleted it while this task waited for it")
    if state == "retry":
        return None
    if state == "success":
        return _outcome("success", wait, description, highlight(description))
    return _outcome("failure", wait, description, _failure_reason(wait, answer, state))


def _failure_reason(wait: Wait, answer: Mapping[str, object], state: str | None) -> str:
    if state is None:
        return "the service does not document this status"
    if wait.resource.name == "RealtimeEndpoint" and answer.get("Status") in ("DELETED", "FAILED"):
        return f"its MLModel is {answer.get('Status')}. {answer.get('Message') or ''}".strip()
    return str(answer.get("Message") or "the service gave no reason")


def is_unchanged(wait: Wait, item: Mapping[str, object]) -> bool:
    """Return whether an item of a Describe shows the same status as the last poll, and the wait goes on with it."""
    status = str(describe(wait.resource, item).get(wait.resource.status_member) or "")
    return status == wait.status and _acceptor_state(wait.waiter, item) == "retry"


def judge_error(wait: Wait, error: Exception) -> Outcome | None:
    """Return how the wait ends with this error of a Get, or None if the error is transient and the wait goes on."""
    answer: Mapping[str, object] = getattr(error, "response", {})
    state = _acceptor_state(wait.waiter, answer) if answer else None
    if state == "success":
        return _outcome("success", wait, _description_of_deleted(wait), "")
    if state is None and errors.is_transient(error):
        record_failure(wait, error)
        return None
    wait.error = f"{errors.code(error)}: {error}"
    outcome = _outcome("failure" if state else "error", wait, {}, str(error))
    return {**outcome, "permanent": errors.is_permanent(error)}


def _description_of_deleted(wait: Wait) -> Description:
    """Return the description of an endpoint whose model the service does not find, so that the endpoint is gone too."""
    return {wait.resource.id_member: wait.resource_id, wait.resource.status_member: "NONE"}


def _outcome(
    kind: Literal["success", "failure", "timeout", "error"], wait: Wait, description: Description, reason: str
) -> Outcome:
    message = f"{wait}: status {wait.status} after {time_and_calls(wait)}" + (f": {reason}" if reason else "")
    return Outcome(kind=kind, message=message, description=description)


def poll(wait: Wait, hook: Hook) -> Outcome | None:
    """Get the resource once, and return how the wait ends, or None if it goes on.

    The deadline counts only after the Get, so that a wait whose last answer is final does not time out.
    """
    wait.calls += 1
    try:
        answer = hook.get(wait.resource, wait.resource_id, wait.deadline)
    except Exception as error:
        outcome = judge_error(wait, error)
    else:
        outcome = judge(wait, answer)
    return outcome or timeout_if_due(wait)


def timeout_if_due(wait: Wait) -> Outcome | None:
    """Return the outcome of a wait whose deadline has passed, or None before it."""
    if CLOCK.now() < wait.deadline:
        return None
    return _outcome("timeout", wait, {}, deadline_message(wait))


def poll_until_end(wait: Wait, hook: Hook, on_poll: Callable[[Wait], None]) -> Outcome:
    """Poll until the wait ends, and return how: at its deadline at the latest.

    :param on_poll: called after each poll that did not end the wait.
    """
    while True:
        outcome = poll(wait, hook)
        if outcome:
            return outcome
        on_poll(wait)
        CLOCK.sleep(next_pause(wait))
