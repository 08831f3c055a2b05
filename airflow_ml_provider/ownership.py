"""Track which task created an endpoint, and delete it if that task fails.

A task that creates an endpoint claims it by a tag of the MLModel: before Create, and after it with the endpoint's
``CreatedAt``. The next try, the delete task, other Dags, other Airflows and people in the console all see that tag.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import ceil, inf
from typing import TYPE_CHECKING, Any, cast

from airflow_ml_provider import errors
from airflow_ml_provider.claim_tag import ClaimTag, State, in_utc, new_claim_tag, parse
from airflow_ml_provider.claims import Register
from airflow_ml_provider.clock import CLOCK

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import JSON, JSONObject, RealtimeEndpoint
    from airflow_ml_provider.waiting import Wait

__all__ = ["DELETE_SECONDS", "Claim", "ClaimTag", "Register", "parse", "reason_to_keep"]

log = logging.getLogger(__name__)

DELETE_SECONDS = 25.0  # below Airflow's [triggerer] on_kill_timeout of 30
CLAIMS_SECONDS = 10.0  # of DELETE_SECONDS, to find out whether others use the endpoint
TAKEN_OVER_AFTER = 10.0  # seconds; Airflow waits longer for a heartbeat, by default 300, before it starts another try


def reason_to_keep(register: Register, claims: Sequence[ClaimTag]) -> str:
    """Return why the holders of these claims must not delete the endpoint; empty if they must.

    The claims are marked as ``leaving`` before the claims of others are read. So of two tasks that leave at once, both
    may delete the endpoint, but it never happens that neither does.
    """
    register.write(*(replace(claim, leaving=True) for claim in claims))
    own = {claim.key for claim in claims}
    others = [other for other in register.read() if other.key not in own and not other.leaving]
    try:
        endpoint = register.endpoint()
    except Exception as error:
        if not errors.is_refusal(error):
            raise
        log.warning("%s: deleting it without knowing whether it was replaced by another: %s", register.wait, error)
        return ""
    if endpoint["EndpointStatus"] == "NONE":
        return "it has been deleted already"
    if not any(claim.covers(endpoint) for claim in claims):
        return f"it is another one, created at {endpoint.get('CreatedAt')}"
    return next((f"{other} uses it" for other in others if other.covers(endpoint)), "")


class Claim:
    """A task's claim on a model's endpoint, from before Create until the endpoint is deleted.

    ``held`` is whether this task may have created the endpoint or uses it. ``inherited`` is whether an earlier try or
    another task created it, and may still delete it. ``refused`` is whether no attempt at Create can have created it.
    ``is_last`` is whether nobody else would delete the endpoint, neither another try nor the delete task.
    """

    def __init__(self, register: Register, tag: ClaimTag, *, held: bool = False, inherited: bool = False) -> None:
        self.register, self.tag = register, tag
        self.held, self.inherited = held, inherited
        self.refused = self.is_last = False
        self._asked_at = ""  # the service's time before the first attempt at Create
        self._looked_at = 0.0  # the same moment by CLOCK.now
        self._earlier: ClaimTag | None = None  # the claim of an earlier try, as it was found
        self._found: list[ClaimTag] = []  # all claims on the model's endpoint before Create

    @classmethod
    def of(cls, hook: MachineLearningClientHook, wait: Wait, context: Context) -> Claim:
        """Return a claim of the running task, which is not held yet."""
        register = Register(hook, wait, context)
        ti = register.task_instance
        return cls(register, new_claim_tag(ti.dag_id, ti.task_id, ti.run_id, ti.map_index) if ti else ClaimTag())

    @classmethod
    def from_json(cls, register: Register, carried: Mapping[str, JSON]) -> Claim:
        """Return the claim that ``to_json`` returned before a deferral."""
        tag = ClaimTag(**cast("dict[str, Any]", carried["tag"]))
        return cls(register, tag, held=bool(carried["held"]), inherited=bool(carried["inherited"]))

    def to_json(self) -> JSONObject:
        """Return the claim in plain JSON types, for a trigger."""
        return {"tag": asdict(self.tag), "held": self.held, "inherited": self.inherited}

    def resume(self, before: RealtimeEndpoint | None = None) -> bool:
        """Go on with the stored claim of an earlier try of this task, and return whether there is one.

        :param before: the endpoint before Create; None if the caller did not get it.
        """
        self._found = self.register.read()
        own = (tag for tag in self._found if tag.key == self.tag.key)
        self._earlier = next((tag for tag in own if before is None or tag.covers(before)), None)
        if self._earlier:
            self.tag, self.held, self.inherited = self._earlier, True, True
        created_at = before.get("CreatedAt") if before else None
        # Later than the existing endpoint, so that the claim does not cover it. Texts in UTC sort by time.
        after_existing = in_utc(created_at, after=0.001) if created_at else ""
        self._asked_at, self._looked_at = max(self.register.service_time, after_existing), CLOCK.now()
        return self.held

    @property
    def is_late(self) -> bool:
        """Whether another try and the delete task may have run since this try first looked at the endpoint."""
        return self._earlier is not None or CLOCK.now() - self._looked_at > TAKEN_OVER_AFTER

    def announce(self) -> None:
        """Store that this task is about to create the endpoint, unless an earlier try has stored it.

        A claim on the endpoint of an earlier try then covers both: Create makes another one if that is FAILED or gone.
        """
        self.refused = not self.held  # until an attempt that was not refused
        if not self.held or self.tag.state != "creating":
            self._write(state="creating", at=self._asked_at, earlier=self.tag.at)
        elif self.tag.leaving:
            self._write()  # which takes ``leaving`` back

    def announce_again(self) -> None:
        """Announce Create again, as if there had been no endpoint: the task that created it has deleted it."""
        self.register.read()  # for the service's time
        self._asked_at, self._looked_at = self.register.service_time, CLOCK.now()
        self.held = self.inherited = False
        self._earlier = None
        self.announce()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Follow one attempt at Create, which the block makes: unless refused it may have created an endpoint.

        A later attempt may create an endpoint after the time that the claim covers, so ``again`` extends it first.
        """
        # Since the claim's ``at``: by the service's clock until this try's first look, and by our own from then on.
        seconds = self.tag.seconds_until(self._asked_at) + CLOCK.now() - self._looked_at
        if seconds >= 1:
            self._write(again=ceil(seconds) + 1)  # one more, since the service's times are whole seconds
        all_refused, self.refused = self.refused, False  # a kill in the block counts as an attempt that succeeded
        try:
            yield
        except Exception as error:
            self.refused = all_refused and errors.is_refusal(error)
            raise

    def record_creator(self, info: RealtimeEndpoint) -> None:
        """Store who created the endpoint in Create's answer.

        It is this task if ``CreatedAt`` is not before its first attempt, or if an earlier try's claim covers it.
        Otherwise another task may have a claim on it, which this one then shares; without any claim it belongs to
        somebody else, and this task gives its own up.
        """
        earlier = self._earlier
        if earlier and earlier.state != "creating" and earlier.covers(info):
            self._write_settled(earlier.state, info)
            return
        # The claim as this try announced it. It covers every endpoint since the first attempt, however late.
        announced = replace(self.tag, at=self._asked_at, earlier="")
        if announced.covers(info, within=inf) or self.tag.covers(info):
            if not announced.at:
                log.warning(
                    "%s: counts as created by this task, since the service did not send its time", self.register.wait
                )
            self._write_settled("created", info)
        elif "CreatedAt" in info:
            self._share_or_give_up(info)
        self._delete_outdated_claims(info)

    def _share_or_give_up(self, info: RealtimeEndpoint) -> None:
        """Share the claim of the task that created the endpoint; without one, give up the own claim."""
        others = [tag for tag in self.register.read() if tag.key != self.tag.key]
        if creator := next((tag for tag in others if tag.covers(info)), None):
            log.info("%s: created by %s", self.register.wait, creator)
            self.inherited = True
            self._write_settled("using", info)
        else:
            self.held = False
            self.register.delete(self.tag)

    def _delete_outdated_claims(self, info: RealtimeEndpoint) -> None:
        """Delete the claims of others on earlier endpoints of the model: the number of tags is limited."""
        others = (tag for tag in self._found if tag.key != self.tag.key)
        if outdated := [tag for tag in others if not tag.covers(info) and tag.is_create_over(self._asked_at)]:
            self.register.delete(*outdated)

    def _write_settled(self, state: State, info: RealtimeEndpoint) -> None:
        """Store what Create's answer has made of the claim."""
        self._write(state=state, at=in_utc(info["CreatedAt"]), again=0, earlier="")

    def _write(self, **changes: Any) -> None:
        """Store the claim with these changes, and hold it; it is no longer ``leaving``."""
        self.tag, self.held = replace(self.tag, leaving=False, **changes), True
        self.register.write(self.tag)

    def release(self) -> None:
        """Drop the claim on an endpoint that another task created, if another claim on it remains.

        The holder of the last claim may delete the endpoint, so there must be one.
        """
        if self.held and self.tag.state == "using":  # then ``at`` is the endpoint's CreatedAt
            others = [tag for tag in self.register.read() if tag.key != self.tag.key and not tag.leaving]
            if any(tag.at == self.tag.at for tag in others):
                self.held = False
                self.register.delete(self.tag)

    def delete_own_endpoint(self) -> None:
        """Delete the endpoint if this task created it and no other task uses it; log errors, but raise none.

        If the endpoint cannot be deleted its claim stays, so that the next try or the delete task can delete it.
        """
        wait, started = self.register.wait, CLOCK.now()
        if not self.held:
            return
        register = self.register.with_deadline(started + DELETE_SECONDS)
        try:
            if self.refused:
                register.delete(self.tag)
                return
            if reason := self._reason_to_keep(started + CLAIMS_SECONDS):
                log.info("%s: kept, since %s", wait, reason)
            else:
                register.delete_endpoint()
                log.info("%s: deleted, since the task that created it has failed", wait)
            register.delete(self.tag)
        except Exception:
            log.exception("%s: it could not be deleted, and costs money until somebody deletes it", wait)

    def _reason_to_keep(self, deadline: float) -> str:
        """Return why the endpoint must not be deleted; empty also if that cannot be found out until the deadline."""
        try:
            return reason_to_keep(self.register.with_deadline(deadline), [self.tag])
        except Exception as error:
            log.warning("%s: deleting it without knowing whether others use it: %s", self.register.wait, error)
            return ""
