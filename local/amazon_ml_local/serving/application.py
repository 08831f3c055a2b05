"""The application on one port: Amazon ML, its control API and pages, and moto for the rest of AWS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from amazon_ml_local.serving.control import Control
from amazon_ml_local.serving.guard import Guard, opens_object
from amazon_ml_local.serving.pages import Pages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from amazon_ml_local.protocol import Request, Response
    from amazon_ml_local.service import AmazonMLLocal
    from amazon_ml_local.serving.other_services import OtherServices

DUMMY_KEYS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
SIGNATURE = "AWS4-HMAC-SHA256 Credential=browser/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00"
CORS_PREFIX = "access-control-"
FORM = "application/x-www-form-urlencoded"  # what query services such as STS send


class Application:
    """Route each request to the part that answers it, unless a web page may have sent it.

    :param allowed_hosts: names and addresses, beyond those of loopback, by which it may be called; ``*.NAME`` admits
        every name below NAME
    """

    def __init__(
        self, service: AmazonMLLocal, other_services: OtherServices, allowed_hosts: Iterable[str] = ()
    ) -> None:
        self.service, self.other_services = service, other_services
        self.control = Control(service, other_services.reset)
        self.pages = Pages(service)
        self._guard = Guard(allowed_hosts)

    def handle(self, request: Request) -> Response:
        """Return the response to a request, without headers that let web pages of other origins read it."""
        response = self._guard.check(request) or self._answer(request)
        headers = {name: value for name, value in response.headers.items() if not name.lower().startswith(CORS_PREFIX)}
        return replace(response, headers=headers)

    def _answer(self, request: Request) -> Response:
        if page := self.pages.handle(request):
            return page
        if request.path.startswith("/_local"):
            return self.control.handle(request)
        if _is_amazon_ml(request):
            return self.service.handle(request)
        # A browser opens objects that are not public, too.
        response = self.other_services.handle(_signed(request) if opens_object(request) else request)
        # A stored page is of this service's origin: without this its scripts could use the service.
        return replace(response, headers={**response.headers, "Content-Security-Policy": "sandbox"})


def environment(url: str, s3_endpoint_url: str | None = None) -> dict[str, str]:
    """Return the environment variables that point AWS clients to ``url``, and those of S3 elsewhere if given.

    With S3 elsewhere there are no dummy keys among them, since the user's own may be needed there.
    """
    variables = {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1"}
    if s3_endpoint_url:
        return {**variables, "AWS_ENDPOINT_URL_S3": s3_endpoint_url}
    return {**variables, **DUMMY_KEYS}


def _signed(request: Request) -> Request:
    """Sign a browser's request, which is unsigned: moto shows only public objects without a signature."""
    return replace(request, headers={**request.headers, "Authorization": SIGNATURE})


def _is_amazon_ml(request: Request) -> bool:
    """Return whether a request is for Amazon ML, by its target or its signature.

    An unsigned POST to ``/`` without a target is too, unless it is a form, so that it gets Amazon ML's own error.
    """
    target, credential = request.header("x-amz-target"), request.credential
    if target.startswith("AmazonML_"):
        return True
    if credential:
        return credential.service == "machinelearning"
    is_form = request.header("content-type").startswith(FORM)
    return request.method == "POST" and request.path == "/" and not target and not is_form
