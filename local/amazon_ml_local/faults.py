"""Faults that tests order: what goes wrong, at which operation, how often."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from amazon_ml_local.errors import ServiceError
from amazon_ml_local.protocol import operation_model, raw_answer
from amazon_ml_local.schedule import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amazon_ml_local.protocol import Response

FaultKind = Literal[
    "throttling", "limit_exceeded", "error", "server_error", "reset", "slow", "garbage", "expired_token",
    "never_enrolled", "lag",
]  # fmt: skip
When = Literal["before", "after"]

# Code, message and HTTP status. The text of never_enrolled is AWS's own; the others are common to AWS's services.
ERRORS: dict[str, tuple[str, str, int]] = {
    "throttling": ("ThrottlingException", "Rate exceeded", 400),
    "limit_exceeded": ("LimitExceededException", "The request limit was exceeded", 400),
    "error": ("", "Ordered", 400),
    "server_error": ("InternalServerException", "An internal error occurred", 500),
    "expired_token": ("ExpiredTokenException", "The security token included in the request is expired", 400),
    "never_enrolled": (
        "AccessDeniedException",
        "Thank you for your interest in Amazon Machine Learning. AmazonML is no longer available to new customers.  "
        "Please consider using Amazon SageMaker.",
        403,
    ),
}
NEEDS_SECONDS = {"slow", "lag"}  # which delay or date the answer, and leave it to the operation or another fault


@dataclass(eq=False)
class Fault:
    """One fault that was ordered; ``left`` is for how many more requests, None for all."""

    kind: FaultKind
    operation: str | None
    left: int | None
    probability: float
    when: When
    seconds: float
    error: ServiceError | None
    random: random.Random = field(repr=False)


class Interrupted(Exception):
    """Raised to answer a request with ``response``."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def interruption(fault: Fault) -> ServiceError | Interrupted:
    """Return the exception that a fault raises."""
    if fault.error:
        return fault.error
    is_reset = fault.kind == "reset"
    status = 0 if is_reset else 200  # 0, since a reset connection gets none
    return Interrupted(raw_answer(status, b"<html>garbage", is_reset))


class Faults:
    """The table of faults. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(
        self,
        kind: FaultKind,
        *,
        operation: str | None = None,
        count: int | None = None,
        probability: float = 1.0,
        seed: int = 0,
        when: When = "before",
        seconds: float | None = None,
        code: str | None = None,
        message: str | None = None,
        status: int | None = None,
    ) -> None:
        """Order a fault for requests to come.

        :param kind: ``throttling``, ``limit_exceeded``, ``server_error``, ``expired_token``, ``never_enrolled``;
            ``error``: any ``code``, ``message`` and HTTP ``status`` (the others take these too);
            ``reset``: a TCP reset; ``garbage``: a body that is no JSON; ``slow``: the answer takes ``seconds``
            longer; ``lag``: lists of entities are ``seconds`` old; both in the service's time
        :param operation: the operation that it applies to; None for all
        :param count: how many requests it applies to; None for all until ``clear()``
        :param probability: of applying to a request, 0..1, drawn from a generator seeded by ``seed``
        :param when: ``before`` the request takes effect, or ``after``
        :raises ValueError: for a value that is not allowed
        """
        if kind == "error" and not code:
            raise ValueError("error needs the code of an AWS error")
        self._check(kind, operation, count, probability, when, seconds)
        error = None
        if kind in ERRORS:
            default = ERRORS[kind]
            error = ServiceError(code or default[0], message or default[1], status or default[2])
        fault = Fault(kind, operation, count, probability, when, seconds or 0.0, error, random.Random(seed))
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def __iter__(self) -> Iterator[Fault]:
        with self._lock:
            return iter(list(self._faults))

    def draw(self, operation: str, when: When) -> list[Fault]:
        """Return the faults that apply to one request, up to the first that answers it, and count it for them."""
        drawn: list[Fault] = []
        if not self._faults:
            return drawn
        with self._lock:
            for fault in self._faults:
                if self._applies_to(fault, operation, when):
                    drawn.append(fault)
                    fault.left = None if fault.left is None else fault.left - 1
                    if fault.kind not in NEEDS_SECONDS:  # it answers the request
                        break
            self._faults = [fault for fault in self._faults if fault.left != 0]
        return drawn

    @staticmethod
    def _applies_to(fault: Fault, operation: str, when: When) -> bool:
        """Return whether a fault applies to a request; only one that it may apply to draws from its generator."""
        if fault.when != when or fault.operation not in (None, operation):
            return False
        if fault.kind == "lag" and not _lists_entities(operation):
            return False
        return fault.random.random() < fault.probability

    @staticmethod
    def _check(
        kind: FaultKind,
        operation: str | None,
        count: int | None,
        probability: float,
        when: When,
        seconds: float | None,
    ) -> None:
        wrong = [
            (kind not in get_args(FaultKind), f"no fault {kind!r}; there are {', '.join(get_args(FaultKind))}"),
            (operation is not None and not operation_model(operation), f"no operation {operation!r}"),
            (count is not None and count < 1, f"count must be 1 or more, not {count!r}"),
            (not 0 <= probability <= 1, f"probability must be in 0..1, not {probability!r}"),
            (when not in get_args(When), f"when must be 'before' or 'after', not {when!r}"),
            (
                kind == "lag" and operation is not None and not _lists_entities(operation),
                f"lag is for the operations that list entities, not {operation!r}",
            ),
            (kind in NEEDS_SECONDS and not 0 < (seconds or 0) < NEVER, f"{kind} needs seconds above 0"),
        ]
        for is_wrong, text in wrong:
            if is_wrong:
                raise ValueError(text)


def _lists_entities(operation: str) -> bool:
    return operation.startswith("Describe") and operation != "DescribeTags"
