"""The errors that the service answers with."""

from __future__ import annotations


class ServiceError(Exception):
    """Raised when the service refuses a request; the client gets code, message and HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def invalid_input(message: str) -> ServiceError:
    """Return the error for a request that the service cannot accept."""
    return ServiceError("InvalidInputException", message)


def not_found(kind: str, entity_id: str) -> ServiceError:
    """Return the error for an id that no entity has; the text is AWS's own."""
    return ServiceError("ResourceNotFoundException", f"No {kind} with id {entity_id} exists")
