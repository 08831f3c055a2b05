"""The entities of the service: data sources, models with their endpoints, evaluations, batch predictions."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from amazon_ml_local.errors import not_found
from amazon_ml_local.learning.log import JobLog
from amazon_ml_local.schedule import NEVER, Lifecycle

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.protocol import Parameters

EntityStatus = Literal["PENDING", "INPROGRESS", "COMPLETED", "FAILED", "DELETED"]
EndpointStatus = Literal["NONE", "UPDATING", "READY", "FAILED"]

ONE_SECOND = 1.0


class Kind(NamedTuple):
    """A kind of entity: AWS's name, its field in ``Durations``, and its inputs: (member of Create, kind) each."""

    name: str
    duration: str
    inputs: tuple[tuple[str, str], ...]

    @property
    def id_member(self) -> str:
        """The member with the id."""
        return f"{self.name}Id"

    @property
    def name_member(self) -> str:
        """The member of Create and Update with the name."""
        return f"{self.name}Name"


KINDS = {
    kind.name: kind
    for kind in (
        Kind("DataSource", "data_source", ()),
        Kind("MLModel", "ml_model", (("TrainingDataSourceId", "DataSource"),)),
        Kind("Evaluation", "evaluation", (("MLModelId", "MLModel"), ("EvaluationDataSourceId", "DataSource"))),
        Kind(
            "BatchPrediction",
            "batch_prediction",
            (("MLModelId", "MLModel"), ("BatchPredictionDataSourceId", "DataSource")),
        ),
    )
}


@dataclass(eq=False)
class Endpoint:
    """One realtime endpoint of a model, from its Create to its Delete.

    :ivar admitted: the times of the predictions in the last second
    """

    lifecycle: Lifecycle
    peak_requests_per_second: int
    admitted: deque[float] = field(default_factory=deque)
    admitting: Lock = field(default_factory=Lock)

    def advance_to(self, now: float) -> None:
        """Bring the lifecycle up to ``now``: an endpoint has no inputs and no job to wait for."""
        self.lifecycle.plan(self.lifecycle.created_at)
        self.lifecycle.advance_to(now, done=True)

    def status(self, now: float) -> EndpointStatus:
        """Return its status at the time ``now``."""
        state = self.lifecycle.state_at(now)
        if state == "ENDED":
            return "FAILED" if self.lifecycle.failure else "READY"
        return "NONE" if state == "DELETED" else "UPDATING"

    def is_mounted(self, now: float, mount_seconds: float) -> bool:
        """Return whether it can predict at the time ``now``: it has been READY for as long as mounting takes."""
        return self.status(now) == "READY" and now >= self.lifecycle.finished_at + mount_seconds

    def admit(self, clock: Clock, rate: int) -> bool:
        """Count one more prediction, unless there were ``rate`` in the last second; return whether it was counted."""
        with self.admitting:
            now = clock.now()
            while self.admitted and now - self.admitted[0] >= ONE_SECOND:
                self.admitted.popleft()
            if len(self.admitted) >= rate:
                return False
            self.admitted.append(now)
            return True


