"""Create and delete the realtime endpoint of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from airflow_ml_provider import errors
from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.operators.base import AWS_FIELDS
from airflow_ml_provider.operators.claiming import MachineLearningClaimingOperator
from airflow_ml_provider.operators.operation import MachineLearningWaitingOperator, translate_errors
from airflow_ml_provider.resources import endpoint_info

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.ownership import Claim, Register
    from airflow_ml_provider.payloads import JSON, Description, Event, Outcome, RealtimeEndpoint
    from airflow_ml_provider.waiting import Wait


class MachineLearningCreateRealtimeEndpointOperator(MachineLearningClaimingOperator):
    """Create the realtime endpoint of a model, and wait until it is READY.

    Safe to retry: the task goes on with an endpoint that exists and waits for it. If the wait fails, the task deletes
    the endpoint that it created itself, and never one that existed before.

    Returns the endpoint's info: ``MLModelId``, ``EndpointUrl``, ``EndpointStatus``, ``PeakRequestsPerSecond``,
    ``CreatedAt`` (ISO 8601); each member is an XCom of its own too.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param wait_for_model: whether to wait first for a model that is still training, under the same deadline.
    :param if_exists: what to do when the model has an endpoint: ``skip`` goes on with it, ``fail`` fails.
    :param delete_on_failure: whether to delete an endpoint that this task created and that did not become READY.
    """

    operation = "CreateRealtimeEndpoint"
    waiter = "realtime_endpoint_ready"
    returns_members = True
    template_fields: Sequence[str] = ("ml_model_id", *AWS_FIELDS)

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
            raise errors.InvalidArgument(f"if_exists: {if_exists!r}; it must be 'skip' or 'fail'")
        self.ml_model_id = ml_model_id
        self.wait_for_model = wait_for_model
        self.if_exists = if_exists

    def execute(self, context: Context) -> Description:
        wait = self.start_wait(self.check_id("ml_model_id"))
        claim = self.new_claim(context, wait)
        with self.delete_endpoint_on_failure(claim):
            if not self.wait_for_model:
                return self.create(context, claim)
            wait.waiter = "ml_model_completed"
            return self.create_for_model(context, claim, self.wait_or_defer(wait, "resume_with_model"))

    def resume_with_model(self, context: Context, event: Event) -> Description:
        """Go on after the deferred wait for the model."""
        from airflow_ml_provider.waiting import Wait

        claim = self.new_claim(context, Wait.from_json(event["wait"]))
        with self.delete_endpoint_on_failure(claim):
            return self.create_for_model(context, claim, event["outcome"])

    def create_for_model(self, context: Context, claim: Claim, outcome: Outcome) -> Description:
        """Create the endpoint if the wait for the model succeeded; the deadline stays the same."""
        self.raise_unless_success(outcome)
        claim.register.wait.waiter = self.waiter
        return self.create(context, claim)

    def create(self, context: Context, claim: Claim) -> Description:
        """Claim the endpoint, create it, and wait until it is READY."""
        wait = claim.register.wait
        self.check_before_create(context, claim)
        with translate_errors(f"{self.operation} of {wait}"):
            existing = self.existing_endpoint(claim)
            is_ours = claim.resume(existing)
            if existing and existing["EndpointStatus"] != "NONE" and not is_ours and self.if_exists == "fail":
                raise AirflowException(
                    f"{wait}: it exists already, with status {existing['EndpointStatus']}; if_exists='skip' uses it"
                )
            claim.announce()
        return self.create_and_wait(context, claim)

    def existing_endpoint(self, claim: Claim) -> RealtimeEndpoint | None:
        """Return the endpoint before Create; None when neither the wait nor ``if_exists`` needs it."""
        return claim.register.endpoint() if self.wait_for_completion or self.if_exists == "fail" else None

    def create_and_wait(self, context: Context, claim: Claim) -> Description:
        """Call Create, which changes nothing if the endpoint exists, and wait until it is READY."""
        wait = claim.register.wait
        with translate_errors(f"{self.operation} of {wait}"):
            info = endpoint_info(self.create_with_retries(claim))
            claim.record_creator(info)
        if claim.is_late:
            self.check_not_taken_over(context, claim)
        wait.created_at = info.get("CreatedAt", "")
        wait.status = info["EndpointStatus"]
        self.log_status(wait)
        if not self.wait_for_completion:
            return self.succeed(claim, cast("Description", info))
        carried: dict[str, JSON] = {"claim": claim.to_json(), "delete_on_failure": self.delete_on_failure}
        return self.finish_wait(context, claim, self.wait_or_defer(wait, "execute_complete", **carried))

    def create_with_retries(self, claim: Claim) -> dict[str, object]:
        """Call Create, and retry transient errors; the claim follows each attempt."""
        wait = claim.register.wait

        def attempt() -> dict[str, object]:
            with claim.attempt():
                return self.hook.call_once(self.operation, wait.deadline, MLModelId=wait.resource_id)

        return self.repeat(wait, self.operation, attempt)

    def execute_complete(self, context: Context, event: Event) -> Description:
        """Go on after the deferred wait for the endpoint."""
        from airflow_ml_provider.ownership import Claim, Register
        from airflow_ml_provider.waiting import Wait

        register = Register(self.hook, Wait.from_json(event["wait"]), context)
        claim = Claim.from_json(register, cast("dict[str, JSON]", event["carried"]["claim"]))
        with self.delete_endpoint_on_failure(claim):
            return self.finish_wait(context, claim, event["outcome"])

    def finish_wait(self, context: Context, claim: Claim, outcome: Outcome) -> Description:
        """Return the endpoint's info if the wait succeeded.

        An endpoint that an earlier try or another task created, and that it deleted during the wait, is created again.
        """
        wait = claim.register.wait
        if claim.inherited and outcome["kind"] == "failure" and wait.status == "NONE":
            self.check_before_create(context, claim)
            self.log.info("%s: deleted by the task that created it; creating it again", wait)
            wait.created_at = ""
            claim.announce_again()
            return self.create_and_wait(context, claim)
        return self.succeed(claim, self.raise_unless_success(outcome))

    def succeed(self, claim: Claim, info: Description) -> Description:
        """Return the endpoint's info, and keep the claim only if a delete task of the Dag will need it."""
        if not self.delete_tasks:
            claim.release()
        return self.remember(info)


