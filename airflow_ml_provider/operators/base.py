"""What all operators share: the AWS arguments, the request, the wait, the answer in XCom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypedDict, cast

from airflow.providers.common.compat.sdk import AirflowException, BaseOperator, conf

from airflow_ml_provider.resources import JSON, Description, WaiterName

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from airflow_ml_provider.waiting import Outcome, Wait


AWS_FIELDS = ("aws_conn_id", "region_name", "verify")


class AwsSettings(TypedDict):
    """The four AWS arguments, in plain JSON types: what makes a hook here and in the triggerer."""

    aws_conn_id: str | None
    region_name: str | None
    verify: bool | str | None
    botocore_config: dict[str, JSON] | None


class Event(TypedDict):
    """What a trigger tells the task when a deferred wait has ended.

    ``wait`` is the wait as it stands then, ``carried`` what the task gave along when it deferred.
    """

    outcome: Outcome
    wait: Description
    carried: dict[str, JSON]


class MachineLearningBase(BaseOperator):
    """Hold the four AWS arguments of every operator and sensor, and make the hook when a task runs.

    :param aws_conn_id: the Airflow connection with the credentials (templated); None means boto3's own chain.
    :param region_name: the AWS region, else the connection's (templated).
    :param verify: whether to verify SSL certificates, or the path of a CA bundle (templated).
    :param botocore_config: keyword arguments of ``botocore.config.Config``.
    """

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
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    @property
    def aws_settings(self) -> AwsSettings:
        """The AWS arguments as a trigger carries them."""
        return AwsSettings(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
        )

    @cached_property
    def hook(self) -> MachineLearningHook:
        """The hook of this task, made when it is first needed."""
        from airflow_ml_provider.hooks.machine_learning import MachineLearningHook

        return MachineLearningHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=cast("dict[str, object] | None", self.botocore_config),
        )

    def check_id(self, argument: str) -> str:
        """Return the id that an argument holds.

        :raises ValueError: when it is none, by the service model.
        """
        from airflow_ml_provider.service_model import service_model
        from airflow_ml_provider.values import convert

        value = getattr(self, argument)
        if value is None:
            raise ValueError(f"{argument}: it is None; it must be an id")
        return str(convert(argument, "", service_model().shape_for("EntityId"), value))

    def wait(self, waiter: WaiterName, resource_id: str, delay: float, seconds: float) -> Wait:
        """Begin a wait: its deadline is so many seconds from now."""

        from airflow_ml_provider import waiting

        started = waiting.now()
        return waiting.Wait(waiter, resource_id, self.region(seconds), started + seconds, delay, started)

    def region(self, seconds: float) -> str:
        """Name the region; where STS lets no client be made just now, as it was asked for, and the looks go on."""

        from airflow_ml_provider import errors

        try:
            return self.hook.polling_client(seconds).meta.region_name
        except Exception as error:
            if not errors.is_transient(error):
                raise
            return self.hook.region_name or "the default region"

    def look(self, wait: Wait) -> Outcome | None:
        """Look once at what is awaited."""

        from airflow_ml_provider import waiting

        return waiting.look(wait, self.get(wait)) or waiting.expired(wait)

    def get(self, wait: Wait) -> Callable[[], Mapping[str, object]]:
        """Give the call that asks for what is awaited."""
        return lambda: self.hook.get(wait.resource, wait.resource_id, wait.deadline)

    def tell(self, wait: Wait) -> None:
        """Log what was last seen of what is awaited."""
        self.log.info("%s: %s", wait, wait.error or wait.status)

    def defer_wait(self, wait: Wait, method_name: str, **carried: JSON) -> NoReturn:
        """Leave the wait to the triggerer, which resumes the task with an Event."""

        from datetime import timedelta

        from airflow_ml_provider import waiting
        from airflow_ml_provider.triggers.machine_learning import MachineLearningTrigger

        self.log.info("Waiting in the triggerer for %s, %.0f s at most", wait, wait.deadline - waiting.now())
        grace = timedelta(seconds=max(wait.deadline - waiting.now(), 0) + TRIGGER_GRACE)
        trigger = MachineLearningTrigger(wait=wait.to_json(), carried=carried, **self.aws_settings)
        self.defer(trigger=trigger, method_name=method_name, timeout=grace)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> object:
        """Go on after a deferral, also after one that Airflow itself ended: timed out, or its trigger broken."""
        if next_method == TRIGGER_FAILED:
            told = next_kwargs or {}
            self.log.error("%s\n%s", told.get("error"), "".join(told.get("traceback") or []))
            self.not_resumed(context, str(told.get("error")))
        return super().resume_execution(next_method, next_kwargs, context)

    def not_resumed(self, context: Context, reason: str) -> NoReturn:
        """Fail as the wait would have failed here.

        :raises AirflowException: always, so that the task is retried.
        """
        raise AirflowException(f"Airflow ended the deferred wait: {reason}")

    def push(self, context: Context, members: Description) -> None:
        """Push each member under its own key, so that ``task.output["Member"]`` finds it."""
        if task_instance := context.get("ti"):
            for key, value in members.items():
                task_instance.xcom_push(key=key, value=value)


TRIGGER_FAILED = "__fail__"  # Airflow's name for the method of a task whose trigger is lost
TRIGGER_GRACE = 120.0  # the trigger keeps the deadline itself; Airflow's own timeout only catches a lost trigger


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Turn botocore's errors, and a deadline that came first, into an AirflowException that says what failed."""

    from botocore.exceptions import BotoCoreError, ClientError

    from airflow_ml_provider import waiting

    try:
        yield
    except (BotoCoreError, ClientError, waiting.DeadlinePassed) as error:
        raise AirflowException(f"{what}: {error}") from error


