"""Refuse requests from web pages: any page that a developer has open can send requests to this machine.

What tells them from programs are three headers that no page can leave out or choose: the Host that it calls, and the
Origin and Sec-Fetch-Site (https://www.w3.org/TR/fetch-metadata/) by which its browser says where it comes from.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from amazon_ml_local.errors import ServiceError
from amazon_ml_local.serving.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from amazon_ml_local.protocol import Request, Response

AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]+))(?::\d+)?")
ABSOLUTE_TARGET = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]*)", re.IGNORECASE)
LOOPBACK_NAMES = ("localhost", "*.localhost")
AWS_NAMES = ("*.amazonaws.com",)
OWN_SITES = ("", "none", "same-origin")
PAGES = re.compile(r"/|/_local(/.*)?")
# Objects and folders in S3, with no query that makes anything else of them; behind /moto-api a GET changes moto.
OBJECTS = re.compile(r"/(?!_local|moto-api)[^?]+(\?prefix=[^&]*)?")
ADVICE = "Call it from a program, by an AWS SDK or the aws CLI; to look at it, open its URL in a tab of its own."


class Guard:
    """Decide which requests may pass.

    :param allowed_hosts: names and addresses, beyond those of loopback, by which the service may be called; ``*.NAME``
        admits every name below NAME
    """

    def __init__(self, allowed_hosts: Iterable[str] = ()) -> None:
        self._allowed = (*LOOPBACK_NAMES, *(name.lower() for name in allowed_hosts))

    def check(self, request: Request) -> Response | None:
        """Return the refusal of a request that a web page may have sent, or None if it may pass."""
        reason = self._wrong_host(request) or _foreign_page(request)
        return refusal(request, ServiceError("AccessDeniedException", reason, 403)) if reason else None

    def _wrong_host(self, request: Request) -> str | None:
        """Return why the host is not allowed, or None if it is.

        With any name that points to this machine, its owner's page would have the same origin as this service.
        """
        hosts, allowed = [request.header("host")], self._allowed
        if target := ABSOLUTE_TARGET.match(request.path):
            # boto 2 uses the service as a proxy. A page cannot: a browser sends an absolute URL to a proxy only.
            hosts, allowed = [*hosts, target[1]], (*allowed, *AWS_NAMES)
        wrong = [host for host in hosts if not _is_among(host, allowed)]
        if not wrong:
            return None
        return (
            f"This service is not to be called by the host {wrong[0]!r}. Call it by 127.0.0.1 or localhost; or start "
            "it with --allowed-host NAME, without a port, for programs that need that name."
        )


def _is_among(authority: str, names: Iterable[str]) -> bool:
    """Return whether a host, with or without a port, is an address of loopback or has one of the names."""
    matched = AUTHORITY.fullmatch(authority.strip().lower())
    if not matched:
        return False
    host = matched[1] or matched[2]
    return _is_loopback(host) or any(
        host.endswith(name[1:]) if name.startswith("*.") else host == name for name in names
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _foreign_page(request: Request) -> str | None:
    """Return why the request is taken for one of a page of another origin, or None if it is not."""
    own, origin = request.header("host").strip().lower(), request.header("origin")
    site = request.header("sec-fetch-site").lower()
    if origin and origin.lower() not in (f"http://{own}", f"https://{own}"):
        return f"Web pages cannot use this service, and a page of the origin {origin!r} sent this. {ADVICE}"
    if site not in OWN_SITES and not _follows_a_link(request):
        return f"Web pages cannot use this service, and a page sent this: Sec-Fetch-Site is {site!r}. {ADVICE}"
    return None


def _follows_a_link(request: Request) -> bool:
    """Return whether this request opens a page or an object in a tab, which the page with the link cannot read."""
    return (_is_navigation(request) and bool(PAGES.fullmatch(request.path))) or opens_object(request)


def opens_object(request: Request) -> bool:
    """Return whether a browser opens an object or a folder in S3 in a tab."""
    return _is_navigation(request) and bool(OBJECTS.fullmatch(unquote(request.path)))


def _is_navigation(request: Request) -> bool:
    is_top_level = (request.header("sec-fetch-mode"), request.header("sec-fetch-dest")) == ("navigate", "document")
    return request.method in ("GET", "HEAD") and is_top_level
