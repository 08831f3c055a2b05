"""A boto3 client whose requests reach the service in process."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectionClosedError

from airflow_ml_provider.local.protocol import Request

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest
    from botocore.client import BaseClient

    from airflow_ml_provider.local.service import AmazonMLLocal


class _Body(BytesIO):
    """A response's body as botocore reads it from urllib3."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()


def in_process_client(service: AmazonMLLocal, name: str, **settings: Any) -> BaseClient:
    """Return a boto3 client of ``machinelearning`` that calls ``service``.

    :raises ValueError: for another service: only Amazon ML is served in process
    """
    if name != "machinelearning":
        raise ValueError(f"only machinelearning is served in process, not {name!r}; serve() has the others")
    defaults = {"region_name": "us-east-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
    client: BaseClient = _session().client(name, **{**defaults, **settings})  # type: ignore[call-overload]

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        return _answer(service, request)

    client.meta.events.register("before-send.machinelearning.*", answer)  # type: ignore[arg-type]
    return client


def _answer(service: AmazonMLLocal, request: AWSPreparedRequest) -> AWSResponse:
    url = urlsplit(request.url)
    headers = {key: value if isinstance(value, str) else value.decode() for key, value in request.headers.items()}
    headers.setdefault("Host", url.netloc)
    body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
    response = service.handle(Request(request.method, url.path or "/", headers, body, url.scheme))
    if response.reset:
        raise ConnectionClosedError(endpoint_url=request.url)
    return AWSResponse(request.url, response.status, HTTPHeaders.from_dict(response.headers), _Body(response.body))
