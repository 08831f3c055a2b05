"""Create and delete the realtime endpoint of a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, cast

from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred

from airflow_ml_provider import waiting
from airflow_ml_provider.operators.base import Event, MachineLearningWaitingOperator
from airflow_ml_provider.resources import Description, endpoint_info

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_ml_provider.waiting import Outcome, Wait

OURS = "machine_learning_realtime_endpoint_ours"
TAKE_DOWN_SECONDS = 60.0


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
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
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
        return self.model_completed(context, waiting.Wait.from_json(event["wait"]), event["outcome"])

    def model_completed(self, context: Context, wait: Wait, outcome: Outcome) -> Description:
        """Create the endpoint of the model that was waited for, under the same deadline."""
        self.concluded(outcome)
        wait.waiter = self.waiter
        return self.create(context, wait)

    def create(self, context: Context, wait: Wait) -> Description:
        """Create the endpoint, write down before whether it will be ours, and wait until it is READY."""
        asks_nothing = not self.wait_for_completion and self.if_exists == "skip"
        ours = False if asks_nothing else self.claim(context, wait)
        with self.taken_down_on_failure(wait, ours):
            info = endpoint_info(self.ask(wait, self.operation, {"MLModelId": wait.resource_id}))
            self.log.info("%s: %s", wait, info["EndpointStatus"])
            if not self.wait_for_completion:
                return self.deliver(context, cast("Description", info))
            wait.made = info["EndpointStatus"] in ("UPDATING", "READY")
            return self.deliver(context, self.concluded(self.finish(wait, "execute_complete", ours=ours)))

    def execute_complete(self, context: Context, event: Event) -> Description:
        """Go on after the deferred wait for the endpoint."""
        wait = waiting.Wait.from_json(event["wait"])
        with self.taken_down_on_failure(wait, bool(event["carried"]["ours"])):
            return self.deliver(context, self.concluded(event["outcome"]))

    def claim(self, context: Context, wait: Wait) -> bool:
        """Tell whether the endpoint is to be ours: there is none yet, or an earlier try of this task made it.

        :raises AirflowException: when somebody else's exists and ``if_exists`` is ``fail``.
        """
        store = context.get("task_state_store")
        before = endpoint_info(self.ask(wait, "GetMLModel", {"MLModelId": wait.resource_id}))
        if before["EndpointStatus"] == "NONE":
            if store is not None:
                store.set(OURS, wait.resource_id)
            return True
        if store is not None and store.get(OURS) == wait.resource_id:
            return True
        if self.if_exists == "fail":
            raise AirflowException(
                f"{wait}: it exists already, with status {before['EndpointStatus']}; if_exists='skip' would use it"
            )
        return False

    def deliver(self, context: Context, info: Description) -> Description:
        """Give the endpoint's info to XCom; from here on the endpoint belongs to the pipeline."""
        if (store := context.get("task_state_store")) is not None:
            store.delete(OURS)
        self.push(context, info)
        return info

    @contextmanager
    def taken_down_on_failure(self, wait: Wait, ours: bool) -> Iterator[None]:
        """Delete the endpoint if this task made it and what happens inside fails, ``execution_timeout`` included."""
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException:
            if ours and self.delete_on_failure:
                self.take_down(wait)
            raise

    def take_down(self, wait: Wait) -> None:
        """Delete the endpoint that this task made; that this fails is logged, and hides no other error."""
        started = waiting.now()
        last = replace(wait, deadline=started + TAKE_DOWN_SECONDS, started=started, delay=1)
        try:
            self.ask(last, "DeleteRealtimeEndpoint", {"MLModelId": wait.resource_id})
        except Exception:
            self.log.exception("%s could not be deleted, and costs money until somebody deletes it", wait)
        else:
            self.log.info("%s: deleted, since this task had made it and failed", wait)


class MachineLearningDeleteRealtimeEndpointOperator(MachineLearningWaitingOperator):
    """Delete the realtime endpoint of a model; nothing to delete is success, made for ``.as_teardown()``.

    Returns the endpoint's info, with ``EndpointStatus`` NONE; each member is an XCom of its own too.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param wait_for_completion: whether to wait until ``EndpointStatus`` is NONE.
    """

    operation = "DeleteRealtimeEndpoint"
    waiter = "realtime_endpoint_deleted"
    template_fields: Sequence[str] = ("ml_model_id", "aws_conn_id", "region_name", "verify")

    def __init__(self, *, ml_model_id: str, wait_for_completion: bool = False, **kwargs: object) -> None:
        super().__init__(wait_for_completion=wait_for_completion, **kwargs)  # type: ignore[arg-type]
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
        return cast("Description", endpoint_info(answer))