@dataclass(eq=False)
class Entity:
    """One entity of any kind.

    :ivar sequence: its place in the order in which all entities of the service were created, from 1
    :ivar operation: the operation that created it, and ``parameters`` its members, with secrets masked
    :ivar job: the result of the work behind it, or the JobError with which that failed
    :ivar endpoints: a model's realtime endpoints, of which only the last can exist
    """

    kind: Kind
    id: str
    region: str
    sequence: int
    operation: str
    parameters: Parameters
    inputs: tuple[Entity, ...]
    lifecycle: Lifecycle
    name: str | None
    updated_at: float
    job: Future[Any] = field(default_factory=Future)
    tags: dict[str, str | None] = field(default_factory=dict)
    score_threshold: float | None = None
    threshold_updated_at: float | None = None
    endpoints: list[Endpoint] = field(default_factory=list)
    log: JobLog = field(default_factory=JobLog)

    def advance_to_now(self, clock: Clock, wait: bool = True) -> None:
        """Bring the lifecycle up to now.

        On a frozen clock, or if it ends at a certain Get, a job that is due is waited for, however long it takes: what
        tests see must not depend on how fast the machine is. With ``wait`` False the lifecycle stays as it is until the
        job is done.
        """
        if self.lifecycle.finished_at != NEVER:
            return
        now = clock.now()
        for entity in self.inputs:
            entity.advance_to_now(clock, wait)
        self.lifecycle.plan(max([self.lifecycle.created_at, *(entity.lifecycle.finished_at for entity in self.inputs)]))
        if now >= self.lifecycle.due_at and (clock.frozen or self.lifecycle.polls_needed is not None):
            if not (wait or self.job.done()):
                return
            self.job.exception()  # waits for its end, and does not raise
        self.lifecycle.advance_to(now, self.job.done())

    @property
    def is_settled(self) -> bool:
        """Return whether only a request can change it: its job is done, and it and its endpoint have ended."""
        ends = [min(each.lifecycle.finished_at, each.lifecycle.deleted_at) for each in self.endpoints[-1:]]
        return self.job.done() and NEVER not in (self.lifecycle.finished_at, *ends)

    def poll(self, clock: Clock) -> None:
        """Count a Get of this entity, and of its endpoint."""
        now = clock.now()
        if self.lifecycle.poll(now):
            self._make_due(now)
        if self.endpoints:
            self.endpoints[-1].lifecycle.poll(now)

    def _make_due(self, now: float) -> None:
        """Make its work due, and that of all its inputs, since it begins when they are finished."""
        self.lifecycle.make_due(now)
        for entity in self.inputs:
            entity._make_due(now)

    def last_updated_at(self, now: float) -> float:
        """Return the time of its latest change up to ``now``; that it finished counts as a change."""
        finished_at = self.lifecycle.finished_at
        return max(self.updated_at, finished_at) if finished_at <= now else self.updated_at

    def status(self, now: float) -> EntityStatus:
        """Return its status at the time ``now``."""
        state = self.lifecycle.state_at(now)
        if state == "ENDED":
            return "FAILED" if self.failure else "COMPLETED"
        return state

    @property
    def failure(self) -> str | None:
        """The reason why it fails, once that is known."""
        if self.lifecycle.failure or not self.job.done():
            return self.lifecycle.failure
        error = self.job.exception()
        return None if error is None else str(error)

    def endpoint(self, now: float) -> Endpoint | None:
        """Return the realtime endpoint that existed at the time ``now``, in whatever status."""
        for endpoint in reversed(self.endpoints):
            if endpoint.lifecycle.created_at <= now:
                endpoint.advance_to(now)
                return endpoint if now < endpoint.lifecycle.deleted_at else None
        return None

    def endpoint_status(self, now: float) -> EndpointStatus:
        """Return the status of its endpoint at the time ``now``."""
        endpoint = self.endpoint(now)
        return endpoint.status(now) if endpoint else "NONE"


def data_location(entity: Entity) -> str:
    """Return the S3 URI of a data source's records; for databases, where AWS would stage them."""
    spec = data_spec(entity)
    location: str = spec.get("DataLocationS3") or spec["S3StagingLocation"]
    return location


def data_spec(entity: Entity) -> Parameters:
    """Return the specification that a data source was created with."""
    spec: Parameters = entity.parameters.get("DataSpec") or entity.parameters["RDSData"]
    return spec


class Region:
    """The entities of one region, by kind and id, in the order of their creation."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._entities: dict[str, dict[str, Entity]] = {name: {} for name in KINDS}

    def all(self, kind: str) -> list[Entity]:
        """Return every entity of ``kind``, oldest first."""
        return list(self._entities[kind].values())

    def find(self, kind: str, entity_id: str) -> Entity | None:
        """Return the entity of that id, deleted or not, or None."""
        return self._entities[kind].get(entity_id)

    def get(self, kind: str, entity_id: str) -> Entity:
        """Return the entity of that id, deleted or not.

        :raises ServiceError: ResourceNotFoundException
        """
        entity = self.find(kind, entity_id)
        if entity is None:
            raise not_found(kind, entity_id)
        return entity

    def clear(self) -> list[Entity]:
        """Remove every entity; return them, inputs before what is made of them."""
        removed = [entity for kind in KINDS for entity in self.all(kind)]
        self._entities = {name: {} for name in KINDS}
        return removed

    def add(self, entity: Entity) -> None:
        """Add ``entity``, and remove a deleted one of the same id."""
        self._entities[entity.kind.name].pop(entity.id, None)  # else the new one would take its place in the order
        self._entities[entity.kind.name][entity.id] = entity
