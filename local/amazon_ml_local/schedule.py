"""Lifecycles: when an entity's job or an endpoint's creation starts and ends by the service's time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NEVER = float("inf")
PENDING_SHARE = 0.2  # of a duration, in status PENDING; AWS's share is unknown

LifecycleState = Literal["PENDING", "INPROGRESS", "ENDED", "DELETED"]


@dataclass
class Durations:
    """Seconds of the service's time that each kind of entity takes, from when its inputs are finished.

    :ivar mount: from when an endpoint is READY until it can predict
    """

    data_source: float = 1.0
    ml_model: float = 2.0
    evaluation: float = 1.0
    batch_prediction: float = 1.0
    realtime_endpoint: float = 2.0
    mount: float = 0.0

    def set(self, /, **seconds: float) -> None:
        """Set some of the durations.

        :raises ValueError: for an unknown kind, or a duration that is not 0 or more
        """
        for kind, value in seconds.items():
            if kind not in vars(self):
                raise ValueError(f"no duration {kind!r}; there are {', '.join(vars(self))}")
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < NEVER:
                raise ValueError(f"{kind} must be 0 seconds or more, not {value!r}")
        vars(self).update(seconds)


# What public programs and AWS's documents report: minutes for each.
REALISTIC = Durations(
    data_source=240, ml_model=300, evaluation=180, batch_prediction=240, realtime_endpoint=300, mount=60
)


@dataclass(eq=False)
class Lifecycle:
    """The lifecycle of an entity or an endpoint, from creation to deletion, in the service's time.

    Its work ends after its duration, or with ``polls_needed`` at the Get of that number. Until a time is known, it is
    NEVER.

    :ivar late: whether the job was not done yet when its end was due
    """

    created_at: float
    duration: float
    polls_needed: int | None = None
    failure: str | None = None
    started_at: float = NEVER
    due_at: float = NEVER
    finished_at: float = NEVER
    deleted_at: float = NEVER
    polls: int = 0
    late: bool = False

    def plan(self, ready_at: float) -> None:
        """Schedule start and end once it is known when the inputs were finished, unless a Get decides.

        :param ready_at: when they were; NEVER while that is not known
        """
        if self.polls_needed is None and self.due_at == NEVER and ready_at != NEVER:
            self.started_at = ready_at + self.duration * PENDING_SHARE
            self.due_at = ready_at + self.duration

    def poll(self, now: float) -> bool:
        """Count a Get if ``polls_needed`` is set; return whether it is the Get that ends the work."""
        if self.polls_needed is None:
            return False
        self.polls += 1
        if self.polls == 1:
            self.started_at = now
        if self.polls != self.polls_needed:
            return False
        self.make_due(now)
        return True

    def make_due(self, now: float) -> None:
        """Make the work due at ``now``, unless it is due earlier."""
        self.started_at, self.due_at = min(self.started_at, now), min(self.due_at, now)

    def advance_to(self, now: float, done: bool) -> None:
        """Set the end if it is due and the job is done; a job that is late ends when it is first seen done."""
        if self.finished_at == NEVER and now >= self.due_at:
            if done:
                self.finished_at = now if self.late else self.due_at
            else:
                self.late = True

    def state_at(self, now: float) -> LifecycleState:
        """Return the state at the time ``now``, which may be in the past."""
        if now >= self.deleted_at:
            return "DELETED"
        if now >= self.finished_at:
            return "ENDED"
        return "INPROGRESS" if now >= self.started_at else "PENDING"
