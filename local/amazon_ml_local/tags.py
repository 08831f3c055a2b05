"""The operations on tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amazon_ml_local.entities import KINDS
from amazon_ml_local.errors import ServiceError

if TYPE_CHECKING:
    from amazon_ml_local.entities import Entity
    from amazon_ml_local.protocol import Parameters
    from amazon_ml_local.state import OperationCall

MOST_TAGS = 50  # AWS's guide; the text of AddTags says 10


def add(call: OperationCall) -> Parameters:
    """Add tags; a tag that exists gets the new value.

    :raises ServiceError: ResourceNotFoundException, InvalidTagException, TagLimitExceededException
    """
    keys: list[str] = [tag.get("Key", "") for tag in call.parameters["Tags"]]
    if "" in keys:
        raise ServiceError("InvalidTagException", "A tag has no key")
    if len(set(keys)) < len(keys):
        raise ServiceError("InvalidTagException", "A tag key is given twice")
    if reserved := [key for key in keys if key.lower().startswith("aws:")]:
        raise ServiceError("InvalidTagException", f"Tag keys that begin with aws: are reserved: {reserved[0]}")
    entity = _entity(call, changes=True)
    with call.state.changing:
        tags = entity.tags | {tag["Key"]: tag.get("Value") for tag in call.parameters["Tags"]}
        if len(tags) > MOST_TAGS:
            raise ServiceError("TagLimitExceededException", f"{entity.id} would have more than {MOST_TAGS} tags")
        entity.tags = tags
    return _answer(call)


def delete(call: OperationCall) -> Parameters:
    """Delete tags; unknown keys are ignored.

    :raises ServiceError: ResourceNotFoundException
    """
    gone = set(call.parameters["TagKeys"])
    entity = _entity(call, changes=True)
    with call.state.changing:
        entity.tags = {key: value for key, value in entity.tags.items() if key not in gone}
    return _answer(call)


def describe(call: OperationCall) -> Parameters:
    """Return the tags of an entity.

    :raises ServiceError: ResourceNotFoundException
    """
    tags = _entity(call, changes=False).tags
    return {**_answer(call), "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _entity(call: OperationCall, changes: bool) -> Entity:
    """Return the entity that the request names; tags of a DELETED one can be read, but not changed."""
    kind, entity_id = KINDS[call.parameters["ResourceType"]], call.parameters["ResourceId"]
    return call.undeleted(kind, entity_id) if changes else call.get(kind.name, entity_id)


def _answer(call: OperationCall) -> Parameters:
    return {name: call.parameters[name] for name in ("ResourceId", "ResourceType")}
