"""Track which task created an endpoint, and delete it if that task fails.

A task that creates an endpoint claims it by a tag of the MLModel: before Create, and after it with the endpoint's
``CreatedAt``. The next try, the delete task, other Dags, other Airflows and people in the console all see that tag.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import ceil, inf
from typing import TYPE_CHECKING, Any, cast

from airflow_ml_provider import errors
from airflow_ml_provider.claim_tag import ClaimTag, State, in_utc, parse
from airflow_ml_provider.claims import Register
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.deleting import CLAIMS_SECONDS, DELETE_SECONDS, delete_unless_used

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import JSON, JSONObject, RealtimeEndpoint
    from airflow_ml_provider.waiting import Wait

__all__ = ["Claim", "ClaimTag", "Register", "parse"]

log = logging.getLogger(__name__)

TAKEN_OVER_AFTER = 10.0  # seconds; Airflow waits longer for a heartbeat, by default 300, before it starts another try


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
        self.checked_at = CLOCK.now()  # when it was last known that the delete task had not begun
        self._earlier: ClaimTag | None = None  # the claim of an earlier try, as it was found
        self._found: list[ClaimTag] = []  # all claims on the model's endpoint before Create

    @classmethod
    def of(cls, hook: MachineLearningClientHook, wait: Wait, context: Context) -> Claim:
        """Return a claim of the running task, which is not held yet."""
        register = Register(hook, wait, context)
        return cls(register, register.new_claim_tag())

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
        self._earlier = self._stored_claim(before)
        if self._earlier:
            self.tag = self.tag.with_state_of(self._earlier)
            self.held = self.inherited = True
        created_at = before.get("CreatedAt") if before else None
        # Later than the existing endpoint, so that the claim does not cover it. Texts in UTC sort by time.
        after_existing = in_utc(created_at, after=0.001) if created_at else ""
        self._asked_at, self._looked_at = max(self.register.service_time, after_existing), CLOCK.now()
        return self.held

    def _stored_claim(self, endpoint: RealtimeEndpoint | None) -> ClaimTag | None:
        """Return this task's latest claim that was found stored, on this endpoint; on any if that is None."""
        own = [tag for tag in self._found if tag.belongs_to(self.tag) and (endpoint is None or tag.covers(endpoint))]
        return max(own, key=lambda tag: tag.try_number, default=None)

    @property
    def is_late(self) -> bool:
        """Whether another try and the delete task may have run since this try looked at the delete task."""
        return self._earlier is not None or CLOCK.now() - self.checked_at > TAKEN_OVER_AFTER

    def announce(self) -> None:
        """Store that this try is about to create the endpoint.

        A claim on the endpoint of an earlier try then covers both: Create makes another one if that is FAILED or gone.
        """
        self.refused = not self.held  # until an attempt that was not refused
        if not self.held or self.tag.state != "creating":
            self._write(state="creating", at=self._asked_at, earlier=self.tag.at)
        else:
            self._write()

    def announce_again(self) -> None:
        """Announce Create again, as if there had been no endpoint: the task that created it has deleted it."""
        self._found = self.register.read()
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
        self._settle(info)
        self._delete_outdated_claims(info)

    def _settle(self, info: RealtimeEndpoint) -> None:
        earlier = self._stored_claim(info)
        # The claim as this try announced it. It covers every endpoint since the first attempt, however late.
        announced = replace(self.tag, at=self._asked_at, earlier="")
        if earlier and earlier.state != "creating":
            self._write_settled(earlier.state, info)
        elif earlier or announced.covers(info, within=inf) or self.tag.covers(info):
            if not announced.at:
                log.warning(
                    "%s: counts as created by this task, since the service did not send its time", self.register.wait
                )
            self._write_settled("created", info)
        elif "CreatedAt" in info:
            self._share_or_give_up(info)

    def _share_or_give_up(self, info: RealtimeEndpoint) -> None:
        """Share the claim of the task that created the endpoint; without one, give up the own claim."""
        others = [tag for tag in self.register.read() if not tag.belongs_to(self.tag)]
        if creator := next((tag for tag in others if tag.covers(info)), None):
            log.info("%s: created by %s", self.register.wait, creator)
            self.inherited = True
            self._write_settled("using", info)
        else:
            self.held = False
            self.register.delete(self.tag)

    def _delete_outdated_claims(self, info: RealtimeEndpoint) -> None:
        """Delete the claims of earlier tries, and of others on earlier endpoints: the number of tags is limited."""

        def is_outdated(tag: ClaimTag) -> bool:
            is_over = not tag.covers(info) and tag.is_create_over(self._asked_at)
            return tag.key != self.tag.key and (is_over or tag.belongs_to(self.tag))

        try:
            self.register.with_deadline(CLOCK.now() + CLAIMS_SECONDS).delete(*filter(is_outdated, self._found))
        except Exception as error:
            log.warning("%s: outdated tags stay on the model: %s", self.register.wait, error)

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
            wait = self.register.wait
            endpoint: RealtimeEndpoint = {
                "MLModelId": wait.resource_id,
                "EndpointStatus": wait.status,
                "CreatedAt": self.tag.at,
            }
            found = self.register.read()
            own = [tag for tag in found if tag.belongs_to(self.tag)]
            if any(tag.covers(endpoint) for tag in found if not (tag.leaving or tag in own)):
                self.held = False
                self.register.delete(self.tag, *own)

    def delete_own_endpoint(self, *, is_killed: bool = False) -> None:
        """Delete the endpoint if this task created it and no other task uses it; log errors, but raise none.

        If the endpoint cannot be deleted its claim stays, so that the next try or the delete task can delete it.

        :param is_killed: whether Airflow may kill this process soon.
        """
        wait = self.register.wait
        if not self.held:
            return
        register = self.register.with_deadline(CLOCK.now() + DELETE_SECONDS)
        claims = [self.tag, *(tag for tag in self._found if tag.belongs_to(self.tag) and tag.key != self.tag.key)]
        try:
            if not self.refused:
                reason = delete_unless_used(register, claims, is_killed=is_killed)
                log.info("%s: %s", wait, reason or "deleted, since the task that created it has failed")
            register.delete(*claims)
        except Exception:
            log.exception("%s: it could not be deleted, and costs money until somebody deletes it", wait)
