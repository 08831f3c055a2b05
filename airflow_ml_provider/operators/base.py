"""The base of all operators and sensors: the AWS arguments, the hook, the wait, and what goes to XCom."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import AIRFLOW_3, AirflowException, BaseOperator
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.shown import ShownTask
from airflow_ml_provider.operators.signature import WholeSignature
from airflow_ml_provider.resources import WaiterName

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from airflow_ml_provider.payloads import JSON, AwsSettings, Description
    from airflow_ml_provider.waiting import Wait


AWS_FIELDS = ("aws_conn_id", "region_name", "verify")
TRIGGER_GRACE = 120.0  # seconds; the trigger keeps the deadline itself, Airflow's timeout only catches a lost trigger


def check_flag(argument: str, value: object) -> None:
    """Raise InvalidArgument unless the value is a boolean."""
    if not isinstance(value, bool):
        raise InvalidArgument(f"{argument}: {value!r} is a {type(value).__name__}; it must be True or False")


def check_number(argument: str, value: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Raise InvalidArgument unless the value is a number of one of these types.

    :param wanted: the types in words, for the message.
    """
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise InvalidArgument(f"{argument}: {value!r} is a {type(value).__name__}; it must be {wanted}")


def to_number(argument: str, value: object) -> float | None:
    """Return an argument as a number, also if a template has rendered it as text; None stays None.

    :raises InvalidArgument: when it is not a number.
    """
    from airflow_ml_provider.service_model import service_model
    from airflow_ml_provider.values import convert

    if value is None:
        return None
    any_float = service_model().shape_for("ScoreThreshold")  # the service model gives it no bounds
    return cast("float", convert(argument, member="", shape=any_float, value=value))


class MachineLearningBase(ShownTask, BaseOperator):
    """Hold the four AWS arguments of every operator and sensor, and create the hook when a task runs.

    :param aws_conn_id: the Airflow connection with the credentials (templated); None means boto3's own chain.
    :param region_name: the AWS region, else the connection's (templated).
    :param verify: whether to verify SSL certificates, or the path of a CA bundle (templated).
    :param botocore_config: keyword arguments of ``botocore.config.Config``.
    """

    __signature__ = WholeSignature()
    returns_members: ClassVar[bool] = False  # whether each member of the returned dict becomes an XCom of its own too
    logged_status = ""  # the last one that ``log_status`` has logged

    def __init__(
        self,
        *,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, JSON] | None = None,
        **kwargs: Any,
    ) -> None:
        if "region" in kwargs:
            raise TypeError(f"{type(self).__name__}: region is no argument; use region_name")
        if self.returns_members:
            kwargs.setdefault("multiple_outputs", True)
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    @property
    def aws_settings(self) -> AwsSettings:
        """The AWS arguments in the form that a trigger takes."""
        return {
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
            "verify": self.verify,
            "botocore_config": self.botocore_config,
        }

    @cached_property
    def hook(self) -> MachineLearningHook:
        """The hook of this task, created when it is first needed."""
        from airflow_ml_provider.hooks.machine_learning import MachineLearningHook

        return MachineLearningHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=cast("dict[str, object] | None", self.botocore_config),
        )

    def check_id(self, argument: str) -> str:
        """Return the resource id that an argument holds.

        :raises InvalidArgument: when it is not a valid id by the service model.
        """
        from airflow_ml_provider.service_model import service_model
        from airflow_ml_provider.values import convert

        value = getattr(self, argument)
        if value is None:
            raise InvalidArgument(f"{argument}: it is None; it must be an id")
        return str(convert(argument, member="", shape=service_model().shape_for("EntityId"), value=value))

    def new_wait(self, waiter: WaiterName, resource_id: str, delay: float, timeout: float) -> Wait:
        """Return a wait that polls every ``delay`` seconds and ends ``timeout`` seconds from now."""
        from airflow_ml_provider import waiting

        started = CLOCK.now()
        return waiting.Wait(waiter, resource_id, self.resolve_region(timeout), started + timeout, delay, started)

    def resolve_region(self, timeout: float) -> str:
        """Return the region of the client; creating the client calls STS if the connection assumes a role.

        If STS does not answer within ``timeout`` seconds, return ``region_name``: a wait shows its region in messages
        only, and its polls retry the call of STS.
        """
        from airflow_ml_provider import errors, transport

        try:
            with transport.time_limit(timeout):
                return self.hook.one_attempt_client.meta.region_name
        except Exception as error:
            if not errors.is_transient(error):
                raise
            return self.hook.region_name or "the default region"

    def log_status(self, wait: Wait) -> None:
        """Log the status of the resource, or the error of the poll, unless it was the last one logged."""
        status = wait.error or wait.status
        if status != self.logged_status:
            self.logged_status = status
            self.log.info("%s: %s", wait, status)

    def defer_wait(self, wait: Wait, method_name: str, **carried: JSON) -> NoReturn:
        """Leave the wait to the triggerer, which resumes the task in the named method with an Event.

        Airflow 3 does not count the time in the triggerer towards ``execution_timeout``, so the deadline enforces it.

        :param carried: what the Event brings back to the task.
        """
        from datetime import timedelta

        from airflow_ml_provider.triggers.machine_learning import MachineLearningTrigger

        if self.execution_timeout and AIRFLOW_3:
            wait.deadline = min(wait.deadline, wait.started + self.execution_timeout.total_seconds())
        self.log.info("Waiting in the triggerer for %s, %.0f s at most", wait, wait.deadline - CLOCK.now())
        grace = timedelta(seconds=max(wait.deadline - CLOCK.now(), 0) + TRIGGER_GRACE)
        trigger = MachineLearningTrigger(wait=wait.to_json(), carried=carried, **self.aws_settings)
        self.defer(trigger=trigger, method_name=method_name, timeout=grace)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> object:
        """Go on after a deferral, also if Airflow itself ended it: at a timeout, or because the trigger failed."""
        from airflow_ml_provider.payloads import TRIGGER_FAILED

        if next_method == TRIGGER_FAILED:
            failure = next_kwargs or {}
            self.log.error("%s\n%s", failure.get("error"), "".join(failure.get("traceback") or []))
            self.on_deferral_failed(context, str(failure.get("error")))
        return super().resume_execution(next_method, next_kwargs, context)

    def on_deferral_failed(self, context: Context, reason: str) -> NoReturn:
        """Raise AirflowException, so that the task is retried: Airflow ended the deferral, and not the trigger."""
        raise AirflowException(f"Airflow ended the deferred wait: {reason}")

    def push_members(self, context: Context, members: Description) -> None:
        """Push each member under its own key, for ``task.output["Member"]``.

        Nothing is pushed with ``do_xcom_push=False``, or outside of a Dag run.
        """
        if self.do_xcom_push and (task_instance := context.get("ti")):
            for key, value in members.items():
                task_instance.xcom_push(key=key, value=value)
