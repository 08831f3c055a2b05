"""Define the exceptions of this package, and classify AWS errors: transient or permanent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_ml_provider.compat import AirflowException, AirflowFailException

if TYPE_CHECKING:
    from botocore.exceptions import ClientError


class MachineLearningError(AirflowException):
    """Base of the exceptions that this package adds to Airflow's and botocore's."""


class RequestFailed(MachineLearningError):
    """Raised when AWS refuses a request or cannot be reached; ``code`` is AWS's code of the error.

    The message holds that of the cause, so it is raised ``from None``: a chain would show the cause twice.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class DeadlinePassed(MachineLearningError):
    """Raised when a call still failed with transient errors at its deadline."""


class RequestRefused(RequestFailed, AirflowFailException):
    """Raised when the service refuses a request for good: the task fails without a retry."""


class InvalidArgument(MachineLearningError, AirflowFailException, ValueError):
    """Raised for an argument whose rendered value is not allowed: the task fails without a retry."""


class RefusedRecord(MachineLearningError):
    """Raised for a record that gets no prediction, however often it is sent.

    The message holds the reason without the record's values; ``said`` is the service's message, which may quote them.
    """

    def __init__(self, reason: str, said: str = "") -> None:
        super().__init__(reason)
        self.said = said


EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})

THROTTLING = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

TRANSIENT = (
    EXPIRED
    | THROTTLING
    | {
        "InternalFailure",
        "InternalServerException",
        "PriorRequestNotComplete",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    }
)

ACCESS_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


def code(error: BaseException) -> str:
    """Return AWS's code of the error, or the exception's class if the error does not come from AWS."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later: throttling, 5xx, connections, expired credentials."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _is_transient_answer(error)
    return isinstance(error, _transient_classes())


def is_answer(error: BaseException) -> bool:
    """Return whether this error is an HTTP answer, of the service or of a proxy before it, and not a lack of one."""
    return _status(error) != 0


def is_refusal(error: BaseException) -> bool:
    """Return whether the service has answered 4xx, so that it did nothing."""
    return 400 <= _status(error) < 500


def _status(error: BaseException) -> int:
    """Return the HTTP status of the answer that raised an error; 0 if none did."""
    answer = getattr(error, "response", None) or {}
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_permanent(error: BaseException) -> bool:
    """Return whether the service has refused the request for good, so that a retry would fail too."""
    return is_refusal(error) and not is_transient(error)


def is_transient_at_predict(error: BaseException) -> bool:
    """Return whether Predict may succeed later: also at a READY endpoint that has not mounted its predictor yet."""
    return code(error) == "PredictorNotMountedException" or is_transient(error)


def _is_transient_answer(error: ClientError) -> bool:
    status = _status(error)
    return code(error) in TRANSIENT or status == 429 or status >= 500


def _transient_classes() -> tuple[type[BaseException], ...]:
    from botocore import exceptions, parsers

    return (
        exceptions.ConnectionError,
        exceptions.HTTPClientError,
        exceptions.CredentialRetrievalError,
        exceptions.MetadataRetrievalError,
        parsers.ResponseParserError,
        ConnectionError,
        TimeoutError,
    )
