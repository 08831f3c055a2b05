"""The work behind an entity: reading, training, evaluating and predicting, in threads of their own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from amazon_ml_local.entities import data_location, data_spec
from amazon_ml_local.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from amazon_ml_local.entities import Entity
    from amazon_ml_local.learning import BatchCounts, DataSource, Model, Table
    from amazon_ml_local.storage import Storage

logger = logging.getLogger(__name__)

WORKERS = 4


class JobError(Exception):
    """Work ended without a result; the text is the entity's Message."""


class Data(NamedTuple):
    """What a data source's job made."""

    table: Table
    schema: str


class Jobs:
    """Do the work of entities in the order of their creation, several at a time.

    A job waits for those of its inputs, which were started before it: so there is always one that can go on.

    :param databases: URLs for SQLAlchemy by the ``DatabaseName`` of RDS and Redshift data sources
    """

    def __init__(self, storage: Storage, databases: Mapping[str, str]) -> None:
        self.storage, self.databases = storage, databases
        self._waiting: deque[Entity] = deque()
        self._workers = 0
        self._models: dict[Hashable, Future[Model]] = {}
        self._lock = threading.Lock()

    def start(self, entity: Entity) -> None:
        """Do the entity's work in the background; its ``job`` holds the result or a JobError."""
        if entity.lifecycle.failure:
            entity.job.set_exception(JobError(entity.lifecycle.failure))
            return
        with self._lock:
            self._waiting.append(entity)
            if self._workers < WORKERS:
                self._workers += 1
                threading.Thread(target=self._work, name="amazon-ml-local-job", daemon=True).start()

    def close(self) -> None:
        """Forget the work that has not begun."""
        self._waiting.clear()

    def _work(self) -> None:
        while entity := self._next():
            self._run(entity)

    def _next(self) -> Entity | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._workers -= 1
            return None

    def _run(self, entity: Entity) -> None:
        try:
            entity.job.set_result(WORK[entity.kind.name](self, entity, *map(_result, entity.inputs)))
        except Exception as error:
            entity.job.set_exception(JobError(_message(error, entity)))

    def train(self, table: Table, entity: Entity, recipe: str | None) -> Model:
        """Return the model that ``entity`` asks for; what was trained once is not trained again."""
        from amazon_ml_local.learning import train

        model_type, parameters = entity.parameters["MLModelType"], entity.parameters.get("Parameters", {})
        key = (table.fingerprint, model_type, recipe, *sorted(parameters.items()))
        with self._lock:
            known = key in self._models
            trained = self._models.setdefault(key, Future())
        if not known:
            _settle(trained, lambda: train(table, model_type, recipe, parameters))
        return trained.result()


def _settle(future: Future[Model], make: Callable[[], Model]) -> None:
    try:
        future.set_result(make())
    except Exception as error:
        future.set_exception(error)


def _result(entity: Entity) -> Any:
    if entity.lifecycle.failure:
        raise JobError(f"{entity.kind.name} {entity.id} has failed: {entity.lifecycle.failure}")
    try:
        return entity.job.result()
    except JobError as error:
        raise JobError(f"{entity.kind.name} {entity.id} has failed: {error}") from None


def _message(error: Exception, entity: Entity) -> str:
    from amazon_ml_local.learning import LearningError

    if isinstance(error, (JobError, LearningError, StorageError)):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"{error}. Amazon ML Local learns with pip install 'amazon-ml-local[s3]'."
    logger.error("the job of %s %s broke", entity.kind.name, entity.id, exc_info=error)
    return f"Amazon ML Local has a defect: {type(error).__name__}. Its log tells more."


def _read(jobs: Jobs, entity: Entity) -> Data:
    from amazon_ml_local.learning import read_sql_table, read_table

    spec = data_spec(entity)
    schema = spec.get("DataSchema") or _text(jobs, spec.get("DataSchemaLocationS3") or spec["DataSchemaUri"])
    source: DataSource = {"location_s3": data_location(entity), "schema": schema}
    if "DataRearrangement" in spec:
        source["rearrangement"] = spec["DataRearrangement"]
    if "SelectSqlQuery" not in spec:
        return Data(read_table(source, jobs.storage), schema)
    source["query"] = spec["SelectSqlQuery"]
    source["database_url"] = _database(jobs, spec["DatabaseInformation"]["DatabaseName"])
    return Data(read_sql_table(source, jobs.storage), schema)


def _text(jobs: Jobs, uri: str) -> str:
    try:
        return jobs.storage.read(uri).decode()
    except UnicodeDecodeError:
        raise JobError(f"{uri} is not text in UTF-8.") from None


def _database(jobs: Jobs, name: str) -> str:
    if name not in jobs.databases:
        raise JobError(
            f"Amazon ML Local knows no database {name!r}. Start it with --database {name}=URL, "
            f"or AmazonMLLocal(databases={{{name!r}: URL}}), where URL is SQLAlchemy's, such as sqlite:///file.db."
        )
    return jobs.databases[name]


def _train(jobs: Jobs, entity: Entity, data: Data) -> Model:
    recipe = entity.parameters.get("Recipe")
    if "RecipeUri" in entity.parameters:
        recipe = _text(jobs, entity.parameters["RecipeUri"])
    return jobs.train(data.table, entity, recipe)


def _evaluate(jobs: Jobs, entity: Entity, model: Model, data: Data) -> dict[str, str]:
    from amazon_ml_local.learning import evaluate

    return evaluate(model, data.table, entity.inputs[0].score_threshold)


def _predict(jobs: Jobs, entity: Entity, model: Model, data: Data) -> BatchCounts:
    from amazon_ml_local.learning import batch_predict

    output_uri, threshold = entity.parameters["OutputUri"], entity.inputs[0].score_threshold
    return batch_predict(model, data.table, threshold, entity.id, output_uri, jobs.storage)


WORK: dict[str, Callable[..., Any]] = {
    "DataSource": _read,
    "MLModel": _train,
    "Evaluation": _evaluate,
    "BatchPrediction": _predict,
}
