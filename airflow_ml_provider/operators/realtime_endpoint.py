"""Create and delete the realtime endpoint of a model."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from airflow_ml_provider import errors, ownership
from airflow_ml_provider.compat import AirflowException, TaskDeferred
from airflow_ml_provider.operators.operation import MachineLearningWaitingOperator, failures
from airflow_ml_provider.payloads import Description, Event
from airflow_ml_provider.resources import endpoint_info

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import Outcome, RealtimeEndpoint
    from airflow_ml_provider.waiting import Wait


class MachineLearningCreateRealtimeEndpointOperator(MachineLearningWaitingOperator):
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
        super().__init__(**kwargs)
        if if_exists not in ("skip", "fail"):
            raise ValueError(f"if_exists: {if_exists!r}; it must be 'skip' or 'fail'")
        self.ml_model_id = ml_model_id
        self.wait_for_model = wait_for_model
        self.if_exists = if_exists
        self.delete_on_failure = delete_on_failure

    def execute(self, context: Context) -> Description:
        wait = self.begin(self.check_id("ml_model_id"))
        if not self.wait_for_model:
            return self.create(context, wait)
        wait.waiter = "ml_model_completed"
        return self.model_completed(context, wait, self.finish(wait, "resume_with_model"))

    def resume_with_model(self, context: Context, event: Event) -> Description:
        """Go on after a deferred wait for the model."""
        from airflow_ml_provider.waiting import Wait

        return self.model_completed(context, Wait.from_json(event["wait"]), event["outcome"])

    def model_completed(self, context: Context, wait: Wait, outcome: Outcome) -> Description:
        """Create the endpoint of the model that was waited for, under the same deadline."""
        self.concluded(outcome)
        wait.waiter = self.waiter
        return self.create(context, wait)

    def create(self, context: Context, wait: Wait) -> Description:
        """Create the endpoint, write down before whether it will be ours, and wait until it is READY."""
        if not self.wait_for_completion and self.if_exists == "skip":
            return self.make(context, wait, ours=False, taken_over=False)
        before = endpoint_info(self.ask(wait, "GetMLModel", {"MLModelId": wait.resource_id}))
        exists = before["EndpointStatus"] != "NONE"
        taken_over = exists and ownership.is_remembered(context, before)
        if exists and not taken_over:
            return self.use(context, wait, before)
        if taken_over:
            wait.created_at = before.get("CreatedAt", "")
        else:
            ownership.remember(context, wait.resource_id)
        return self.make(context, wait, ours=self.delete_on_failure, taken_over=taken_over)

    def use(self, context: Context, wait: Wait, before: RealtimeEndpoint) -> Description:
        """Go on with an endpoint that somebody else made, and never touch it.

        :raises AirflowException: when ``if_exists`` is ``fail``.
        """
        if self.if_exists == "fail":
            raise AirflowException(
                f"{wait}: it exists already, with status {before['EndpointStatus']}; if_exists='skip' would use it"
            )
        return self.make(context, wait, ours=False, taken_over=False)

    def make(self, context: Context, wait: Wait, *, ours: bool, taken_over: bool) -> Description:
        """Ask for the endpoint, which changes nothing where it exists, and wait until it is READY."""
        with self.taken_down_on_failure(context, wait, ours):
            info = endpoint_info(self.ask_to_create(wait))
            self.log.info("%s: %s", wait, info["EndpointStatus"])
            if not self.wait_for_completion:
                return self.deliver(context, cast("Description", info))
            if ours:
                ownership.remember(context, wait.resource_id, info.get("CreatedAt"))
            wait.created_at = info.get("CreatedAt", "")
            outcome = self.finish(wait, "execute_complete", ours=ours, taken_over=taken_over)
            return self.made(context, wait, outcome, ours=ours, taken_over=taken_over)

    def ask_to_create(self, wait: Wait) -> dict[str, object]:
        """Ask for the endpoint; ``refused`` says afterwards that every attempt was, and so none is ours."""
        from airflow_ml_provider import waiting

        self.refused = not wait.created_at

        def attempt() -> dict[str, object]:
            so_far, self.refused = self.refused, False  # unless an answer says so, nobody knows what came of it
            try:
                return self.hook.call_once(self.operation, wait.deadline, MLModelId=wait.resource_id)
            except Exception as error:
                self.refused = so_far and errors.is_refusal(error)
                raise

        with failures(f"{self.operation} of {wait}"):
            return waiting.persist(wait, attempt)

    def execute_complete(self, context: Context, event: Event) -> Description:
        """Go on after the deferred wait for the endpoint."""
        from airflow_ml_provider.waiting import Wait

        wait, carried = Wait.from_json(event["wait"]), event["carried"]
        ours, taken_over = bool(carried["ours"]), bool(carried["taken_over"])
        with self.taken_down_on_failure(context, wait, ours):
            return self.made(context, wait, event["outcome"], ours=ours, taken_over=taken_over)

    def made(self, context: Context, wait: Wait, outcome: Outcome, *, ours: bool, taken_over: bool) -> Description:
        """Deliver the endpoint; create it once more when the clean-up of an earlier try deleted what this one used."""
        if taken_over and outcome["kind"] == "failure" and wait.status == "NONE":
            self.log.info("%s: gone with the earlier try that made it; creating it once more", wait)
            wait.created_at = ""
            ownership.remember(context, wait.resource_id)
            return self.make(context, wait, ours=ours, taken_over=False)
        return self.deliver(context, self.concluded(outcome))

    def deliver(self, context: Context, info: Description) -> Description:
        """Give the endpoint's info to XCom; from here on the endpoint belongs to the pipeline."""
        ownership.forget(context)
        self.push(context, info)
        return info

    @contextmanager
    def taken_down_on_failure(self, context: Context, wait: Wait, ours: bool) -> Iterator[None]:
        """Delete the endpoint if it is ours and what happens inside fails, is timed out or killed."""
        self.making = wait if ours else None
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException:
            if self.making:
                self.making = None
                if self.refused or ownership.take_down(self.hook, wait):
                    ownership.forget(context)  # else the next try takes it over
            raise
        finally:
            self.making = None

    making: Wait | None = None
    refused = False

    def on_kill(self) -> None:
        """End a wait whose endpoint is ours, so that it is deleted on the way out.

        Airflow 3 calls this from its handler of SIGTERM and then lets the task go on. Airflow counts SystemExit as a
        failure that may be retried.
        """
        if self.making:
            raise SystemExit(128 + signal.SIGTERM)

    def not_resumed(self, context: Context, reason: str) -> NoReturn:
        """Delete the endpoint, if it is known to be ours, after a deferral that Airflow itself ended."""
        wait = self.wait(self.waiter, self.check_id("ml_model_id"), 1, ownership.TAKE_DOWN_SECONDS)
        with self.taken_down_on_failure(context, wait, self.delete_on_failure and self.is_ours(context, wait)):
            super().not_resumed(context, reason)

    def is_ours(self, context: Context, wait: Wait) -> bool:
        """Tell whether the endpoint that exists now was made by this task; where AWS does not say, it is kept."""
        try:
            now = endpoint_info(self.ask(wait, "GetMLModel", {"MLModelId": wait.resource_id}))
        except AirflowException:
            self.log.exception("%s is kept, and costs money until somebody deletes it", wait)
            return False
        return now["EndpointStatus"] != "NONE" and ownership.is_remembered(context, now)


