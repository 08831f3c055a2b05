"""Delete an endpoint for the task that created it, unless another task uses it or another one is in its place."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_ml_provider import errors, retrying
from airflow_ml_provider.clock import CLOCK

if TYPE_CHECKING:
    from airflow_ml_provider.claim_tag import ClaimTag
    from airflow_ml_provider.claims import Register

log = logging.getLogger(__name__)

DELETE_SECONDS = 25.0  # below Airflow's [triggerer] on_kill_timeout of 30
CLAIMS_SECONDS = 10.0  # of DELETE_SECONDS, to find out whether others use the endpoint
CLAIMS_SECONDS_ON_KILL = 3.0  # the same after SIGTERM: Airflow 3 kills a task that was marked 5 s after it


def reason_to_keep(register: Register, claims: Sequence[ClaimTag]) -> str:
    """Return why the holders of these claims must not delete the endpoint; empty if they must.

    The claims are marked as ``leaving`` before the claims of others are read. So of two tasks that leave at once, both
    may delete the endpoint, but it never happens that neither does.
    """
    register.write(*(replace(claim, leaving=True) for claim in claims))
    others = [other for other in register.read() if not (other.leaving or any(map(other.belongs_to, claims)))]
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


def delete_unless_used(register: Register, claims: Sequence[ClaimTag], *, is_killed: bool) -> str:
    """Delete the endpoint unless the holders of these claims must not; return why it is kept, empty once it is deleted.

    Every attempt looks again: since the last one somebody may have used the endpoint, or created another.

    :param is_killed: whether Airflow may kill this process soon, so that there is less time to look.
    """
    claims_deadline = CLOCK.now() + (CLAIMS_SECONDS_ON_KILL if is_killed else CLAIMS_SECONDS)

    def attempt() -> str:
        reason = _reason_if_known(register.with_deadline(claims_deadline), claims)
        if not reason:
            wait = register.wait
            register.hook.call_once("DeleteRealtimeEndpoint", wait.deadline, MLModelId=wait.resource_id)
        return f"kept, since {reason}" if reason else ""

    return retrying.retry_until_deadline(register.wait, attempt)


def _reason_if_known(register: Register, claims: Sequence[ClaimTag]) -> str:
    """Return why the endpoint must not be deleted; empty also if that cannot be found out until the deadline."""
    try:
        return reason_to_keep(register, claims)
    except Exception as error:
        log.warning("%s: deleting it without knowing whether others use it: %s", register.wait, error)
        return ""
