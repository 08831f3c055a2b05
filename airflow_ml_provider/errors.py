"""Define the exceptions of this package, and classify AWS errors: transient, permanent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_ml_provider.compat import AirflowException, AirflowFailException

if TYPE_CHECKING:
    from botocore.exceptions import ClientError


class MachineLearningError(AirflowException):
    """Base of the exceptions that this package adds to Airflow's and botocore's."""


class RequestFailed(MachineLearningError):
    """Raised when AWS refuses a request or cannot be reached; ``code`` is AWS's name of the error.

    The message holds the cause's own, so it is raised without a chain, which would show the cause once more.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class DeadlinePassed(MachineLearningError):
    """Raised when a call still failed with transient errors at its deadline."""


class RequestRefused(RequestFailed, AirflowFailException):
    """Raised when the service refuses a request in a way that no retry changes: the task fails at once."""


class InvalidArgument(MachineLearningError, AirflowFailException, ValueError):
    """Raised for an argument whose rendered value is not what it must be: the task fails at once."""


class RefusedRecord(MachineLearningError):
    """Raised for a record that gets no prediction, however often it is sent.

    The message says why without the record's values; ``said`` holds the service's own words, which may quote them.
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
    """Return AWS's name of the error, or the exception's class where AWS said nothing."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code") or type(error).__name__)


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later: throttling, 5xx, connections, expired credentials."""
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _is_transient_answer(error)
    return isinstance(error, _transient_classes())


def is_answer(error: BaseException) -> bool:
    """Return whether the error is the service's own answer, and not a connection's or a proxy's."""
    return _status(error) != 0


def is_refusal(error: BaseException) -> bool:
    """Return whether the service has said that it did nothing: a 4xx of its own."""
    return 400 <= _status(error) < 500


def _status(error: BaseException) -> int:
    answer = getattr(error, "response", None) or {}
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_permanent(error: BaseException) -> bool:
    """Return whether the service has refused a request in a way that no retry changes."""
    return is_refusal(error) and not is_transient(error)


def is_transient_at_predict(error: BaseException) -> bool:
    """Return the same for Predict: a READY endpoint may take a while more until its predictor is mounted."""
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
