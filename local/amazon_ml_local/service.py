"""The service: takes a request, returns a response."""

from __future__ import annotations

import logging
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Literal, cast

from amazon_ml_local import protocol
from amazon_ml_local.clock import LATEST_DATE
from amazon_ml_local.data_folder import DataFolderError
from amazon_ml_local.entity_store import EntityStore
from amazon_ml_local.errors import ServiceError
from amazon_ml_local.faults import Faults, Interrupted, interruption
from amazon_ml_local.jobs import Jobs
from amazon_ml_local.operations import OPERATIONS
from amazon_ml_local.request_log import Received, RequestLog
from amazon_ml_local.schedule import Durations
from amazon_ml_local.state import OperationCall, State
from amazon_ml_local.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from botocore.model import OperationModel
    from mypy_boto3_machinelearning.client import MachineLearningClient

    from amazon_ml_local.data_folder import DataFolder
    from amazon_ml_local.entities import Entity
    from amazon_ml_local.faults import When
    from amazon_ml_local.protocol import Credential, Parameters, Request, Response
    from amazon_ml_local.state import FailingKind
    from amazon_ml_local.storage import Storage

logger = logging.getLogger(__name__)


class AmazonMLLocal:
    """Amazon Machine Learning without sockets or files of its own. Safe to use from any thread.

    :param storage: where data files are read and results written
    :param databases: SQLAlchemy URLs by the ``DatabaseName`` of Redshift and RDS data sources
    :param endpoint_url: the ``EndpointUrl`` of realtime endpoints; None for the URL of the request that asks
    :param durations: seconds that entities and endpoints take
    :param data_folder: the folder to load everything from and store it in; None stores nothing
    :param keep_requests: how many of the latest requests ``requests`` keeps
    """

    def __init__(
        self,
        storage: Storage,
        *,
        databases: Mapping[str, str] | None = None,
        endpoint_url: str | None = None,
        durations: Durations | None = None,
        keep_requests: int = 100_000,
        data_folder: DataFolder | None = None,
    ) -> None:
        self.storage = storage
        self.endpoint_url = endpoint_url
        self.faults = Faults()
        self.requests = RequestLog(keep_requests)
        self.state = State(Jobs(storage, databases or {}), durations or Durations())
        self.clock, self.durations = self.state.clock, self.state.durations
        self._store = EntityStore(data_folder, self.state) if data_folder else None
        if self._store:
            self.state.jobs.store = self._store
            self._store.load()
            self._store.save()  # also so that a folder which cannot be written stops the start, not a later request

    def handle(self, request: Request) -> Response:
        """Return the response to a request."""
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
        except DataFolderError as error:
            logger.error("%s", error)
            code = "InternalServerException"
            response = protocol.error_answer(ServiceError(code, f"Nothing of this is kept: {error}", 500))
        except Exception:
            logger.exception("%s broke", operation.name if operation else "a request")
            code = "InternalServerException"
            response = protocol.error_answer(ServiceError(code, "An internal error occurred", 500))
        self._log_request(operation, parameters, response, code, request.credential)
        date = formatdate(min(self.clock.now(), LATEST_DATE), usegmt=True)
        return replace(response, headers={**response.headers, "Date": date})

    def client(self, name: Literal["machinelearning"] = "machinelearning", **settings: Any) -> MachineLearningClient:
        """Return a boto3 client that calls this service in process, without a socket.

        :param settings: further arguments of boto3's ``client()``; region and dummy keys have defaults
        :raises ValueError: for another service
        """
        from amazon_ml_local.client import in_process_client

        if name != "machinelearning":
            raise ValueError(f"only machinelearning is served in process, not {name!r}; serving.serve() has the others")
        return cast("MachineLearningClient", in_process_client(self.handle, name, **settings))

    def close(self) -> None:
        """End all jobs; with a data folder the next service there starts them again."""
        if self._store:
            self._store.closed = True  # first, so that jobs which end here are not stored as failed
        self.state.jobs.close()

    def save(self, touched: Iterable[Entity] | None = None) -> None:
        """Store all changes, if there is a data folder.

        :param touched: the settled entities that may have changed; None for any
        :raises DataFolderError: when the folder cannot be written
        """
        if self._store:
            self._store.save(touched)

    def reset(self) -> None:
        """Remove all entities, requests and faults, and set all levers back.

        :raises DataFolderError: when the folder cannot be written
        """
        with self.state.changing:  # so that nothing is created or stored in between
            if self._store:
                self._store.clear()
            self.state.reset()
            self.save()  # the clock, which was set back
        self.faults.clear()
        self.requests.clear()

    @property
    def peak_requests_per_second(self) -> int:
        """The number of predictions that an endpoint takes in any window of one second.

        A new rate holds at once, while ``PeakRequestsPerSecond`` of an endpoint stays as it was created. So a lower
        rate looks as if others used the endpoint too.
        """
        return self.state.peak_requests_per_second

    @peak_requests_per_second.setter
    def peak_requests_per_second(self, rate: int) -> None:
        self.state.peak_requests_per_second = rate

    def ready_after_polls(self, polls: int | None) -> None:
        """Set that what is created from now on ends at its ``polls``-th Get, whatever the time; None for by time again.

        An endpoint counts the GetMLModel calls since it was created.

        :raises ValueError: when ``polls`` is less than 1
        """
        self.state.ready_after_polls(polls)

    def not_mounted_for(self, seconds: float) -> None:
        """Answer Predict with PredictorNotMountedException for ``seconds`` after an endpoint is READY."""
        self.durations.set(mount=seconds)

    def fail(self, kind: FailingKind, entity_id: str, message: str = "Told to fail") -> None:
        """Set that an entity, or the endpoint of a model, ends FAILED: the present one, and all created later.

        :raises ValueError: for a kind that cannot fail
        """
        self.state.fail(kind, entity_id, message)

    def _attempt(
        self, operation: OperationModel, given: Parameters, parameters: Parameters, region: str, request: Request
    ) -> Response:
        """Run an operation between the faults before and after it, and store its changes before the answer.

        :param given: the members as they were sent, which are validated
        :param parameters: those that the operation has, with sensitive ones masked, which it uses
        """
        lag = self._apply_faults(operation.name, "before")
        validate(protocol.input_of(operation), given)
        url = self.endpoint_url or f"{request.scheme}://{request.header('host') or 'localhost'}"
        call = OperationCall(self.state, operation.name, parameters, self.state.region(region), url, lag)
        result = OPERATIONS[operation.name](call)
        if operation.name != "Predict":  # which changes nothing
            self.save(call.touched)
        for entity in call.deleted:
            self.state.jobs.discard(entity)
        self._apply_faults(operation.name, "after")
        return protocol.answer(200, protocol.serialise(protocol.output_of(operation), result))

    def _apply_faults(self, operation: str, when: When) -> float:
        """Apply the faults that were ordered; return how many seconds old the answer must be."""
        lag = 0.0
        for fault in self.faults.draw(operation, when):
            if fault.kind == "slow":
                self.clock.sleep(fault.seconds)
            elif fault.kind == "lag":
                lag = fault.seconds
            else:
                raise interruption(fault)
        return lag

    def _log_request(
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
