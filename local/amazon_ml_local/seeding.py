"""Seeds: files that list buckets, objects, data sources, models and READY endpoints to create at the start."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amazon_ml_local.request_log import RequestLog
from amazon_ml_local.storage import BUCKET, OBJECT

if TYPE_CHECKING:
    from amazon_ml_local.protocol import Parameters
    from amazon_ml_local.service import AmazonMLLocal

SECTIONS: dict[str, type] = {
    "Region": str, "Buckets": list, "Files": dict, "DataSources": list, "MLModels": list, "RealtimeEndpoints": list
}  # fmt: skip
DELETES = {"DataSource": "delete_data_source", "MLModel": "delete_ml_model"}  # kind → method of the client
TYPE_NAMES: dict[Any, str] = {str: "a text", list: "a list", dict: "a mapping"}
# Members that are JSON text in the API; a seed may have a mapping instead.
JSON_TEXTS = ("DataSchema", "DataRearrangement", "Recipe")


class SeedError(ValueError):
    """Raised when a seed is invalid, or a part of it cannot be created; the message names the seed and the part."""


@dataclass(frozen=True)
class Seed:
    """A seed that was read and checked, as far as that is possible without a service.

    :ivar name: what messages call it
    :ivar files: the bytes of objects by their s3:// URIs
    :ivar data_sources: the parameters of their Creates
    :ivar ml_models: the parameters of their Creates
    :ivar realtime_endpoints: the ids of their models
    """

    name: str
    region: str
    buckets: list[str]
    files: dict[str, bytes]
    data_sources: list[Parameters]
    ml_models: list[Parameters]
    realtime_endpoints: list[str]

    def create(self, service: AmazonMLLocal) -> None:
        """Create the entities and wait for their jobs; entities that exist stay as they are unless they have failed.

        The seed's files must be in S3 before. The requests for this are not logged, and take no time by the service's
        clock.

        :raises SeedError: when the service refuses an entity, or its job fails.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        client: Any = service.client(region_name=self.region)
        with _at_once(service):
            for kind, entity_id, call, parameters in self._calls(client):
                try:
                    self._delete_if_failed(service, client, kind, entity_id)
                    call(**parameters)
                except (BotoCoreError, ClientError) as error:
                    raise SeedError(f"{self.name}: {kind} {entity_id}: {_reason(error)}") from error
                self._wait(service, kind, entity_id)

    def _calls(self, client: Any) -> Iterator[tuple[str, str, Any, Parameters]]:
        """Yield kind, id, method of the client and its parameters, inputs before what is made of them."""
        for parameters in self.data_sources:
            yield "DataSource", parameters["DataSourceId"], client.create_data_source_from_s3, parameters
        for parameters in self.ml_models:
            yield "MLModel", parameters["MLModelId"], client.create_ml_model, parameters
        for model in self.realtime_endpoints:
            yield "RealtimeEndpoint", model, client.create_realtime_endpoint, {"MLModelId": model}

    def _delete_if_failed(self, service: AmazonMLLocal, client: Any, kind: str, entity_id: str) -> None:
        """Delete an entity whose job has failed: its Create would be a repetition, and the failure stay."""
        if kind not in DELETES:
            return
        entity = service.state.region(self.region).find(kind, entity_id)
        if entity and entity.job.exception():
            getattr(client, DELETES[kind])(**{f"{kind}Id": entity_id})

    def _wait(self, service: AmazonMLLocal, kind: str, entity_id: str) -> None:
        if kind == "RealtimeEndpoint":  # which has no job, and is READY at once
            return
        entity = service.state.region(self.region).get(kind, entity_id)
        error = entity.job.exception()
        entity.advance_to_now(service.clock)
        if error:
            raise SeedError(f"{self.name}: {kind} {entity_id} has FAILED: {error}")


