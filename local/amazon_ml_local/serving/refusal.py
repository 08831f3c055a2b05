"""Refuse a request in the format that its client expects."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from amazon_ml_local.errors import ServiceError
from amazon_ml_local.protocol import Response, error_answer

if TYPE_CHECKING:
    from amazon_ml_local.protocol import Request


def refusal(request: Request, error: ServiceError) -> Response:
    """Return the response for an error.

    JSON for requests with a target or to the control API, S3's XML for unsigned requests and S3, and for other services
    such as STS their XML, which has one element around it.
    """
    if request.header("x-amz-target") or request.path.startswith("/_local"):
        return error_answer(error)
    body = f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
    if request.credential and request.credential.service != "s3":
        body = f"<ErrorResponse>{body}</ErrorResponse>"
    return Response(error.status, {"Content-Type": "application/xml"}, body.encode())
