"""The value of the pytest fixture: the service on a socket, and its levers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, overload

from amazon_ml_local.service import AmazonMLLocal
from amazon_ml_local.serving.application import Application, environment
from amazon_ml_local.serving.other_services import OtherServices
from amazon_ml_local.serving.server import Server
from amazon_ml_local.storage import MemoryStorage, S3Storage, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.client import BaseClient
    from mypy_boto3_machinelearning.client import MachineLearningClient
    from mypy_boto3_s3.client import S3Client

    from amazon_ml_local.clock import Clock
    from amazon_ml_local.faults import Faults
    from amazon_ml_local.request_log import RequestLog
    from amazon_ml_local.storage import Storage


@dataclass(frozen=True)
class AmazonMLLocalFixture:
    """An Amazon ML Local on a socket.

    ``storage`` holds the test's objects, which the service and S3 clients read.
    """

    url: str
    service: AmazonMLLocal
    storage: FixtureStorage
    _clients: dict[str, BaseClient] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def clock(self) -> Clock:
        """The service's time."""
        return self.service.clock

    @property
    def faults(self) -> Faults:
        """The faults that requests meet; ``faults.add()`` orders one."""
        return self.service.faults

    @property
    def requests(self) -> RequestLog:
        """The requests that reached the service."""
        return self.service.requests

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that point a client to it."""
        return environment(self.url)

    def seed(self, seed: Path | str | Mapping[str, Any]) -> None:
        """Create the buckets, files, data sources, models and READY endpoints that a seed lists.

        :param seed: the path of a YAML or JSON file, or the content of one
        :raises SeedError: when it is not a valid seed, or the service refuses a part of it
        """
        from amazon_ml_local.seeding import make_seed, read_seed

        checked = make_seed(seed, Path()) if isinstance(seed, Mapping) else read_seed(Path(seed))
        for uri, body in checked.files.items():
            self.storage.write(uri, body)
        if checked.buckets:
            self.storage.other_services.put(objects={}, buckets=checked.buckets)
        checked.create(self.service)

    @overload
    def client(self, name: Literal["machinelearning"] = ..., **settings: Any) -> MachineLearningClient: ...
    @overload
    def client(self, name: Literal["s3"], **settings: Any) -> S3Client: ...
    @overload
    def client(self, name: str, **settings: Any) -> BaseClient: ...
    def client(self, name: str = "machinelearning", **settings: Any) -> BaseClient:
        """Return a boto3 client that calls it over the socket; without settings, always the same one.

        :param name: the name of the AWS service; ``s3`` and ``sts`` are on the same socket.
        :param settings: further arguments of boto3's ``client()``; URL, region and dummy keys have defaults.
        """
        import boto3

        from amazon_ml_local.client import make_client

        names = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
        defaults = {argument: self.env[variable] for argument, variable in names.items()}
        defaults |= {"endpoint_url": self.url, "region_name": self.env["AWS_DEFAULT_REGION"]}
        if settings:
            return make_client(boto3, name, **{**defaults, **settings})
        if name not in self._clients:
            self._clients[name] = make_client(boto3, name, **defaults)
        return self._clients[name]


class FixtureStorage(MemoryStorage):
    """The objects of a test, in memory until the first request for S3 loads moto, which gets them then.

    S3 clients see what is written before and after. A bucket is created with its first object.
    """

    def __init__(self) -> None:
        super().__init__()
        self.other_services = OtherServices(objects=self.objects)
        self.s3 = S3Storage(self.other_services.s3_client)

    def read(self, uri: str) -> bytes:
        """Return the object's bytes. Raises StorageError when it is missing."""
        return self.s3.read(uri) if self.other_services.loaded else super().read(uri)

    def write(self, uri: str, body: bytes) -> None:
        """Store the bytes under the URI, replacing what was there."""
        with self.other_services.loading:  # either it is there when S3 is filled, or S3 is loaded
            super().write(uri, body)
        if self.other_services.loaded:
            self.other_services.put({uri: body})

    def list(self, uri: str) -> list[str]:
        """Return the URIs under a prefix, sorted; [uri] when it is an object itself."""
        return self.s3.list(uri) if self.other_services.loaded else super().list(uri)


class _ServiceStorage:
    """The storage of the service: the test's buckets in memory until moto is loaded, and moto's S3 for all else."""

    def __init__(self, objects: FixtureStorage) -> None:
        self._objects = objects

    def read(self, uri: str) -> bytes:
        return self._storage_of(uri).read(uri)

    def copy(self, uri: str, file: IO[bytes]) -> None:
        self._storage_of(uri).copy(uri, file)

    def write(self, uri: str, body: bytes) -> None:
        self._storage_of(uri).write(uri, body)

    def list(self, uri: str) -> list[str]:
        return self._storage_of(uri).list(uri)

    def _storage_of(self, uri: str) -> Storage:
        in_s3 = self._objects.other_services.loaded or not self._objects.list(f"s3://{split(uri)[0]}/")
        return self._objects.s3 if in_s3 else self._objects


@contextmanager
def served() -> Iterator[AmazonMLLocalFixture]:
    """Serve Amazon ML Local on a free port until the context ends."""
    objects = FixtureStorage()
    with (
        closing(objects.other_services) as other_services,
        closing(AmazonMLLocal(_ServiceStorage(objects))) as service,
        Server(Application(service, other_services).handle) as server,
    ):
        yield AmazonMLLocalFixture(server.url, service, objects)
