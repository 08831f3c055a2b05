"""The base of the operators that call one operation of the service, and of those that wait for its result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from airflow_ml_provider import errors
from airflow_ml_provider.compat import AirflowException, AirflowFailException, conf
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.links import MachineLearningLink, ResourceLink
from airflow_ml_provider.operators.base import MachineLearningBase, check_flag, check_number
from airflow_ml_provider.resources import RESOURCES, ResourceKind, WaiterName

if TYPE_CHECKING:
    from airflow_ml_provider.lineage import Change
    from airflow_ml_provider.payloads import JSON, Description, Outcome
    from airflow_ml_provider.waiting import Wait


Answer = TypeVar("Answer")

# The verb of an operation → how it changes the resource, in OpenLineage's words.
CHANGES: dict[str, Change] = {"Create": "CREATE", "Update": "ALTER", "Delete": "DROP"}


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Raise botocore's errors, and DeadlinePassed, as a RequestFailed that says what failed.

    An error that would come again on a retry becomes a RequestRefused, which Airflow does not retry.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError, errors.DeadlinePassed) as error:
        failed = errors.RequestRefused if errors.is_permanent(error) else errors.RequestFailed
        raise failed(f"{what}: {error}", errors.code(error)) from None


class MachineLearningOperator(MachineLearningBase):
    """Call one operation, with a request that botocore's service model makes of the operator's arguments."""

    operation: ClassVar[str]
    operator_extra_links: Collection[MachineLearningLink] = (ResourceLink(),)

    def resource_kind(self) -> ResourceKind:
        """Return the kind of resource that the operation's name contains."""
        return next(name for name in RESOURCES if name in self.operation)

    def change(self) -> Change:
        return next((change for verb, change in CHANGES.items() if self.operation.startswith(verb)), "")

    def request(self, **known: object) -> dict[str, object]:
        """Return the request that the rendered arguments make.

        :param known: values that replace the arguments of the same names.
        :raises InvalidArgument: naming an argument that is missing, or that the service model does not allow.
        """
        from airflow_ml_provider.service_model import arguments, build_request

        values = {name: getattr(self, name, None) for name in arguments(self.operation)} | known
        return cast("dict[str, object]", build_request(self.operation, values))

    def call(self, request: Mapping[str, object]) -> dict[str, object]:
        """Call the operation, with botocore's own retries.

        :raises AirflowException: when AWS refuses or cannot be reached.
        """
        from airflow_ml_provider.service_model import argument_name

        client = self.hook.conn
        with translate_errors(f"{self.operation} in {client.meta.region_name}"):
            method = getattr(client, argument_name(self.operation))
            return cast("dict[str, object]", method(**request))


class MachineLearningWaitingOperator(MachineLearningOperator):
    """Call one operation, and wait until the resource has reached its final state.

    :param wait_for_completion: whether to wait; False wins over ``deferrable``.
    :param waiter_delay: seconds between two polls, above 0.
    :param waiter_max_attempts: at least 1; a try waits for ``waiter_delay`` × ``waiter_max_attempts`` seconds at most.
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
        check_flag("wait_for_completion", wait_for_completion)
        check_flag("deferrable", deferrable)
        check_number("waiter_delay", waiter_delay, (int, float), "a number")
        check_number("waiter_max_attempts", waiter_max_attempts, int, "a whole number")
        if not waiter_delay > 0:
            raise InvalidArgument(f"waiter_delay: {waiter_delay} s; it must be above 0")
        if waiter_max_attempts < 1:
            raise InvalidArgument(f"waiter_max_attempts: {waiter_max_attempts}; it must be at least 1")
        self.wait_for_completion = wait_for_completion
        self.waiter_delay = waiter_delay
        self.waiter_max_attempts = waiter_max_attempts
        self.deferrable = deferrable

    def start_wait(self, resource_id: str) -> Wait:
        """Return the one wait of this try, which keeps its deadline for everything that the try does."""
        timeout = self.waiter_delay * self.waiter_max_attempts
        return self.new_wait(self.waiter, resource_id, self.waiter_delay, timeout)

    def poll(self, wait: Wait) -> Outcome | None:
        """Get the resource once; return how the wait ended, or None while it goes on."""
        from airflow_ml_provider import waiting

        return waiting.poll(wait, self.hook)

    def request_with_retries(self, wait: Wait, operation: str, request: Mapping[str, object]) -> dict[str, object]:
        """Call an operation; retry transient errors until the wait's deadline.

        :raises AirflowException: when AWS refuses, or the deadline comes first.
        """
        return self.repeat(wait, operation, lambda: self.hook.call_once(operation, wait.deadline, **request))

    def repeat(self, wait: Wait, operation: str, attempt: Callable[[], Answer]) -> Answer:
        """Make attempts at an operation until the wait's deadline, as long as they fail with transient errors.

        :raises AirflowException: when AWS refuses, or the deadline comes first.
        """
        from airflow_ml_provider import retrying

        with translate_errors(f"{operation} of {wait}"):
            return retrying.retry_until_deadline(wait, attempt)

    def wait_or_defer(self, wait: Wait, method_name: str, **carried: JSON) -> Outcome:
        """Wait, and return the outcome.

        If ``deferrable``, poll once; unless that ends the wait, defer, and go on in the named method with an Event.
        """
        from airflow_ml_provider import waiting

        if not self.deferrable:
            return waiting.poll_until_end(wait, self.hook, self.log_status)
        return self.poll(wait) or self.defer_wait(wait, method_name, **carried)

    def raise_unless_success(self, outcome: Outcome) -> Description:
        """Return the description of the resource at the end of a wait.

        :raises AirflowException: when the wait failed or timed out; AirflowFailException when a retry would fail too.
        """
        if outcome["kind"] != "success":
            raise (AirflowFailException if outcome.get("permanent") else AirflowException)(outcome["message"])
        self.log.info("%s", outcome["message"])
        return self.remember(outcome["description"])
