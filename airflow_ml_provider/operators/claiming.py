"""Hold a claim on an endpoint while it is made, and delete the endpoint when that fails."""

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
    """Make the endpoint of ``ml_model_id`` under a claim, however the making ends.

    :param delete_on_failure: whether to delete an endpoint that this task made and that did not become READY.
    """

    ml_model_id: str
    making: Claim | None = None

    def __init__(self, *, delete_on_failure: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.delete_on_failure = delete_on_failure

    @contextmanager
    def taken_down_on_failure(self, claim: Claim) -> Iterator[None]:
        """Delete the endpoint if it is this task's and what happens inside fails, is timed out or killed."""
        self.making = claim
        try:
            yield
        except TaskDeferred:
            raise
        except BaseException:
            self.making = None
            if self.delete_on_failure or claim.refused:
                claim.take_down()
            raise
        finally:
            self.making = None

    def on_kill(self) -> None:
        """End a wait whose endpoint is this task's, so that it is deleted on the way out.

        Airflow 3 calls this from its handler of SIGTERM and then lets the task go on. Airflow counts SystemExit as a
        failure that may be retried.
        """
        if self.making and self.making.held and self.delete_on_failure:
            raise SystemExit(128 + signal.SIGTERM)

    def on_deferral_failed(self, context: Context, reason: str) -> NoReturn:
        """Delete the endpoint, if it is this task's, after a deferral that Airflow itself ended."""
        from airflow_ml_provider.ownership import TAKE_DOWN_SECONDS, Claim

        wait = self.wait(self.waiter, self.check_id("ml_model_id"), 1, TAKE_DOWN_SECONDS)
        claim = Claim.of(self.hook, wait, context)
        with self.taken_down_on_failure(claim):
            try:
                claim.find()
            except Exception:
                self.log.exception("%s: kept, since whose it is is not known; it costs money", wait)
            super().on_deferral_failed(context, reason)

    @property
    def has_delete_task(self) -> bool:
        """Whether a task of the Dag deletes what this one made."""
        tasks = self.dag.tasks if self.get_dag() else []
        deletes = [getattr(task, "partial_kwargs", vars(task)).get("created_by") for task in tasks]
        return self.task_id in deletes
