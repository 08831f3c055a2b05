"""Judge a response, back off, keep a deadline.

The synchronous wait, the sensor and the deferred wait share this module, and with it the acceptors in
``waiters/machinelearning.json``, the only place that says which states are final.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow_ml_provider import errors
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.payloads import Description, Outcome
from airflow_ml_provider.resources import WAITERS, Resource, WaiterName, describe, highlight
from airflow_ml_provider.retrying import next_pause, record_failed_poll, spent, too_late

if TYPE_CHECKING:
    from botocore.waiter import AcceptorConfig, SingleWaiterConfig

WAITERS_FILE = Path(__file__).parent / "waiters" / "machinelearning.json"
MOMENTS = ("deadline", "started")


@dataclass
class Wait:
    """One wait: what is awaited, until when, and what was seen of it so far.

    ``deadline`` and ``started`` are moments of ``CLOCK.now``, so that setting the machine's clock neither shortens nor
    prolongs the wait. ``delay`` is the pause between two looks in seconds. ``created_at`` is the ``CreatedAt`` of the
    endpoint that the asker's own Create has shown to exist; with it, NONE means that somebody deleted it.
    """

    waiter: WaiterName
    resource_id: str
    region: str
    deadline: float
    delay: float
    started: float
    created_at: str = ""
    calls: int = 0
    status: str = "not seen"
    failures: int = 0
    error: str = ""

    def to_json(self) -> Description:
        """Return the wait in plain JSON types for another process, with its moments in seconds since the epoch."""
        moments = {name: CLOCK.to_wall(getattr(self, name)) for name in MOMENTS}
        return asdict(self) | moments

    @classmethod
    def from_json(cls, state: Description) -> Wait:
        """Return the wait that ``to_json`` wrote."""
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
    """Load one of our waiters by botocore's own reader."""
    import json

    from botocore.waiter import WaiterModel

    return WaiterModel(json.loads(WAITERS_FILE.read_text())).get_waiter(waiter)


@cache
def acceptors(waiter: WaiterName) -> list[AcceptorConfig]:
    """Return the acceptors of a waiter, in the order in which they decide."""
    return waiter_config(waiter).acceptors


def _accepted(waiter: WaiterName, answer: Mapping[str, object]) -> str | None:
    return next((acceptor.state for acceptor in acceptors(waiter) if acceptor.matcher_func(answer)), None)


def judge(wait: Wait, answer: Mapping[str, object]) -> Outcome | None:
    """Return how the wait ended by a Get's answer, or None to go on waiting."""
    seen = describe(wait.resource, answer)
    status = str(seen.get(wait.resource.status) or "")
    if not status:  # a proxy's page or half an answer, which botocore reads as an empty one
        record_failed_poll(wait, "an answer without a status")
        return None
    wait.status, wait.failures, wait.error = status, 0, ""
    state = _accepted(wait.waiter, answer)
    if status == "NONE" and wait.created_at and state == "retry":
        return _outcome("failure", wait, seen, "somebody deleted it while this task waited for it")
    if state == "retry":
        return None
    if state == "success":
        return _outcome("success", wait, seen, highlight(seen))
    return _outcome("failure", wait, seen, _why(wait, answer, state))


def _why(wait: Wait, answer: Mapping[str, object], state: str | None) -> str:
    if state is None:
        return "this status is none that the service documents"
    model_status = answer.get("Status")
    if wait.resource.member and model_status in ("DELETED", "FAILED"):
        return f"its MLModel is {model_status}. {answer.get('Message') or ''}".strip()
    return str(answer.get("Message") or "the service gave no reason")


def unchanged(wait: Wait, item: Mapping[str, object]) -> bool:
    """Return whether a list's item shows the thing as it was last seen, and still to be waited for."""
    status = str(describe(wait.resource, item).get(wait.resource.status) or "")
    return status == wait.status and _accepted(wait.waiter, item) == "retry"


def judge_error(wait: Wait, error: Exception) -> Outcome | None:
    """Return how the wait ended by the error that a Get raised, or None when the error is transient."""
    answer: Mapping[str, object] = getattr(error, "response", {})
    state = _accepted(wait.waiter, answer) if answer else None
    if state == "success":
        return _outcome("success", wait, _gone(wait), "")
    if state is None and errors.is_transient(error):
        record_failed_poll(wait, error)
        return None
    wait.error = f"{errors.code(error)}: {error}"
    outcome = _outcome("failure" if state else "error", wait, {}, str(error))
    return {**outcome, "permanent": errors.is_permanent(error)}


def _gone(wait: Wait) -> Description:
    return {wait.resource.id_member: wait.resource_id, wait.resource.status: "NONE"}


def _outcome(
    kind: Literal["success", "failure", "timeout", "error"], wait: Wait, seen: Description, why: str
) -> Outcome:
    message = f"{wait}: status {wait.status} after {spent(wait)}" + (f": {why}" if why else "")
    return Outcome(kind=kind, message=message, description=seen)


def look(wait: Wait, get: Callable[[], Mapping[str, object]]) -> Outcome | None:
    """Get the thing once and judge it: how the wait ended, or None to go on."""
    wait.calls += 1
    try:
        answer = get()
    except Exception as error:
        return judge_error(wait, error)
    return judge(wait, answer)


def expired(wait: Wait) -> Outcome | None:
    """Return the timeout of the wait, or None while there is time left."""
    if CLOCK.now() < wait.deadline:
        return None
    return _outcome("timeout", wait, {}, too_late(wait))


def until(
    wait: Wait, get: Callable[[], Mapping[str, object]], on_look: Callable[[Wait], None] = lambda wait: None
) -> Outcome:
    """Look again and again until the wait ends, at the latest at its deadline.

    :param on_look: called after each look that did not end the wait.
    """
    while True:
        outcome = look(wait, get) or expired(wait)
        if outcome:
            return outcome
        on_look(wait)
        CLOCK.sleep(next_pause(wait))
