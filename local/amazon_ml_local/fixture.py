"""What the pytest fixture gives: the service on a socket, and its levers."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from amazon_ml_local.service import AmazonMLLocal
from amazon_ml_local.serving.application import Application, environment
from amazon_ml_local.serving.other_services import OtherServices
from amazon_ml_local.serving.server import Server
from amazon_ml_local.storage import MemoryStorage, S3Storage, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.client import BaseClient

    from amazon_ml_local.clock import Clock
    from amazon_ml_local.faults import Faults
    from amazon_ml_local.request_log import RequestLog
    from amazon_ml_local.storage import Storage


@dataclass(frozen=True)
class AmazonMLLocalFixture:
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
    def requests(self) -> RequestLog:
        """What reached the service."""
        return self.service.requests

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that point a client to it."""
        return environment(self.url)

    def client(self, name: str = "machinelearning", **settings: Any) -> BaseClient:
        """Return a boto3 client that calls it over the socket."""
        import boto3

        from amazon_ml_local.client import make_client

        names = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
        defaults = {argument: self.env[variable] for argument, variable in names.items()}
        defaults |= {"endpoint_url": self.url, "region_name": self.env["AWS_DEFAULT_REGION"]}
        return make_client(boto3, name, **{**defaults, **settings})


class _Storage:
    """Buckets that a test has put objects into memory for are read and written there, all others in S3."""

    def __init__(self, memory: MemoryStorage, s3: Storage) -> None:
        self._memory, self._s3 = memory, s3

    def read(self, uri: str) -> bytes:
        return self._of(uri).read(uri)

    def copy(self, uri: str, file: IO[bytes]) -> None:
        self._of(uri).copy(uri, file)

    def write(self, uri: str, body: bytes) -> None:
        self._of(uri).write(uri, body)

    def list(self, uri: str) -> list[str]:
        return self._of(uri).list(uri)

    def _of(self, uri: str) -> Storage:
        return self._memory if self._memory.list(f"s3://{split(uri)[0]}/") else self._s3


@contextmanager
def served() -> Iterator[AmazonMLLocalFixture]:
    """Serve Amazon ML Local on a free port until the context ends."""
    memory = MemoryStorage()
    with closing(OtherServices()) as other_services:
        storage = _Storage(memory, S3Storage(other_services.s3_client))
        with (
            closing(AmazonMLLocal(storage)) as service,
            Server(Application(service, other_services).handle) as server,
        ):
            yield AmazonMLLocalFixture(server.url, service, memory)
