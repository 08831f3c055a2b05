"""The base of all sensors: the poke, the deferral, and which outcome fails, times out or skips the task."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
    first_rescheduled,
)
from airflow_ml_provider.links import MachineLearningLink, ResourceLink
from airflow_ml_provider.operators.base import MachineLearningBase, check_flag
from airflow_ml_provider.resources import WAITERS, ResourceKind, WaiterName

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import Description, Event, Outcome
    from airflow_ml_provider.waiting import Wait


# Seconds by which our deadline comes before Airflow's own, whose message names neither the status nor the last error.
BEFORE_AIRFLOW = 0.01


class MachineLearningSensor(MachineLearningBase, BaseSensorOperator):
    """Wait for a state of a resource, with Airflow's own ``poke_interval`` and ``timeout`` (seconds).

    After a transient error (throttling, 5xx, connection) the next poke comes later: after up to 300 s in poke mode, up
    to twice ``poke_interval`` in reschedule mode, where earlier failures are not known. In all modes a resource that
    can no longer reach the state raises AirflowFailException, and the deadline raises AirflowSensorTimeout.

    :param deferrable: whether to wait in the triggerer; default by ``[operators] default_deferrable``.
    """

    waiter: WaiterName
    id_argument: ClassVar[str]
    returns_members = True
    operator_extra_links: Collection[MachineLearningLink] = (ResourceLink(),)
    _wait: Wait | None = None  # shared by all pokes in one process
    _started: float | None = None  # when Airflow began to count ``timeout`` for these pokes

    def __init__(
        self,
        *,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_flag("deferrable", deferrable)
        self.deferrable = deferrable

    def resource_kind(self) -> ResourceKind:
        return WAITERS[self.waiter].name

    def poke(self, context: Context) -> PokeReturnValue:
        from airflow_ml_provider import waiting

        wait = self._wait = self._wait or self.start_wait(context)
        outcome = waiting.poll(wait, self.hook)
        if outcome:
            return PokeReturnValue(is_done=True, xcom_value=self.raise_unless_success(outcome))
        self.log_status(wait)
        return PokeReturnValue(is_done=False)

    def _get_next_poke_interval(self, *args: Any, **kwargs: Any) -> float:
        """Return the seconds to the next poke for Airflow's own loop: ``poke_interval``, or longer after failures."""
        from airflow_ml_provider import retrying

        if self._wait and self._wait.failures:
            # Before the deadline the pause shrinks to nothing, and a service that fails would get a burst of calls.
            return max(retrying.next_pause(self._wait), 1.0)
        return super()._get_next_poke_interval(*args, **kwargs)

    def execute(self, context: Context) -> Description:
        self._wait, self._started = None, CLOCK.now()
        return self.execute_deferrable() if self.deferrable else super().execute(context)

    def execute_deferrable(self) -> Description:
        """Poll once, and leave the rest of the wait to the triggerer."""
        from airflow_ml_provider import waiting

        try:
            wait = self.start_wait()
            outcome = waiting.poll(wait, self.hook)
            if outcome is not None:
                return self.raise_unless_success(outcome)
        except Exception as error:
            self.fail_or_skip(error)
        return self.defer_wait(wait, "execute_complete")

    def execute_complete(self, context: Context, event: Event) -> Description:
        """Go on after the deferred wait."""
        outcome = event["outcome"]
        if outcome["kind"] == "timeout":
            self.time_out(outcome["message"])
        try:
            return self.raise_unless_success(outcome)
        except AirflowFailException as error:
            self.fail_or_skip(error)

    def on_deferral_failed(self, context: Context, reason: str) -> NoReturn:
        """Fail as a poke would: a deferral that timed out has passed the sensor's deadline."""
        message = f"Airflow ended the deferred wait: {reason}"
        if "timeout" in reason.lower():  # "Trigger timeout" of Airflow 3, "Trigger/execution timeout" of Airflow 2
            self.time_out(message)
        self.fail_or_skip(AirflowException(message))

    def time_out(self, message: str) -> NoReturn:
        """Raise the exception of the limit that ended a deferred wait: of ``execution_timeout`` or of ``timeout``.

        Airflow raises AirflowTaskTimeout in a worker between two pokes, where ``soft_fail`` and ``never_fail`` do not
        skip.
        """
        if self.execution_timeout and self.execution_timeout.total_seconds() < self.timeout:
            raise AirflowTaskTimeout(message)
        self.fail_or_skip(AirflowSensorTimeout(message))

    def start_wait(self, context: Context | None = None) -> Wait:
        """Return a wait that ends with the sensor's ``timeout``, counted as Airflow counts it.

        In reschedule mode each poke is a new process, and the timeout counts from the first of them.

        :param context: the context of a poke; None before a deferral, when Airflow itself has no timeout to precede.
        """
        wait = self.new_wait(self.waiter, self.check_id(self.id_argument), self.poke_interval, self.timeout)
        if self._started is not None:
            wait.started = self._started
        first_start = first_rescheduled(context) if context and self.mode == "reschedule" else None
        if context and first_start:
            wait.started = min(CLOCK.from_wall(first_start.timestamp()), wait.started)
            wait.calls = context.get("task_reschedule_count") or 0  # each earlier poke was one call
        wait.deadline = wait.started + self.timeout - (BEFORE_AIRFLOW if context is not None else 0)
        return wait

    def raise_unless_success(self, outcome: Outcome) -> Description:
        """Return the description of the resource at the end of the wait.

        :raises AirflowSensorTimeout: when the deadline came first.
        :raises AirflowFailException: when the resource can no longer reach the state.
        """
        if outcome["kind"] == "success":
            self.log.info("%s", outcome["message"])
            return self.remember(outcome["description"])
        raise (AirflowSensorTimeout if outcome["kind"] == "timeout" else AirflowFailException)(outcome["message"])

    def fail_or_skip(self, error: Exception) -> NoReturn:
        """Raise the error, or skip if ``soft_fail`` or ``never_fail`` would skip after a poke.

        Airflow itself treats a poke and a resumed task differently, and so do 2.11 and 3.
        """
        final = isinstance(error, AirflowFailException | AirflowSensorTimeout)
        if self.never_fail or (self.soft_fail and final):
            raise AirflowSkipException(f"Skipping: {error}") from None
        raise error
