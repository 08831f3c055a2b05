"""Serve over HTTP: the service, its levers, its pages, and the rest of AWS on the same port."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from amazon_ml_local.serving.application import Application
from amazon_ml_local.serving.other_services import OtherServices
from amazon_ml_local.serving.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from amazon_ml_local.service import AmazonMLLocal


@contextmanager
def serve(
    service: AmazonMLLocal,
    host: str = "127.0.0.1",
    port: int = 0,
    s3_endpoint_url: str | None = None,
    allowed_hosts: Iterable[str] = (),
) -> Iterator[Server]:
    """Answer on a socket, from threads of its own, until the context ends; with the control API and moto.

    :param port: 0 takes a free one
    :param s3_endpoint_url: where S3 is instead, if moto is not to serve it
    :param allowed_hosts: names and addresses, beyond those of loopback, by which it may be called
    """
    with (
        closing(OtherServices(s3_endpoint_url)) as other_services,
        Server(Application(service, other_services, allowed_hosts).handle, host, port) as server,
    ):
        yield server
