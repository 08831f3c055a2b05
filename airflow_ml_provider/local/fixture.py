"""What the pytest fixture gives: the service on a socket, and its levers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_ml_provider.local.service import AmazonMLLocal
from airflow_ml_provider.local.storage import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.client import BaseClient

    from airflow_ml_provider.local.clock import Clock
    from airflow_ml_provider.local.faults import Faults
    from airflow_ml_provider.local.requests import Requests


@dataclass(frozen=True)
class LocalFixture:
    """A served Amazon ML Local.

    ``storage`` holds the service's objects: what is put there is read as from S3.
    ``env`` are the environment variables that point a client to it.
    """

    url: str
    service: AmazonMLLocal
    storage: MemoryStorage

    @property
    def clock(self) -> Clock:
        """The service's time."""
        return self.service.clock

    @property
    def faults(self) -> Faults:
        """What goes wrong."""
        return self.service.faults

    @property
    def requests(self) -> Requests:
        """What reached the service."""
        return self.service.requests

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that point a client to it."""
        return environment(self.url)

    def client(self, name: str = "machinelearning", **settings: Any) -> BaseClient:
        """Return a boto3 client that calls it over the socket."""
        import boto3

        names = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
        defaults = {argument: self.env[variable] for argument, variable in names.items()}
        defaults |= {"endpoint_url": self.url, "region_name": self.env["AWS_DEFAULT_REGION"]}
        client: BaseClient = boto3.client(name, **{**defaults, **settings})  # type: ignore[call-overload]
        return client


def environment(url: str) -> dict[str, str]:
    """Return the environment variables that point AWS clients to ``url``."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }


@contextmanager
def served() -> Iterator[LocalFixture]:
    """Serve Amazon ML Local on a free port until the context ends."""
    storage = MemoryStorage()
    service = AmazonMLLocal(storage)
    with service.serve() as server:
        yield LocalFixture(server.url, service, storage)
    service.close()
