"""What S3 does and moto does not: make conditional writes atomic, and refuse uploads that are gone.

Source: Amazon S3 user guide, "Conditional writes" and "Conditional deletes".
"""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from amazon_ml_local.protocol import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from amazon_ml_local.protocol import Request

    Send = Callable[[Request], Response]

CONDITIONS = ("if-match", "if-none-match")
NOT_SENT_ON = frozenset({*CONDITIONS, "content-length", "content-md5", "transfer-encoding"})
ERROR = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message>{}</Error>'

# One for the process, as moto's state is.
writing = threading.RLock()


def send_s3(request: Request, send: Send) -> Response:
    """Pass on a request for S3; no other write comes between the check of a conditional write and the write itself."""
    if request.method in ("GET", "HEAD"):
        return send(request)
    query = parse_qs(urlsplit(request.path).query, keep_blank_values=True)
    # The parts of an upload change no object until it is completed.
    changes_object = "partNumber" not in query and "uploads" not in query
    with writing if changes_object else nullcontext():
        try:
            return _refusal(request, send) or send(_without_conditions(request))
        except KeyError:  # moto's own, for an upload that is completed or aborted
            if "uploadId" not in query:
                raise
            return _error(404, "NoSuchUpload", "The specified multipart upload does not exist")


def _refusal(request: Request, send: Send) -> Response | None:
    """Return the refusal of a write whose conditions are not met, or None if they are."""
    match, none_match = (request.header(name) for name in CONDITIONS)
    if none_match not in ("", "*") or (match and none_match):
        return _error(501, "NotImplemented", "A header you provided implies functionality that is not implemented")
    if not match and not none_match:
        return None
    found = send(_read(request, "HEAD"))
    if none_match:
        return _failed("If-None-Match") if found.status == 200 else None
    if found.status == 404:
        return send(_read(request, "GET"))  # S3 names what is missing: the key or the bucket
    is_met = match in ("*", _etag(found), _etag(found).strip('"'))  # some clients leave out the quotes
    return None if is_met else _failed("If-Match")


def _read(request: Request, method: str) -> Request:
    """Return a request that reads the object which ``request`` writes."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in NOT_SENT_ON}
    return replace(request, method=method, path=urlsplit(request.path).path, headers=headers, body=b"")


def _without_conditions(request: Request) -> Request:
    """Return a request without the conditions that ``_refusal`` has checked: some versions of moto check them too."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in CONDITIONS}
    return replace(request, headers=headers)


def _etag(found: Response) -> str:
    return next((value for name, value in found.headers.items() if name.lower() == "etag"), "")


def _failed(condition: str) -> Response:
    text = "At least one of the pre-conditions you specified did not hold"
    return _error(412, "PreconditionFailed", text, f"<Condition>{condition}</Condition>")


def _error(status: int, code: str, message: str, more: str = "") -> Response:
    return Response(status, {"Content-Type": "application/xml"}, ERROR.format(code, message, more).encode())
