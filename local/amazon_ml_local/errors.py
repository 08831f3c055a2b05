"""What the service answers when it refuses."""

from __future__ import annotations


class ServiceError(Exception):
    """An error of the service, as the client gets it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def invalid_input(message: str) -> ServiceError:
    """Make the error for a request that the service cannot accept."""
    return ServiceError("InvalidInputException", message)


def not_found(kind: str, entity_id: str) -> ServiceError:
    """Make the error for an id that no entity has; the text is AWS's own."""
    return ServiceError("ResourceNotFoundException", f"No {kind} with id {entity_id} exists")
