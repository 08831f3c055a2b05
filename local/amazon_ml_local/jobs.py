"""Run the job of each entity, in the order of their creation, in background threads."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from amazon_ml_local.data_folder import DataFolderError
from amazon_ml_local.processes import lack_of_memory
from amazon_ml_local.storage import StorageError
from amazon_ml_local.work import EntityWork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amazon_ml_local.entities import Entity
    from amazon_ml_local.storage import Storage

logger = logging.getLogger(__name__)

THREADS = 4


class JobError(Exception):
    """Raised when a job ends without a result; the message becomes the entity's ``Message``."""


class ResultStore(Protocol):
    """Store the results of jobs."""

    def save_result(self, entity: Entity, result: Any, error: str | None) -> None:
        """Store the result of an entity's job before any answer shows it. Raises DataFolderError."""

    def remove_content(self, entity: Entity) -> None:
        """Store a deleted entity's result anew, now that its content has been removed."""


class Jobs:
    """Run the jobs of entities in the order of their creation, several at a time.

    A job waits for the jobs of its inputs. Those were started before it, so there is always one that can run. A job
    and its result are kept until the entity is deleted and no other job needs them.

    :param databases: SQLAlchemy URLs by the ``DatabaseName`` of RDS and Redshift data sources
    :ivar store: stores the results of jobs; None if nothing is stored
    """

    def __init__(self, storage: Storage, databases: Mapping[str, str]) -> None:
        self.work = EntityWork(storage, databases)
        self.store: ResultStore | None = None
        self._waiting: deque[Entity] = deque()
        self._threads = 0
        self._users: Counter[Entity] = Counter()  # how many jobs that are not done need each entity's result
        self._unwanted: WeakSet[Entity] = WeakSet()  # the deleted entities
        self._lock = threading.RLock()

    def start(self, entity: Entity) -> None:
        """Run the entity's job in the background; ``entity.job`` gets the result or a JobError.

        An entity that is to fail anyway gets its JobError at once.
        """
        if entity.lifecycle.failure:
            entity.job.set_exception(JobError(entity.lifecycle.failure))
            return
        with self._lock:
            self._users.update(entity.inputs)
            self._waiting.append(entity)
            if self._threads < THREADS:
                self._threads += 1
                threading.Thread(target=self._run_all, name="amazon-ml-local-job", daemon=True).start()

    def discard(self, entity: Entity) -> None:
        """Drop the result of a deleted entity's job, or end the job, as soon as no other job needs it."""
        with self._lock:
            self._unwanted.add(entity)
            self._discard_if_unused(entity)

    def close(self) -> None:
        """End all work."""
        with self._lock:
            for entity in list(self._waiting):
                self._cancel(entity, "The service has ended")
        self.work.processes.close()

    def _run_all(self) -> None:
        while entity := self._next():
            self._run(entity)

    def _next(self) -> Entity | None:
        """Return the next entity that waits; None ends the thread that asks."""
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._threads -= 1
            return None

    def _run(self, entity: Entity) -> None:
        """Do the work of an entity, store the result, and only then show it."""
        try:
            result, error = self._result(entity), None
            self._save(entity, result, None)
        except Exception as caught:
            result, error = None, JobError(_message(caught, entity))
            entity.log(f"FAILED: {error}")
            with suppress(DataFolderError):  # it runs again after a restart
                self._save(entity, None, str(error))
        self._finish(entity, result, error)

    def _save(self, entity: Entity, result: Any, error: str | None) -> None:
        if self.store:
            self.store.save_result(entity, result, error)

    def _result(self, entity: Entity) -> Any:
        inputs = list(map(_input_result, entity.inputs))  # which may take long
        if entity in self._unwanted and not self._users[entity]:
            raise JobError("It was deleted")
        return self.work.do(entity, inputs)

    def _finish(self, entity: Entity, result: Any, error: JobError | None) -> None:
        if error:
            entity.job.set_exception(error)
        else:
            entity.job.set_result(result)
        with self._lock:
            self._users.subtract(entity.inputs)
            self._users += Counter()  # drops those at zero
            for each in (entity, *entity.inputs):
                self._discard_if_unused(each)

    def _discard_if_unused(self, entity: Entity) -> None:
        if entity not in self._unwanted or self._users[entity]:
            return
        if entity.job.done():
            _reduce_result(entity)
            if self.store and entity.job.exception() is None:
                self.store.remove_content(entity)
        elif entity in self._waiting:
            self._cancel(entity, "It was deleted")
        else:
            self.work.processes.kill(entity)

    def _cancel(self, entity: Entity, reason: str) -> None:
        self._waiting.remove(entity)
        self._finish(entity, None, JobError(reason))


def _reduce_result(entity: Entity) -> None:
    """Reduce the result of a job to what Get shows of it."""
    if entity.job.exception() is None and hasattr(entity.job.result(), "without_content"):
        slim: Future[Any] = Future()
        slim.set_result(entity.job.result().without_content())
        entity.job = slim


def _input_result(entity: Entity) -> Any:
    """Return the result of an input's job; raise a JobError that names the input if it has failed."""
    if entity.lifecycle.failure:  # on order, whatever its job has given
        raise JobError(f"{entity.kind.name} {entity.id} has failed: {entity.lifecycle.failure}")
    try:
        return entity.job.result()
    except JobError as error:
        raise JobError(f"{entity.kind.name} {entity.id} has failed: {error}") from None


def _message(error: Exception, entity: Entity) -> str:
    """Return an error of a job for its entity's ``Message``; an unexpected one is logged."""
    from amazon_ml_local.learning import LearningError

    if isinstance(error, (DataFolderError, JobError, LearningError, StorageError)):
        return str(error)
    if isinstance(error, MemoryError):
        return lack_of_memory()
    if isinstance(error, ModuleNotFoundError):
        return f"{error}. Amazon ML Local learns with pip install 'amazon-ml-local[s3]'."
    logger.error("the job of %s %s broke", entity.kind.name, entity.id, exc_info=error)
    return f"Amazon ML Local has a defect: {type(error).__name__}. Its log tells more."
