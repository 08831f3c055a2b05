"""The state of the service, and one call of an operation on it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from amazon_ml_local.clock import Clock
from amazon_ml_local.entities import KINDS, Region
from amazon_ml_local.errors import invalid_input
from amazon_ml_local.schedule import Durations, Lifecycle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amazon_ml_local.entities import Entity, Kind
    from amazon_ml_local.jobs import Jobs
    from amazon_ml_local.protocol import Parameters

FailingKind = Literal["DataSource", "MLModel", "Evaluation", "BatchPrediction", "RealtimeEndpoint"]
DEFAULT_RATE = 200  # AWS's


class State:
    """The entities of every region, and the levers that decide when and how they end. Safe to use from any thread.

    The levers are the clock, durations, the number of polls, failures on order, and the rate of endpoints.

    :param jobs: runs the jobs of new entities
    :param durations: seconds that entities and endpoints take
    :ivar changing: the lock that is held while an entity changes
    :ivar last_number: the place of the newest entity in the order of creation
    :ivar polls_needed: the Get at which what is created from now on ends; None for by time
    """

    def __init__(self, jobs: Jobs, durations: Durations) -> None:
        self.jobs, self.durations, self._initial_durations = jobs, durations, dict(vars(durations))
        self.clock = Clock()
        self.changing = threading.RLock()
        self.polls_needed: int | None = None
        self.last_number = 0
        self._regions: dict[str, Region] = {}
        self._rate = DEFAULT_RATE
        self._failures: dict[tuple[str, str], str] = {}

    @property
    def peak_requests_per_second(self) -> int:
        """The number of predictions that an endpoint takes in any window of one second."""
        return self._rate

    @peak_requests_per_second.setter
    def peak_requests_per_second(self, rate: int) -> None:
        if rate < 1:
            raise ValueError(f"peak_requests_per_second must be 1 or more, not {rate!r}")
        self._rate = rate

    def ready_after_polls(self, polls: int | None) -> None:
        """Set that what is created from now on ends at its ``polls``-th Get, whatever the time; None for by time again.

        :raises ValueError: when ``polls`` is less than 1
        """
        if polls is not None and polls < 1:
            raise ValueError(f"polls must be 1 or more, not {polls!r}")
        self.polls_needed = polls

    def fail(self, kind: FailingKind, entity_id: str, message: str) -> None:
        """Set that an entity, or the endpoint of a model, ends FAILED: the present one, and all created later.

        :raises ValueError: for a kind that cannot fail
        """
        if kind not in get_args(FailingKind):
            raise ValueError(f"no kind {kind!r}; there are {', '.join(get_args(FailingKind))}")
        self._failures[kind, entity_id] = message
        for lifecycle in self._lifecycles(kind, entity_id):
            lifecycle.failure = message

    def failures(self) -> dict[tuple[str, str], str]:
        """Return the messages that ``fail()`` has set, by kind and id."""
        return dict(self._failures)

    def region(self, name: str) -> Region:
        """Return the entities of the region ``name``."""
        with self.changing:
            return self._regions.setdefault(name, Region(name))

    def regions(self) -> list[tuple[str, Region]]:
        """Return the regions by name."""
        return list(self._regions.items())

    def reset(self) -> None:
        """Remove every entity with its job, and set all levers back, the clock too."""
        with self.changing:
            removed = [region.clear() for _, region in self.regions()]
            self._failures, self._rate, self.polls_needed = {}, DEFAULT_RATE, None
            self.durations.set(**self._initial_durations)
            self.clock.reset()
        # Jobs before those whose results they need, so that each can end at once.
        for entities in removed:
            for entity in reversed(entities):
                self.jobs.discard(entity)

    def new_lifecycle(self, kind: str, entity_id: str, duration: float) -> Lifecycle:
        """Return the lifecycle of an entity or endpoint that is created now."""
        failure = self._failures.get((kind, entity_id))
        return Lifecycle(self.clock.now(), duration, self.polls_needed, failure)

    def start(self, entity: Entity, region: Region) -> None:
        """Add a new entity and start its job."""
        region.add(entity)
        self.jobs.start(entity)

    def numbered(self, number: int) -> Entity | None:
        """Return the entity with that place in the order of creation, or None."""
        regions = list(self._regions.values())
        entities = (entity for region in regions for kind in KINDS for entity in region.all(kind))
        return next((entity for entity in entities if entity.sequence == number), None)

    def next_number(self) -> int:
        """Return the place of a new entity in the order of creation; ``changing`` must be held."""
        self.last_number += 1
        return self.last_number

    def _lifecycles(self, kind: str, entity_id: str) -> Iterator[Lifecycle]:
        """Yield the lifecycles of the entities of that id, or of the latest endpoints of the models, in all regions."""
        for region in list(self._regions.values()):
            entity = region.find("MLModel" if kind == "RealtimeEndpoint" else kind, entity_id)
            if entity and kind != "RealtimeEndpoint":
                yield entity.lifecycle
            elif entity and entity.endpoints:
                yield entity.endpoints[-1].lifecycle


@dataclass(frozen=True)
class OperationCall:
    """One request that passed validation.

    :ivar lag: how many seconds old the answer must be
    :ivar touched: the entities that it shows or changes
    :ivar deleted: those that it deletes, whose content may go only when it is stored that they are deleted
    """

    state: State
    operation: str
    parameters: Parameters
    region: Region
    endpoint_url: str
    lag: float = 0.0
    touched: set[Entity] = field(default_factory=set)
    deleted: set[Entity] = field(default_factory=set)

    def find(self, kind: str, entity_id: str) -> Entity | None:
        """Return the entity of that id, deleted or not, or None."""
        entity = self.region.find(kind, entity_id)
        if entity:
            self.touched.add(entity)
        return entity

    def get(self, kind: str, entity_id: str) -> Entity:
        """Return the entity of that id, deleted or not.

        :raises ServiceError: ResourceNotFoundException
        """
        entity = self.region.get(kind, entity_id)
        self.touched.add(entity)
        return entity

    def entity(self, kind: Kind) -> Entity:
        """Return the entity whose id is in the request.

        :raises ServiceError: ResourceNotFoundException
        """
        return self.get(kind.name, self.parameters[kind.id_member])

    def undeleted(self, kind: Kind, entity_id: str) -> Entity:
        """Return the entity of that id, which must not be DELETED; AWS's answer in that case is unknown.

        :raises ServiceError: ResourceNotFoundException, InvalidInputException
        """
        entity = self.get(kind.name, entity_id)
        if entity.status(self.state.clock.now()) == "DELETED":
            raise invalid_input(f"{kind.name} {entity.id} is DELETED")
        return entity
