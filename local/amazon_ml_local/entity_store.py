"""Store entities, their results and the service's time in a data folder, and load them at the start."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from amazon_ml_local.data_folder import DataFolderError, replace_file
from amazon_ml_local.entities import KINDS, Endpoint, Entity
from amazon_ml_local.jobs import JobError
from amazon_ml_local.schedule import Lifecycle
from amazon_ml_local.work import HEAVY_BYTES, DataSourceResult

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from amazon_ml_local.data_folder import DataFolder
    from amazon_ml_local.state import State

logger = logging.getLogger(__name__)

UPSERT = (
    "insert into entity (sequence, record) values (?, ?) on conflict (sequence) do update set record = excluded.record"
)
UPDATE_RESULT = "update entity set result = ?, error = ? where sequence = ?"


class EntityStore:
    """Store the entities of a state in a folder.

    Every save compares the entities that are not settled (``Entity.is_settled``) with what is stored, and settled ones
    only if they were touched.
    """

    def __init__(self, folder: DataFolder, state: State) -> None:
        self.folder, self.state = folder, state
        self.closed = False  # once True, nothing is stored any more
        self._removed_up_to = 0  # the last number that ``clear`` removed: nothing up to it is stored any more
        self._saved: dict[int, tuple[Any, ...]] = {}  # the stored entities' fingerprints, by sequence
        self._unsettled: set[Entity] = set()
        self._clock: dict[str, Any] | None = None

    def save(self, touched: Iterable[Entity] | None = None) -> None:
        """Commit all changes since the last call, so that everything that answers have shown is on disk.

        :param touched: the settled entities that may have changed; None for any of them.
        :raises DataFolderError: when the folder cannot be written.
        """
        with self.state.changing:
            given = self._all_entities() if touched is None else touched
            self._unsettled.update(entity for entity in given if entity.sequence > self._removed_up_to)
            # Before the comparison, so that an entity that settles during it is compared once more.
            settled = {entity for entity in self._unsettled if entity.is_settled}
            found = {entity: _fingerprint(entity) for entity in self._unsettled}
            changed = [each for each in found if found[each] != self._saved.get(each.sequence)]
            clock = self.state.clock.snapshot()
            if self.closed:  # only now, since a job that ``close`` ended meanwhile looks as if it had failed
                return
            if changed or clock != self._clock:
                rows = [(entity.sequence, json.dumps(_record(entity))) for entity in changed]
                with self.folder.transaction() as database:
                    database.executemany(UPSERT, rows)
                    database.execute("insert or replace into clock values (1, ?)", (json.dumps(clock),))
            self._saved.update({entity.sequence: found[entity] for entity in changed})
            self._unsettled -= settled
            self._clock = clock

    def _all_entities(self) -> Iterator[Entity]:
        for _, region in self.state.regions():
            yield from chain.from_iterable(map(region.all, KINDS))

    def save_result(self, entity: Entity, result: Any, error: str | None) -> None:
        """Commit the result of an entity's job, before any answer shows it.

        :raises DataFolderError: when the folder cannot be written.
        """
        if self.closed:
            return
        self.save([entity])  # so that there is a row to update
        path = self.folder.columns_of(entity.sequence)
        if isinstance(result, DataSourceResult):
            with replace_file(path) as file:
                result.table.write_columns(file)
        with self.folder.transaction() as database:
            updated = database.execute(UPDATE_RESULT, (_result_text(result), error, entity.sequence)).rowcount
        if not updated:  # ``clear`` has removed the entity
            path.unlink(missing_ok=True)

    def remove_content(self, entity: Entity) -> None:
        """Store a deleted entity's result anew, from which ``Jobs`` has removed the content."""
        if self.closed:
            return
        try:
            with self.folder.transaction() as database:
                database.execute(UPDATE_RESULT, (_result_text(entity.job.result()), None, entity.sequence))
            self.folder.columns_of(entity.sequence).unlink(missing_ok=True)
        except DataFolderError as error:
            logger.warning("%s %s is deleted, but its content is still stored: %s", entity.kind.name, entity.id, error)

    def clear(self) -> None:
        """Remove every entity, for good: jobs and requests that still have one store nothing of it.

        :raises DataFolderError: when the folder cannot be written.
        """
        with self.state.changing:
            with self.folder.transaction() as database:
                database.execute("delete from entity")
            self._removed_up_to = self.state.last_number
            self._saved.clear()
            self._unsettled.clear()
            self._remove_columns_except(set())

    def load(self) -> None:
        """Load the folder into the state, and start the jobs again that were not done."""
        with self.folder.transaction() as database:
            clock = database.execute("select snapshot from clock").fetchone()
            rows = database.execute("select sequence, record, result, error from entity order by sequence").fetchall()
        if clock:
            self.state.clock.restore(json.loads(clock[0]))
        entities: dict[int, Entity] = {}
        for sequence, text, result, error in rows:
            self.state.last_number = sequence
            if entity := _entity(sequence, json.loads(text), entities):
                entities[sequence] = entity
                self.state.region(entity.region).add(entity)
                self._restore_job(entity, result, error)
        self._remove_columns_except(entities)
        self._start_unfinished_jobs(list(entities.values()))

    def _start_unfinished_jobs(self, entities: list[Entity]) -> None:
        # Those of deleted entities too: they end at once unless another job needs them.
        for entity in entities:
            if not entity.job.done():
                self.state.jobs.start(entity)
        for entity in entities:
            if entity.status(self.state.clock.now()) == "DELETED":
                self.state.jobs.discard(entity)

    def _restore_job(self, entity: Entity, result: str | None, error: str | None) -> None:
        if error is not None:
            entity.job.set_exception(JobError(error))
        elif result is not None:
            from amazon_ml_local.learning.saving import from_json

            made = from_json(json.loads(result)["result"])
            entity.job.set_result(self._data_source_result(entity, *made) if entity.kind.name == "DataSource" else made)

    def _data_source_result(self, entity: Entity, table: Any, schema: str) -> DataSourceResult:
        from amazon_ml_local.learning.saving import load_columns

        with suppress(FileNotFoundError):  # a deleted entity has no columns
            file = self.folder.columns_of(entity.sequence).open("rb")
            return DataSourceResult(load_columns(table, file, in_memory=table.size_in_bytes < HEAVY_BYTES), schema)
        return DataSourceResult(table, schema)

    def _remove_columns_except(self, sequences: Collection[int]) -> None:
        for path in self.folder.columns.iterdir():
            if path.suffix != ".arrow" or int(path.stem) not in sequences:
                path.unlink(missing_ok=True)  # a job may have just given it another name


