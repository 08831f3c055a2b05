"""Track which task made an endpoint, and delete it when that task fails.

A task that creates an endpoint claims it by a tag of the MLModel: before Create, and with the endpoint's ``CreatedAt``
after. Everybody reads the same there: the next try, the delete task, another Dag, another Airflow, a person in the
console.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import ceil, inf
from typing import TYPE_CHECKING, Any, cast

from airflow_ml_provider import errors
from airflow_ml_provider.claims import Register
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.owners import Owner, in_utc, owner_of, parse

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import JSON, RealtimeEndpoint
    from airflow_ml_provider.waiting import Wait

__all__ = ["TAKE_DOWN_SECONDS", "Claim", "Owner", "Register", "parse", "reason_to_keep"]

log = logging.getLogger(__name__)

TAKE_DOWN_SECONDS = 25.0  # below Airflow's [triggerer] on_kill_timeout of 30
LOOK_SECONDS = 10.0  # of them for looking whose the endpoint is


def reason_to_keep(register: Register, owners: Sequence[Owner]) -> str:
    """Return why an endpoint is not to be deleted on behalf of these claims; empty when it is.

    Who is leaving does not keep an endpoint, and says so before it reads the others' claims: of two that leave at once
    both may delete, but never neither.
    """
    register.write(*(replace(owner, leaving=True) for owner in owners))
    own = {owner.key for owner in owners}
    others = [owner for owner in register.read() if owner.key not in own and not owner.leaving]
    try:
        now = register.endpoint()
    except Exception as error:
        if not errors.is_refusal(error):
            raise
        log.warning("%s: it cannot be told whether it is still the one that was made: %s", register.wait, error)
        return ""
    if now["EndpointStatus"] == "NONE":
        return "it is gone already"
    if not any(owner.covers(now) for owner in owners):
        return f"it is another one, created at {now.get('CreatedAt')}"
    return next((f"{other} uses it" for other in others if other.covers(now)), "")


class Claim:
    """What a task claims of a model's endpoint, from before its Create until the endpoint is deleted.

    ``held`` is whether the endpoint may be this task's; ``inherited`` whether an earlier try or another task made it,
    and may still delete it.
    """

    def __init__(self, register: Register, owner: Owner, *, held: bool = False, inherited: bool = False) -> None:
        self.register, self.owner = register, owner
        self.held, self.inherited = held, inherited
        self.refused = False
        self._asked_at = ""
        self._began = 0.0
        self._seen: list[Owner] = []

    @classmethod
    def of(cls, hook: MachineLearningClientHook, wait: Wait, context: Context) -> Claim:
        """Return the running task's claim, which holds nothing yet."""
        register = Register(hook, wait, context)
        ti = register.task_instance
        return cls(register, owner_of(ti.dag_id, ti.task_id, ti.run_id, ti.map_index) if ti else Owner())

    @classmethod
    def from_json(cls, register: Register, carried: Mapping[str, JSON]) -> Claim:
        """Return the claim that ``to_json`` carried over a deferral."""
        owner = Owner(**cast("dict[str, Any]", carried["owner"]))
        return cls(register, owner, held=bool(carried["held"]), inherited=bool(carried["inherited"]))

    def to_json(self) -> dict[str, JSON]:
        """Return the claim as a trigger carries it."""
        return {"owner": asdict(self.owner), "held": self.held, "inherited": self.inherited}

    def find(self, before: RealtimeEndpoint | None = None) -> bool:
        """Return whether an earlier try of this task claims the endpoint; then it is this one's too.

        :param before: the endpoint that there is; None when it was not looked at.
        """
        self._seen = self.register.read()
        own = (owner for owner in self._seen if owner.key == self.owner.key)
        earlier = next((owner for owner in own if before is None or owner.covers(before)), None)
        if earlier:
            self.owner, self.held, self.inherited = earlier, True, True
        created_at = before.get("CreatedAt") if before else None
        past = in_utc(created_at, after=0.001) if created_at else ""  # so that what was there before is not covered
        self._asked_at = max(self.register.time, past)
        return self.held

    def begin(self) -> None:
        """Write down that this task is about to make the endpoint, unless an earlier try has."""
        self.refused = not self.held
        if not self.held:
            self._write(state="creating", at=self._asked_at)
        elif self.owner.leaving:
            self._write()

    def begin_anew(self) -> None:
        """Begin once more, since the endpoint that others made has gone."""
        self.register.read()  # for the time
        self.held, self.inherited, self._asked_at, self._began = False, False, self.register.time, 0.0
        self.begin()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Make one attempt at Create inside; unless it is refused it may have made an endpoint.

        What a further attempt makes is younger than the claim, so the claim says before it that Create is made again.
        """
        self._began = self._began or CLOCK.now()
        seconds = ceil(self.owner.seconds_until(self._asked_at) + CLOCK.now() - self._began)
        if seconds > 0 and self.held and self.owner.state == "creating":
            self._write(again=seconds + 1)  # the service's times are whole seconds
        so_far, self.refused = self.refused, False
        try:
            yield
        except Exception as error:
            self.refused = so_far and errors.is_refusal(error)
            raise

    def settle(self, info: RealtimeEndpoint) -> None:
        """Write down, after Create, who made the endpoint: its ``CreatedAt`` is not before this task asked for it.

        One that another task has claimed is used together with it, and any other is somebody's.
        """
        asked = replace(self.owner, state="creating", at=self._asked_at)
        if self.inherited and self.owner.state != "creating" and self.owner.covers(info):
            return
        if asked.covers(info, within=inf) or (self.inherited and self.owner.covers(info)):
            if not asked.at:
                log.warning("%s: whether this task made it cannot be told, so it counts as made", self.register.wait)
            self._write(state="created", at=in_utc(info["CreatedAt"]), again=0)
        elif "CreatedAt" in info:
            self._share(info)
        self._forget_gone(info)

    def _share(self, info: RealtimeEndpoint) -> None:
        others = [owner for owner in self.register.read() if owner.key != self.owner.key]
        if maker := next((owner for owner in others if owner.covers(info)), None):
            log.info("%s: made by %s", self.register.wait, maker)
            self.inherited = True
            self._write(state="using", at=in_utc(info["CreatedAt"]), again=0)
        else:
            self.held = False
            self.register.erase(self.owner)

    def _forget_gone(self, info: RealtimeEndpoint) -> None:
        """Erase claims on endpoints of the model that are no more: a thing can have few tags."""
        others = (owner for owner in self._seen if owner.key != self.owner.key)
        if gone := [owner for owner in others if not owner.covers(info) and owner.is_over(self._asked_at)]:
            self.register.erase(*gone)

    def _write(self, **changes: Any) -> None:
        self.owner, self.held = replace(self.owner, leaving=False, **changes), True
        self.register.write(self.owner)

    def release(self) -> None:
        """End the use of an endpoint that another task made, unless that one has left it to this."""
        if self.held and self.owner.state == "using":
            others = [owner for owner in self.register.read() if owner.key != self.owner.key and not owner.leaving]
            if any(owner.at == self.owner.at for owner in others):
                self.held = False
                self.register.erase(self.owner)

    def take_down(self) -> None:
        """Delete the endpoint if this task made it and no other uses it; what fails is logged, and hides no error.

        A claim whose endpoint could not be deleted stays, and with it the next try or the delete task tries again.
        """
        wait, started = self.register.wait, CLOCK.now()
        if not self.held:
            return
        register = self.register.until(started + TAKE_DOWN_SECONDS)
        try:
            if self.refused:
                register.erase(self.owner)
                return
            if reason := self._reason_to_keep(started + LOOK_SECONDS):
                log.info("%s: kept, since %s", wait, reason)
            else:
                register.delete_endpoint()
                log.info("%s: deleted, since the task that made it has failed", wait)
            register.erase(self.owner)
        except Exception:
            log.exception("%s could not be deleted, and costs money until somebody deletes it", wait)

    def _reason_to_keep(self, deadline: float) -> str:
        try:
            return reason_to_keep(self.register.until(deadline), [self.owner])
        except Exception as error:
            log.warning("%s: whether others use it is not known: %s", self.register.wait, error)
            return ""
