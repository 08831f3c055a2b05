"""Create and delete the realtime endpoint of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.claiming import MachineLearningClaimingOperator
from airflow_ml_provider.operators.operation import MachineLearningWaitingOperator, failures
from airflow_ml_provider.resources import endpoint_info

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.ownership import Claim, Register
    from airflow_ml_provider.payloads import JSON, Description, Event, Outcome, RealtimeEndpoint
    from airflow_ml_provider.waiting import Wait


class MachineLearningCreateRealtimeEndpointOperator(MachineLearningClaimingOperator):
    """Create the realtime endpoint of a model, and wait until it is READY.

    Safe to retry: an endpoint that exists is taken over and waited for. An endpoint that this task made is deleted
    when it does not become READY; one that was there before is never touched.

    Returns the endpoint's info: ``MLModelId``, ``EndpointUrl``, ``EndpointStatus``, ``PeakRequestsPerSecond``,
    ``CreatedAt`` (ISO 8601); each member is an XCom of its own too.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param wait_for_model: whether to wait first for a model that is still training, under the same deadline.
    :param if_exists: ``skip`` goes on with an endpoint that exists, ``fail`` fails.
    :param delete_on_failure: whether to delete an endpoint that this task made and that did not become READY.
    """

    operation = "CreateRealtimeEndpoint"
    waiter = "realtime_endpoint_ready"
    returns_members = True
    template_fields: Sequence[str] = ("ml_model_id", "aws_conn_id", "region_name", "verify")

    def __init__(
        self,
        *,
        ml_model_id: str,
        wait_for_model: bool = False,
        if_exists: Literal["skip", "fail"] = "skip",
        delete_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(delete_on_failure=delete_on_failure, **kwargs)
        if if_exists not in ("skip", "fail"):
            raise InvalidArgument(f"if_exists: {if_exists!r}; it must be 'skip' or 'fail'")
        self.ml_model_id = ml_model_id
        self.wait_for_model = wait_for_model
        self.if_exists = if_exists

    def execute(self, context: Context) -> Description:
        wait = self.start_wait(self.check_id("ml_model_id"))
        if not self.wait_for_model:
            return self.create(context, wait)
        wait.waiter = "ml_model_completed"
        return self.model_completed(context, wait, self.wait_or_defer(wait, "resume_with_model"))

    def resume_with_model(self, context: Context, event: Event) -> Description:
        """Go on after a deferred wait for the model."""
        from airflow_ml_provider.waiting import Wait

        return self.model_completed(context, Wait.from_json(event["wait"]), event["outcome"])

    def model_completed(self, context: Context, wait: Wait, outcome: Outcome) -> Description:
        """Create the endpoint of the model that was waited for, under the same deadline."""
        self.raise_unless_success(outcome)
        wait.waiter = self.waiter
        return self.create(context, wait)

    def create(self, context: Context, wait: Wait) -> Description:
        """Claim the endpoint, create it, and wait until it is READY."""
        from airflow_ml_provider.ownership import Claim

        claim = Claim.of(self.hook, wait, context)
        with failures(f"{self.operation} of {wait}"):
            before = self.endpoint_before(claim)
            found = claim.find(before)
            if before and before["EndpointStatus"] != "NONE" and not found and self.if_exists == "fail":
                raise AirflowException(
                    f"{wait}: it exists already, with status {before['EndpointStatus']}; if_exists='skip' would use it"
                )
            claim.begin()
        with self.taken_down_on_failure(claim):
            return self.make(claim)

    def endpoint_before(self, claim: Claim) -> RealtimeEndpoint | None:
        """Return the endpoint that there is, unless neither the wait nor ``if_exists`` needs to know."""
        return claim.register.endpoint() if self.wait_for_completion or self.if_exists == "fail" else None

    def make(self, claim: Claim) -> Description:
        """Create the endpoint, which changes nothing where it exists, and wait until it is READY."""
        wait = claim.register.wait
        with failures(f"{self.operation} of {wait}"):
            info = endpoint_info(self.request_endpoint(claim))
            claim.settle(info)
        wait.created_at = info.get("CreatedAt", "")
        wait.status = info["EndpointStatus"]
        self.log_status(wait)
        if not self.wait_for_completion:
            return self.made(claim, cast("Description", info))
        carried: dict[str, JSON] = {"claim": claim.to_json(), "delete_on_failure": self.delete_on_failure}
        return self.awaited(claim, self.wait_or_defer(wait, "execute_complete", **carried))

    def request_endpoint(self, claim: Claim) -> dict[str, object]:
        """Ask for the endpoint, again through errors that pass."""
        from airflow_ml_provider import retrying

        wait = claim.register.wait

        def attempt() -> dict[str, object]:
            with claim.attempt():
                return self.hook.call_once(self.operation, wait.deadline, MLModelId=wait.resource_id)

        return retrying.retry_until_deadline(wait, attempt)

    def execute_complete(self, context: Context, event: Event) -> Description:
        """Go on after the deferred wait for the endpoint."""
        from airflow_ml_provider.ownership import Claim, Register
        from airflow_ml_provider.waiting import Wait

        register = Register(self.hook, Wait.from_json(event["wait"]), context)
        claim = Claim.from_json(register, cast("dict[str, JSON]", event["carried"]["claim"]))
        with self.taken_down_on_failure(claim):
            return self.awaited(claim, event["outcome"])

    def awaited(self, claim: Claim, outcome: Outcome) -> Description:
        """Return the endpoint; create it once more when those who made it have deleted it meanwhile."""
        wait = claim.register.wait
        if claim.inherited and outcome["kind"] == "failure" and wait.status == "NONE":
            self.log.info("%s: gone with the task that made it; creating it once more", wait)
            wait.created_at = ""
            claim.begin_anew()
            return self.make(claim)
        return self.made(claim, self.raise_unless_success(outcome))

    def made(self, claim: Claim, info: Description) -> Description:
        """Return the endpoint's info; from here on the Dag's delete task is to delete what this task made."""
        if not self.has_delete_task:
            claim.release()
        return self.saw(info)


class MachineLearningDeleteRealtimeEndpointOperator(MachineLearningWaitingOperator):
    """Delete the realtime endpoint of a model; nothing to delete is success.

    As a teardown, with ``created_by`` it runs whatever became of that task; without, as every teardown with setups,
    only when one of them has succeeded.

    Returns the endpoint's info, with ``EndpointStatus`` NONE unless it is kept; each member is an XCom of its own too.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param created_by: the ``task_id`` of the task that creates the endpoint, in a group with the group's prefix: delete
        only what that task made in this run, and nothing that another Dag or person made, or still uses. None deletes
        whatever endpoint there is.
    :param wait_for_completion: whether to wait until ``EndpointStatus`` is NONE.
    """

    operation = "DeleteRealtimeEndpoint"
    waiter = "realtime_endpoint_deleted"
    returns_members = True
    template_fields: Sequence[str] = ("ml_model_id", "aws_conn_id", "region_name", "verify")

    def __init__(
        self, *, ml_model_id: str, created_by: str | None = None, wait_for_completion: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(wait_for_completion=wait_for_completion, **kwargs)
        self.ml_model_id = ml_model_id
        self.created_by = created_by

    def as_teardown(self, **kwargs: Any) -> Self:
        """Make this a teardown that also runs where its setup has failed: ``created_by`` says what it may delete.

        Clearing the setup still clears it, and a run does not end as it ends, as with every teardown.
        """
        super().as_teardown(**kwargs)
        if self.created_by:
            self.trigger_rule = type(self.trigger_rule).ALL_DONE
        return self

    def execute(self, context: Context) -> Description:
        wait = self.start_wait(self.check_id("ml_model_id"))
        if self.created_by is None:
            info = self.delete(wait)
        else:
            info, kept = self.delete_created(context, wait, self.created_by)
            if kept:
                return self.saw(info)
        return (
            self.raise_unless_success(self.wait_or_defer(wait, "execute_complete"))
            if self.wait_for_completion
            else self.saw(info)
        )

    def execute_complete(self, context: Context, event: Event) -> Description:
        """Go on after the deferred wait."""
        return self.raise_unless_success(event["outcome"])

    def delete_created(self, context: Context, wait: Wait, task_id: str) -> tuple[Description, bool]:
        """Delete the endpoint if that task made it in this run; return its info, and whether it is kept."""
        from airflow_ml_provider import ownership

        register = ownership.Register(self.hook, wait, context)
        with failures(f"{self.operation} of {wait}"):
            owners = register.of_task(task_id)
            none = f"task {task_id} has made none in this run"
            reason = ownership.reason_to_keep(register, owners) if owners else none
            info = self.kept(register, reason) if reason else self.delete(wait)
            if owners:
                register.erase(*owners)
        return info, bool(reason)

    def kept(self, register: Register, reason: str) -> Description:
        """Log why the endpoint is kept, and return its info as far as this task may read it."""
        from airflow_ml_provider import errors

        self.log.info("%s: not deleted, since %s", register.wait, reason)
        try:
            return cast("Description", register.endpoint())
        except Exception as error:
            if not errors.is_refusal(error):
                raise
            return {"MLModelId": register.wait.resource_id}

    def delete(self, wait: Wait) -> Description:
        """Delete the endpoint; one that is not there, or whose model is not, counts as deleted.

        What AWS answers for a DELETED model is not documented, so after a refusal the model itself is looked at.
        """
        try:
            answer = self.request_with_retries(wait, self.operation, {"MLModelId": wait.resource_id})
        except AirflowException:
            gone = self.look(wait)
            if gone is None or gone["kind"] != "success":
                raise
            self.log.info("%s: there was nothing to delete", wait)
            return gone["description"]
        info = endpoint_info(answer)
        self.log.info("%s: status %s after %s", wait, info["EndpointStatus"], self.operation)
        return cast("Description", info)