def _result_text(result: Any) -> str | None:
    """Return a job's result as the JSON that ``_restore_job`` reads."""
    if result is None:
        return None
    from amazon_ml_local.learning.saving import to_json

    made = [result.table, result.schema] if isinstance(result, DataSourceResult) else result
    return json.dumps({"result": to_json(made)})


def _fingerprint(entity: Entity) -> tuple[Any, ...]:
    """Return everything of an entity that can change after its creation."""
    lifecycles = [entity.lifecycle, *(endpoint.lifecycle for endpoint in entity.endpoints)]
    return (
        entity.name,
        entity.updated_at,
        entity.score_threshold,
        entity.threshold_updated_at,
        len(entity.log.lines),
        *entity.tags.items(),
        *chain.from_iterable(vars(lifecycle).values() for lifecycle in lifecycles),
    )


def _record(entity: Entity) -> dict[str, Any]:
    """Return everything of an entity but its job's result, as ``_entity`` reads it."""
    return {
        "region": entity.region,
        "kind": entity.kind.name,
        "id": entity.id,
        "operation": entity.operation,
        "parameters": entity.parameters,
        "inputs": [each.sequence for each in entity.inputs],
        "lifecycle": vars(entity.lifecycle),
        "name": entity.name,
        "updated_at": entity.updated_at,
        "tags": entity.tags,
        "score_threshold": entity.score_threshold,
        "threshold_updated_at": entity.threshold_updated_at,
        "endpoints": [[vars(one.lifecycle), one.peak_requests_per_second] for one in entity.endpoints],
        "log": entity.log.lines,
    }


def _entity(sequence: int, record: dict[str, Any], known: dict[int, Entity]) -> Entity | None:
    """Return the entity of a record; None if an input is not among the ``known`` ones."""
    kind, log = KINDS[record.pop("kind")], record.pop("log")
    inputs = tuple(known[each] for each in record.pop("inputs") if each in known)
    if len(inputs) < len(kind.inputs):  # an earlier version could store it again after a reset
        logger.warning("%s %s is not loaded, since what it was made of is not in the folder", kind.name, record["id"])
        return None
    lifecycle = Lifecycle(**record.pop("lifecycle"))
    endpoints = [Endpoint(Lifecycle(**each), peak) for each, peak in record.pop("endpoints")]
    entity = Entity(kind=kind, sequence=sequence, inputs=inputs, lifecycle=lifecycle, endpoints=endpoints, **record)
    entity.log.lines[:] = log
    return entity
