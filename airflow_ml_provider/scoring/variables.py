"""Which values of a row go to the model, and which stand beside its prediction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from airflow_ml_provider import errors
from airflow_ml_provider.errors import RefusedRecord

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.scoring.rows import Values

# A schema's words, and the older ones that AWS takes too.
ATTRIBUTES = ("attributes", "variables")
NAMES = ("attributeName", "variableName", "fieldName")
TARGETS = ("targetAttributeName", "targetFieldName")


@dataclass(frozen=True)
class Variables:
    """What the model knows: None for ``known`` when nobody could say."""

    known: frozenset[str] | None
    ignored: frozenset[str]
    keys: Sequence[str]

    def record(self, values: Values | RefusedRecord) -> Values | RefusedRecord:
        """Give what is sent of a row, or why it cannot be."""
        if isinstance(values, RefusedRecord):
            return values
        if missing := [name for name in self.keys if name not in values]:
            return RefusedRecord(f"it has no key column {missing[0]!r}")
        sent = {name: value for name, value in values.items() if name not in self.ignored}
        if self.known is None:
            return sent
        for name in sent:
            if name not in self.known:
                return RefusedRecord(f"the model knows no variable {name!r}; excluded_attribute_names leaves it out")
        return sent


def variables(
    hook: MachineLearningClientHook, model: Mapping[str, object], keys: Sequence[str], excluded: Collection[str]
) -> Variables:
    """Ask the model's training data for its schema: its target is not sent, nor is a key that is no variable.

    Without permission to see the data source everything is sent but ``excluded``.
    """
    from botocore.exceptions import ClientError

    try:
        answer = hook.conn.get_data_source(DataSourceId=str(model["TrainingDataSourceId"]), Verbose=True)
        schema: dict[str, object] = json.loads(answer.get("DataSourceSchema") or "{}")
    except ClientError as error:
        if errors.is_transient(error):
            raise
        hook.log.warning("What variables the model has is not known, every column is sent: %s", error)
        schema = {}
    known = _known(schema)
    if not known:
        return Variables(None, frozenset(excluded), keys)
    target = {str(schema[word]) for word in TARGETS if schema.get(word)}
    return Variables(known, frozenset({*excluded, *target, *(set(keys) - known)}), keys)


def _known(schema: Mapping[str, object]) -> frozenset[str]:
    attributes = [item for word in ATTRIBUTES for item in cast("list[dict[str, str]]", schema.get(word) or [])]
    return frozenset(item[word] for item in attributes for word in NAMES if word in item)
