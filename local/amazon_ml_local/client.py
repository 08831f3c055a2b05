"""Create boto3 clients, also one that calls the service in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError

from amazon_ml_local.protocol import Request

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient

    from amazon_ml_local.protocol import Response


class _Body(BytesIO):
    """A response's body as botocore reads it from urllib3."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()


def make_client(session: Any, name: str, **settings: Any) -> BaseClient:
    """Return a client of the service ``name``, of any name: boto3's types allow literal names only.

    :param session: a session of boto3, or boto3 itself for the default one.
    """
    client: BaseClient = session.client(name, **settings)
    return client


def in_process_client(handle: Callable[[Request], Response], name: str, **settings: Any) -> BaseClient:
    """Return a boto3 client of the service ``name`` whose requests ``handle`` answers."""
    defaults = {"region_name": "us-east-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    client = make_client(_session(), name, **{**defaults, **settings})

    def answer(request: AWSPreparedRequest, **_: Any) -> Any:
        return _answer(handle, request)

    client.meta.events.register("before-send", answer)
    return client


def _bytes(body: Any) -> bytes:
    content = body.read() if hasattr(body, "read") else body or b""
    return content.encode() if isinstance(content, str) else bytes(content)


def _realtime_host(host: str) -> str:
    """Return the host from which the service makes the ``EndpointUrl``: as on AWS, not that of other operations."""
    return f"realtime.{host}" if host.startswith("machinelearning.") else host


def _answer(handle: Callable[[Request], Response], request: AWSPreparedRequest) -> AWSResponse:
    url = urlsplit(request.url)
    headers = {key: value if isinstance(value, str) else value.decode() for key, value in request.headers.items()}
    headers["Host"] = _realtime_host(url.netloc)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    response = handle(Request(request.method, path, headers, _bytes(request.body), url.scheme))
    if response.reset:
        raise ConnectionClosedError(endpoint_url=request.url)
    return AWSResponse(request.url, response.status, HTTPHeaders.from_dict(response.headers), _Body(response.body))