class MachineLearningDeleteRealtimeEndpointOperator(MachineLearningWaitingOperator):
    """Delete the realtime endpoint of a model; nothing to delete is success, made for ``.as_teardown()``.

    Returns the endpoint's info, with ``EndpointStatus`` NONE; each member is an XCom of its own too.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param wait_for_completion: whether to wait until ``EndpointStatus`` is NONE.
    """

    operation = "DeleteRealtimeEndpoint"
    waiter = "realtime_endpoint_deleted"
    template_fields: Sequence[str] = ("ml_model_id", "aws_conn_id", "region_name", "verify")

    def __init__(self, *, ml_model_id: str, wait_for_completion: bool = False, **kwargs: Any) -> None:
        super().__init__(wait_for_completion=wait_for_completion, **kwargs)
        self.ml_model_id = ml_model_id

    def execute(self, context: Context) -> Description:
        wait = self.begin(self.check_id("ml_model_id"))
        info = self.delete(wait)
        if self.wait_for_completion:
            info = self.concluded(self.finish(wait, "execute_complete"))
        self.push(context, info)
        return info

    def execute_complete(self, context: Context, event: Event) -> Description:
        """Go on after the deferred wait."""
        info = self.concluded(event["outcome"])
        self.push(context, info)
        return info

    def delete(self, wait: Wait) -> Description:
        """Delete the endpoint; one that is not there, or whose model is not, counts as deleted.

        What AWS answers for a DELETED model is not documented, so after a refusal the model itself is looked at.
        """
        try:
            answer = self.ask(wait, self.operation, {"MLModelId": wait.resource_id})
        except AirflowException:
            gone = self.look(wait)
            if gone is None or gone["kind"] != "success":
                raise
            self.log.info("%s: there was nothing to delete", wait)
            return gone["description"]
        self.log.info("%s: deleted", wait)
        return cast("Description", endpoint_info(answer))