def read_seed(path: Path) -> Seed:
    """Return the seed in a file: JSON if its name ends with ``.json``, else YAML.

    :raises SeedError: when the file cannot be read, or is not a valid seed.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise SeedError(f"the seed {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise SeedError(f"the seed {path} cannot be understood: {error}") from error
    return make_seed(content, path.parent, str(path))


def make_seed(content: object, folder: Path, name: str = "the seed") -> Seed:
    """Return the seed for the content of a seed file.

    :param content: a mapping with the names in SECTIONS; anything else is refused.
    :param folder: the folder that relative paths start from.
    :raises SeedError: when it is not a valid seed.
    """
    if not isinstance(content, Mapping):
        raise SeedError(f"{name}: it must be a mapping with some of {', '.join(SECTIONS)}")
    for kind, value in content.items():
        if kind not in SECTIONS:
            raise SeedError(f"{name}: there is no kind {kind!r}; there are {', '.join(SECTIONS)}")
        if not isinstance(value, SECTIONS[kind]):
            raise SeedError(f"{name}: {kind} must be {TYPE_NAMES[SECTIONS[kind]]}, not {value!r}")
    models = content.get("RealtimeEndpoints", [])
    return Seed(
        name=name,
        region=content.get("Region", "us-east-1"),
        buckets=[_bucket(bucket, name) for bucket in content.get("Buckets", [])],
        files={uri: _file(uri, path, folder, name) for uri, path in content.get("Files", {}).items()},
        data_sources=_entities(content, "DataSource", name),
        ml_models=_entities(content, "MLModel", name),
        realtime_endpoints=[_text(model, f"{name}: RealtimeEndpoints") for model in models],
    )


def _bucket(bucket: object, name: str) -> str:
    if not isinstance(bucket, str) or not BUCKET.fullmatch(bucket):
        raise SeedError(f"{name}: Buckets: {bucket!r} is no bucket name: 3..63 of a-z, 0-9, . and -")
    return bucket


def _file(uri: object, path: object, folder: Path, name: str) -> bytes:
    if not isinstance(uri, str) or not OBJECT.fullmatch(uri):
        raise SeedError(f"{name}: Files: {uri!r} is not s3://BUCKET/KEY")
    try:
        return (folder / _text(path, f"{name}: Files: {uri}")).read_bytes()
    except OSError as error:
        raise SeedError(f"{name}: Files: {uri}: {path} cannot be read: {error.strerror}") from error


def _entities(content: Mapping[str, Any], kind: str, name: str) -> list[Parameters]:
    entities, where = content.get(f"{kind}s", []), f"{name}: {kind}s"
    for number, entity in enumerate(entities, 1):
        if not isinstance(entity, Mapping):
            raise SeedError(f"{where}: number {number} must be a mapping, not {entity!r}")
        _text(entity.get(f"{kind}Id"), f"{where}: the {kind}Id of number {number}")
    ids = Counter(entity[f"{kind}Id"] for entity in entities)
    if twice := [entity_id for entity_id, count in ids.items() if count > 1]:
        raise SeedError(f"{where}: {twice[0]} is there twice")
    return [_with_texts(entity) for entity in entities]


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise SeedError(f"{what} must be a text, not {value!r}")
    return value


def _with_texts(value: Any) -> Any:
    """Return the members as the API takes them: mappings in place of JSON text are converted."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: json.dumps(item) if name in JSON_TEXTS and not isinstance(item, str) else _with_texts(item)
        for name, item in value.items()
    }


@contextmanager
def _at_once(service: AmazonMLLocal) -> Iterator[None]:
    """End what the block creates as soon as its job is done, whatever durations are set, and log no request."""
    state, requests = service.state, service.requests
    durations, polls = dict(vars(state.durations)), state.polls_needed
    state.durations.set(**dict.fromkeys(durations, 0.0))
    state.polls_needed, service.requests = None, RequestLog(0)
    try:
        yield
    finally:
        state.durations.set(**durations)
        state.polls_needed, service.requests = polls, requests


def _reason(error: Exception) -> str:
    """Return AWS's message of an error, else the error's text, on one line."""
    response = getattr(error, "response", None)
    return " ".join(str(response["Error"]["Message"] if response else error).split())
