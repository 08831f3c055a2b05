"""The work of each kind of entity: read, train, evaluate or predict, in this process or in one of its own."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from tempfile import SpooledTemporaryFile, TemporaryFile
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import ref

from amazon_ml_local.entities import data_location, data_spec
from amazon_ml_local.learning import LearningError
from amazon_ml_local.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping
    from typing import IO

    from amazon_ml_local.entities import Entity
    from amazon_ml_local.learning import BatchCounts, DataSource, Evaluated, Model, Table
    from amazon_ml_local.storage import Storage

T = TypeVar("T")
Files: TypeAlias = "Mapping[str, SpooledTemporaryFile[bytes]]"
# Bytes of data; less is done in the time in which a process starts, so it needs none.
HEAVY_BYTES = 8 * 1024 * 1024


class Training:
    """One training, shared by all entities with the same data, recipe and parameters.

    :ivar lock: held while it runs
    :ivar model: returns the model; None before it is trained and after its last entity was deleted
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.model: Callable[[], Model | None] = lambda: None


@dataclass
class DataSourceResult:
    """The result of a data source's job, and the trainings on it."""

    table: Table
    schema: str
    trainings: defaultdict[Hashable, Training] = field(default_factory=lambda: defaultdict(Training))

    def without_content(self) -> DataSourceResult:
        """Return what Get shows of a deleted data source."""
        return DataSourceResult(self.table.without_columns(), self.schema)


class EntityWork:
    """Do the work of entities.

    :param databases: SQLAlchemy URLs by the ``DatabaseName`` of RDS and Redshift data sources
    :ivar heavy_bytes: the number of bytes of data from which the work is done in a process of its own
    """

    def __init__(self, storage: Storage, databases: Mapping[str, str]) -> None:
        self.storage, self.databases = storage, databases
        self.processes, self.heavy_bytes = Processes(), HEAVY_BYTES

    def do(self, entity: Entity, inputs: list[Any]) -> Any:
        """Return the result of an entity's job.

        :param inputs: the results of its inputs' jobs.
        :raises LearningError: when data or parameters do not allow it.
        :raises StorageError: when S3 refuses a call.
        """
        return WORK[entity.kind.name](self, entity, *inputs)

    def _is_heavy(self, table: Table) -> bool:
        return table.size_in_bytes >= self.heavy_bytes or table.file is not None

    def read(self, entity: Entity) -> DataSourceResult:
        """Return the rows of a data source, with its schema."""
        spec = data_spec(entity)
        schema = spec.get("DataSchema") or self._text(spec.get("DataSchemaLocationS3") or spec["DataSchemaUri"])
        source: DataSource = {"location_s3": data_location(entity), "schema": schema}
        if "DataRearrangement" in spec:
            source["rearrangement"] = spec["DataRearrangement"]
        if "SelectSqlQuery" in spec:
            return DataSourceResult(self._read_query(entity, source), schema)
        return DataSourceResult(self._read_files(entity, source), schema)

    def _read_query(self, entity: Entity, source: DataSource) -> Table:
        from amazon_ml_local.learning import write_rows

        spec = data_spec(entity)
        database_url = self._database(spec["DatabaseInformation"]["DatabaseName"])
        fill = partial(write_rows, database_url, spec["SelectSqlQuery"], log=entity.log)
        file = self._temporary_file("The answer to the query", fill)
        return self._read_csv(entity, {source["location_s3"]: file}, source, has_header=False)

    def _read_files(self, entity: Entity, source: DataSource) -> Table:
        from amazon_ml_local.learning import data_files

        uris = data_files(source["location_s3"], self.storage)
        files = {uri: self._temporary_file(uri, partial(self.storage.copy, uri)) for uri in uris}
        return self._read_csv(entity, files, source)

    def _read_csv(self, entity: Entity, files: Files, source: DataSource, has_header: bool | None = None) -> Table:
        """Return the rows of CSV files, which are at their ends: in a process of its own if they are large."""
        from amazon_ml_local.learning import make_table

        size = sum(file.tell() for file in files.values())
        for file in files.values():
            file.seek(0)
        if size < self.heavy_bytes:
            return make_table(files, source, has_header, entity.log)
        out = TemporaryFile()  # noqa: SIM115 - it lives as long as the table
        table: Table = self.processes.run(entity, "read", (files, source, has_header, out), entity.log)
        return table.with_columns(out)

    def _temporary_file(self, name: str, fill: Callable[[IO[bytes]], None]) -> SpooledTemporaryFile[bytes]:
        """Return a temporary file that a function has filled, on disk if it is large."""
        file = SpooledTemporaryFile(max_size=self.heavy_bytes)  # noqa: SIM115 - it lives as long as its reader
        try:
            fill(file)
        except OSError as error:
            raise LearningError(
                f"{name} does not fit into the temporary folder {tempfile.gettempdir()}: {error}. Make room there, or "
                "start the service with TMPDIR set to a larger folder."
            ) from error
        return file

    def _text(self, uri: str) -> str:
        try:
            return self.storage.read(uri).decode()
        except UnicodeDecodeError:
            raise LearningError(f"{uri} is not text in UTF-8.") from None

    def _database(self, name: str) -> str:
        if name not in self.databases:
            raise LearningError(
                f"Amazon ML Local knows no database {name!r}. Start it with --database {name}=URL, "
                f"or AmazonMLLocal(databases={{{name!r}: URL}}), where URL is SQLAlchemy's, such as sqlite:///file.db."
            )
        return self.databases[name]

    def train(self, entity: Entity, data: DataSourceResult) -> Model:
        """Return the model of an entity; the same training is done only once."""
        from amazon_ml_local.learning import train

        recipe = entity.parameters.get("Recipe")
        if "RecipeUri" in entity.parameters:
            recipe = self._text(entity.parameters["RecipeUri"])
        model_type, parameters = entity.parameters["MLModelType"], entity.parameters.get("Parameters", {})
        training = data.trainings[model_type, recipe, *sorted(parameters.items())]
        with training.lock:
            model = training.model() or self._run(
                entity, data.table, train, (data.table, model_type, recipe, parameters)
            )
            training.model = ref(model)  # weak, so that the model ends with the last entity that has it
        return model

    def evaluate(self, entity: Entity, model: Model, data: DataSourceResult) -> Evaluated:
        """Return the metrics of a model on the rows of a data source."""
        from amazon_ml_local.learning import evaluate

        return self._run(entity, data.table, evaluate, (model, data.table))

    def batch_predict(self, entity: Entity, model: Model, data: DataSourceResult) -> BatchCounts:
        """Write the predictions for the rows of a data source, and return how many records it has."""
        from amazon_ml_local.learning import predict_rows

        arguments = model, data.table, entity.inputs[0].score_threshold, entity.id, entity.parameters["OutputUri"]
        results = self._run(entity, data.table, predict_rows, arguments)
        self.processes.check(entity)  # work in this process goes on when it is to end, but shall leave nothing
        results.write(self.storage)
        return results.counts

    def _run(self, entity: Entity, table: Table, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        """Run a function of ``learning``: on a large table in a process of its own, else here."""
        if self._is_heavy(table):
            made: T = self.processes.run(entity, work.__name__, arguments, entity.log)  # which finds it by its name
            return made
        return work(*arguments, entity.log)


WORK: dict[str, Callable[..., Any]] = {
    "DataSource": EntityWork.read,
    "MLModel": EntityWork.train,
    "Evaluation": EntityWork.evaluate,
    "BatchPrediction": EntityWork.batch_predict,
}
