"""The base of the operator that creates an endpoint: it deletes the endpoint if the task fails or is killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_ml_provider.compat import TaskDeferred
from airflow_ml_provider.operators.operation import MachineLearningWaitingOperator

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.ownership import Claim


class MachineLearningClaimingOperator(MachineLearningWaitingOperator):
    """Create the endpoint of ``ml_model_id`` under a claim, and delete it if the task fails or is killed.

    :param delete_on_failure: whether to delete an endpoint that this task created and that did not become READY.
    """

    ml_model_id: str
    current_claim: Claim | None = None  # while a failure or a kill is to delete the endpoint

    def __init__(self, *, delete_on_failure: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delete_on_failure = delete_on_failure

    @contextmanager
    def delete_endpoint_on_failure(self, claim: Claim) -> Iterator[None]:
        """Delete the endpoint if this task created it and the block fails, times out or is killed.

        A refused claim means that nobody can tell later who created the endpoint, so it goes in any case.
        """
        self.current_claim = claim
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException:
            self.current_claim = None
            if self.delete_on_failure or claim.refused:
                claim.delete_own_endpoint()
            raise
        finally:
            self.current_claim = None

    def on_kill(self) -> None:
        """Raise SystemExit in a task that created its endpoint, so that ``delete_endpoint_on_failure`` deletes it.

        Airflow 3 calls this in its handler of SIGTERM and then lets the task go on. SystemExit counts as a failure that
        may be retried.
        """
        if self.current_claim and self.current_claim.held and self.delete_on_failure:
            raise SystemExit(128 + signal.SIGTERM)

    def on_deferral_failed(self, context: Context, reason: str) -> NoReturn:
        """Delete the endpoint, if this task created it, after a deferral that Airflow itself ended."""
        from airflow_ml_provider.ownership import DELETE_SECONDS, Claim

        wait = self.new_wait(self.waiter, self.check_id("ml_model_id"), 1, DELETE_SECONDS)
        claim = Claim.of(self.hook, wait, context)
        with self.delete_endpoint_on_failure(claim):
            try:
                claim.resume()
            except Exception:
                self.log.exception("%s: kept, since its claims cannot be read; it costs money while it exists", wait)
            super().on_deferral_failed(context, reason)

    @property
    def has_delete_task(self) -> bool:
        """Return whether a task of the Dag deletes the endpoint that this one creates."""
        tasks = self.dag.tasks if self.get_dag() else []
        deletes = [getattr(task, "partial_kwargs", vars(task)).get("created_by") for task in tasks]
        return self.task_id in deletes