class MachineLearningDeleteRealtimeEndpointOperator(MachineLearningWaitingOperator):
    """Delete the realtime endpoint of a model; a model without one is a success.

    A teardown with setups runs only when one of them has succeeded. With ``created_by`` this one also runs when they
    have failed.

    Returns the endpoint's info, with ``EndpointStatus`` NONE unless it is kept; each member is an XCom of its own too.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param created_by: the ``task_id`` of the task that creates the endpoint, in a group with the group's prefix. Only
        an endpoint that this task created in this run is deleted, unless another task uses it. None deletes the
        endpoint whoever created it.
    :param wait_for_completion: whether to wait until ``EndpointStatus`` is NONE.
    """

    operation = "DeleteRealtimeEndpoint"
    waiter = "realtime_endpoint_deleted"
    returns_members = True
    template_fields: Sequence[str] = ("ml_model_id", *AWS_FIELDS)

    def __init__(
        self, *, ml_model_id: str, created_by: str | None = None, wait_for_completion: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(wait_for_completion=wait_for_completion, **kwargs)
        self.ml_model_id = ml_model_id
        self.created_by = created_by

    def as_teardown(self, **kwargs: Any) -> Self:
        """Make this task a teardown; with ``created_by`` it runs even if its setups have failed.

        In all else it is a teardown as any other: it is cleared with its setups, and does not decide how the run ends.
        """
        super().as_teardown(**kwargs)
        if self.created_by:
            self.trigger_rule = type(self.trigger_rule).ALL_DONE  # TriggerRule's module depends on Airflow's version
        return self

    def execute(self, context: Context) -> Description:
        wait = self.start_wait(self.check_id("ml_model_id"))
        if self.created_by is None:
            info, reason = self.delete(wait)
        else:
            info, reason = self.delete_if_created_by(self.created_by, context, wait)
        if reason or not self.wait_for_completion:
            return self.remember(info)
        return self.raise_unless_success(self.wait_or_defer(wait, "execute_complete"))

    def execute_complete(self, context: Context, event: Event) -> Description:
        """Go on after the deferred wait."""
        return self.raise_unless_success(event["outcome"])

    def delete_if_created_by(self, task_id: str, context: Context, wait: Wait) -> tuple[Description, str]:
        """Delete the endpoint if that task created it in this run; return its info, and why it is kept or nothing."""
        from airflow_ml_provider.claims import Register
        from airflow_ml_provider.deleting import reason_to_keep

        register = Register(self.hook, wait, context)
        with translate_errors(f"{self.operation} of {wait}"):
            claims = register.of_task(task_id)
            if not claims:
                reason = f"task {task_id} has created none in this run"
                return self.keep(register, reason), reason
            info, reason = self.delete(wait, partial(reason_to_keep, register, claims))
            if reason:
                info = self.keep(register, reason)
            register.delete(*claims)  # last, so that a retry after an error finds them
        return info, reason

    def keep(self, register: Register, reason: str) -> Description:
        """Log why the endpoint is kept, and return its info, or the model's id alone where GetMLModel is denied."""
        self.log.info("%s: not deleted, since %s", register.wait, reason)
        try:
            return cast("Description", register.endpoint())
        except Exception as error:
            if not errors.is_refusal(error):
                raise
            return {"MLModelId": register.wait.resource_id}

    def delete(self, wait: Wait, reason_to_keep: Callable[[], str] = str) -> tuple[Description, str]:
        """Delete the endpoint unless there is a reason to keep it; return its info, and the reason or nothing.

        A missing endpoint or model counts as deleted. AWS does not document the answer for a DELETED model, so after a
        refusal one Get shows whether there is one.

        :param reason_to_keep: called before each attempt, since others may have used or replaced the endpoint.
        """

        def attempt() -> tuple[Description, str]:
            if reason := reason_to_keep():
                return {"MLModelId": wait.resource_id}, reason
            info = endpoint_info(self.hook.call_once(self.operation, wait.deadline, MLModelId=wait.resource_id))
            self.log.info("%s: status %s after %s", wait, info["EndpointStatus"], self.operation)
            return cast("Description", info), ""

        try:
            return self.repeat(wait, self.operation, attempt)
        except AirflowException:
            gone = self.poll(wait)
            if gone is None or gone["kind"] != "success":
                raise
            self.log.info("%s: there was nothing to delete", wait)
            return gone["description"], ""
