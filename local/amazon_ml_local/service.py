"""Amazon ML Local itself: a request in, a response out."""

from __future__ import annotations

import itertools
import logging
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Literal, get_args

from amazon_ml_local import protocol
from amazon_ml_local.clock import Clock
from amazon_ml_local.entities import Region
from amazon_ml_local.errors import ServiceError
from amazon_ml_local.faults import Faults, Interrupted, interruption
from amazon_ml_local.jobs import Jobs
from amazon_ml_local.operations import OPERATIONS, Call
from amazon_ml_local.requests import Received, Requests
from amazon_ml_local.schedule import Durations, Life
from amazon_ml_local.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.client import BaseClient
    from botocore.model import OperationModel

    from amazon_ml_local.entities import Entity
    from amazon_ml_local.faults import When
    from amazon_ml_local.protocol import Credential, Parameters, Request, Response
    from amazon_ml_local.server import Server
    from amazon_ml_local.storage import Storage

logger = logging.getLogger(__name__)

FailingKind = Literal["DataSource", "MLModel", "Evaluation", "BatchPrediction", "RealtimeEndpoint"]


class AmazonMLLocal:
    """Amazon Machine Learning without sockets or files of its own. Safe to use from any thread.

    :param storage: where data comes from and results go
    :param databases: SQLAlchemy URLs by the ``DatabaseName`` of Redshift and RDS data sources
    :param endpoint_url: what realtime endpoints give as ``EndpointUrl``; None for the URL by which whoever asks comes
    :param durations: seconds that things take
    :param keep_requests: how many of the latest requests ``requests`` remembers
    """

    def __init__(
        self,
        storage: Storage,
        *,
        databases: Mapping[str, str] | None = None,
        endpoint_url: str | None = None,
        durations: Durations | None = None,
        keep_requests: int = 100_000,
    ) -> None:
        self.storage = storage
        self.endpoint_url = endpoint_url
        self.clock = Clock()
        self.durations = durations or Durations()
        self.faults = Faults()
        self.requests = Requests(keep_requests)
        self.changing = threading.RLock()
        self._regions: dict[str, Region] = {}
        self._numbers = itertools.count(1)
        self.polls_needed: int | None = None
        self._rate = 200
        self._failures: dict[tuple[str, str], str] = {}
        self._jobs = Jobs(storage, databases or {})

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        operation: OperationModel | None = None
        parameters: Parameters = {}
        code: str | None = None
        try:
            operation = protocol.operation_of(request)
            credential = protocol.check_envelope(request)
            given = protocol.parameters_of(request)
            parameters = protocol.without_secrets(protocol.input_of(operation), given)
            response = self._attempt(operation, given, parameters, credential.region, request)
        except ServiceError as error:
            response, code = protocol.error_answer(error), error.code
        except Interrupted as interrupted:
            response = interrupted.response
        except Exception:
            logger.exception("%s broke", operation.name if operation else "a request")
            code = "InternalServerException"
            response = protocol.error_answer(ServiceError(code, "An internal error occurred", 500))
        self._note(operation, parameters, response, code, request.credential)
        return response

    def client(self, name: Literal["machinelearning"] = "machinelearning", **settings: Any) -> BaseClient:
        """Return a boto3 client that calls this service in process, without a socket.

        :param settings: further arguments of boto3's ``client()``; region and dummy keys have defaults
        :raises ValueError: for another service
        """
        from amazon_ml_local.client import in_process_client

        if name != "machinelearning":
            raise ValueError(f"only machinelearning is served in process, not {name!r}; serve() has the others")
        return in_process_client(self.handle, name, **settings)

    @contextmanager
    def serve(self, host: str = "127.0.0.1", port: int = 0, s3_endpoint_url: str | None = None) -> Iterator[Server]:
        """Answer on a socket, from threads of its own, until the context ends; with the control API and moto.

        :param port: 0 takes a free one
        :param s3_endpoint_url: where S3 is instead, if moto is not to serve it
        """
        from amazon_ml_local.application import Application
        from amazon_ml_local.neighbours import Neighbours
        from amazon_ml_local.server import Server

        with (
            closing(Neighbours(s3_endpoint_url)) as neighbours,
            Server(Application(self, neighbours).handle, host, port) as server,
        ):
            yield server

    def close(self) -> None:
        """Forget the work that has not begun."""
        self._jobs.close()

    @property
    def peak_requests_per_second(self) -> int:
        """How many predictions an endpoint takes in any window of one second.

        Set, it holds at once; an endpoint tells the rate that it was created with. A lower one is as if others used
        the endpoint too.
        """
        return self._rate

    @peak_requests_per_second.setter
    def peak_requests_per_second(self, rate: int) -> None:
        if rate < 1:
            raise ValueError(f"peak_requests_per_second must be 1 or more, not {rate!r}")
        self._rate = rate

    def ready_after_polls(self, polls: int | None) -> None:
        """Let what is made from now on end at its ``polls``-th Get, whatever the time; None for by time again.

        An endpoint counts the GetMLModel calls since it was created.

        :raises ValueError: when ``polls`` is less than 1
        """
        if polls is not None and polls < 1:
            raise ValueError(f"polls must be 1 or more, not {polls!r}")
        self.polls_needed = polls

    def not_mounted_for(self, seconds: float) -> None:
        """Let Predict say PredictorNotMountedException for ``seconds`` after an endpoint is READY."""
        self.durations.set(mount=seconds)

    def fail(self, kind: FailingKind, entity_id: str, message: str = "Told to fail") -> None:
        """Let that entity, or the endpoint of that model, end FAILED: the present one and each made later.

        :raises ValueError: for a kind that cannot fail
        """
        if kind not in get_args(FailingKind):
            raise ValueError(f"no kind {kind!r}; there are {', '.join(get_args(FailingKind))}")
        self._failures[kind, entity_id] = message
        for life in self._lives(kind, entity_id):
            life.failure = message

    def new_life(self, kind: str, entity_id: str, duration: float) -> Life:
        """Make the life of what is created now."""
        failure = self._failures.get((kind, entity_id))
        return Life(self.clock.now(), duration, self.polls_needed, failure)

    def start(self, entity: Entity, region: Region) -> None:
        """Keep a new entity and begin its work."""
        region.add(entity)
        self._jobs.start(entity)

    def next_number(self) -> int:
        """Return the place of a new entity in the order of creation."""
        return next(self._numbers)

    def _lives(self, kind: str, entity_id: str) -> Iterator[Life]:
        for region in list(self._regions.values()):
            entity = region.find("MLModel" if kind == "RealtimeEndpoint" else kind, entity_id)
            if entity and kind != "RealtimeEndpoint":
                yield entity.life
            elif entity and entity.endpoints:
                yield entity.endpoints[-1].life

    def _attempt(
        self, operation: OperationModel, given: Parameters, parameters: Parameters, region: str, request: Request
    ) -> Response:
        lag = self._befall(operation.name, "before")
        validate(protocol.input_of(operation), given)
        with self.changing:
            entities = self._regions.setdefault(region, Region())
        url = self.endpoint_url or f"{request.scheme}://{request.header('host') or 'localhost'}"
        result = OPERATIONS[operation.name](Call(self, operation.name, parameters, entities, url, lag))
        self._befall(operation.name, "after")
        return protocol.answer(200, protocol.serialise(protocol.output_of(operation), result))

    def _befall(self, operation: str, when: When) -> float:
        """Let the faults on order happen; return how many seconds old the answer is to be."""
        lag = 0.0
        for fault in self.faults.draw(operation, when):
            if fault.kind == "slow":
                self.clock.sleep(fault.seconds)
            elif fault.kind == "lag":
                lag = fault.seconds
            else:
                raise interruption(fault)
        return lag

    def _note(
        self,
        operation: OperationModel | None,
        parameters: Parameters,
        response: Response,
        code: str | None,
        credential: Credential | None,
    ) -> None:
        name = operation.name if operation else "?"
        who = (credential.access_key, credential.region) if credential else (None, None)
        self.requests.add(Received(name, parameters, self.clock.now(), response.status, code, *who))
        logger.info("%s %s %s", name, response.status, code or "")
