"""A request that nobody here answers, refused in a shape that its client can read."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from amazon_ml_local.errors import ServiceError
from amazon_ml_local.protocol import Response, error_answer

if TYPE_CHECKING:
    from amazon_ml_local.protocol import Request


def refusal(request: Request, error: ServiceError) -> Response:
    """Return why not, in JSON to clients that name a target or use the levers, in XML to those of S3 and the rest."""
    if request.header("x-amz-target") or request.path.startswith("/_local"):
        return error_answer(error)
    body = f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
    if request.credential and request.credential.service != "s3":
        body = f"<ErrorResponse>{body}</ErrorResponse>"
    return Response(error.status, {"Content-Type": "application/xml"}, body.encode())