class MachineLearningOperator(MachineLearningBase):
    """Ask for one operation: the request is made of the arguments by botocore's service model."""

    operation: ClassVar[str]

    def request(self, **known: object) -> dict[str, object]:
        """Make the request out of the rendered arguments.

        :param known: values that stand in for arguments of the same name.
        :raises ValueError: when one is missing or not what the service model allows; it is named.
        """
        from airflow_ml_provider.service_model import arguments, build_request

        values = {name: getattr(self, name, None) for name in arguments(self.operation)} | known
        return cast("dict[str, object]", build_request(self.operation, values))

    def call(self, request: Mapping[str, object]) -> dict[str, object]:
        """Ask for the operation once, with botocore's own retries.

        :raises AirflowException: when AWS refuses or cannot be reached.
        """
        from airflow_ml_provider.service_model import argument_name

        with failures(f"{self.operation} in {self.hook.conn_region_name}"):
            method = getattr(self.hook.conn, argument_name(self.operation))
            return cast("dict[str, object]", method(**request))


class MachineLearningWaitingOperator(MachineLearningOperator):
    """Ask for one operation, and wait for what it began.

    :param wait_for_completion: whether to wait; False wins over ``deferrable``.
    :param waiter_delay: seconds between two looks, above 0.
    :param waiter_max_attempts: how many such pauses at most, at least 1: the deadline of a try is their product.
    :param deferrable: whether to wait in the triggerer; default by ``[operators] default_deferrable``.
    """

    waiter: ClassVar[WaiterName]

    def __init__(
        self,
        *,
        wait_for_completion: bool = True,
        waiter_delay: float = 30,
        waiter_max_attempts: int = 60,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if waiter_delay <= 0:
            raise ValueError(f"waiter_delay: {waiter_delay} s; it must be above 0")
        if waiter_max_attempts < 1:
            raise ValueError(f"waiter_max_attempts: {waiter_max_attempts}; it must be at least 1")
        self.wait_for_completion = wait_for_completion
        self.waiter_delay = waiter_delay
        self.waiter_max_attempts = waiter_max_attempts
        self.deferrable = deferrable

    def begin(self, resource_id: str) -> Wait:
        """Begin the one wait of this try."""
        seconds = self.waiter_delay * self.waiter_max_attempts
        return self.wait(self.waiter, resource_id, self.waiter_delay, seconds)

    def ask(self, wait: Wait, operation: str, request: Mapping[str, object]) -> dict[str, object]:
        """Ask for an operation, again through passing errors until the wait's deadline.

        :raises AirflowException: when AWS refuses, or the deadline comes first.
        """

        from airflow_ml_provider import waiting

        with failures(f"{operation} of {wait}"):
            return waiting.persist(wait, lambda: self.hook.poll(operation, wait.deadline, **request))

    def finish(self, wait: Wait, method_name: str, **carried: JSON) -> Outcome:
        """Wait to the end, here or in the triggerer: then the task goes on in the method, with an Event."""

        from airflow_ml_provider import waiting

        if not self.deferrable:
            return waiting.until(wait, self.get(wait), self.tell)
        return self.look(wait) or self.defer_wait(wait, method_name, **carried)

    def concluded(self, outcome: Outcome) -> Description:
        """Return what was seen at the end of a wait.

        :raises AirflowException: when it did not end well.
        """
        if outcome["kind"] != "success":
            raise AirflowException(outcome["message"])
        self.log.info("%s", outcome["message"])
        return outcome["description"]
