"""Select the values of a row that are sent to the model, by the schema of the model's training data."""

from __future__ import annotations

import difflib
import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import AirflowFailException
from airflow_ml_provider.errors import RefusedRecord
from airflow_ml_provider.retrying import Retries, retry_until_deadline

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.scoring.rows import Values

log = logging.getLogger(__name__)

# The keys of a schema, and the older ones that AWS accepts too.
ATTRIBUTES = ("attributes", "variables")
NAMES = ("attributeName", "variableName", "fieldName")
TARGETS = ("targetAttributeName", "targetFieldName")


@dataclass(frozen=True)
class Variables:
    """The variables of a model.

    ``known`` is None if the schema could not be read. ``ignored`` are columns that are not sent, ``keys`` the key
    columns, which every row must have.
    """

    known: frozenset[str] | None
    ignored: frozenset[str]
    keys: Sequence[str]

    def record(self, values: Values | RefusedRecord) -> Values | RefusedRecord:
        """Return the values of a row that are sent, or the reason why it cannot be sent."""
        if isinstance(values, RefusedRecord):
            return values
        if fault := self.fault(values):
            return RefusedRecord(fault)
        return {name: value for name, value in values.items() if name not in self.ignored}

    def fault(self, names: Collection[str]) -> str:
        """Return what is wrong with a row or a header that has these names; empty if nothing is."""
        for name in self.keys:
            if name not in names:
                return f"it has no key column {name!r}{did_you_mean(name, names)}"
        is_sent = False
        for name in names:
            if name in self.ignored:
                continue
            if self.known is not None and name not in self.known:
                nearest = did_you_mean(name, self.known)
                return f"the model knows no variable {name!r}{nearest}; excluded_attribute_names leaves it out"
            is_sent = True
        return "" if is_sent else "it has no variable of the model"

    def check_header(self, columns: Sequence[str], uri: str) -> None:
        """Raise AirflowFailException when every row below this header would be refused.

        A line without any name that is known, in whatever case, may be somebody's data: it is not quoted then.
        """
        if not (fault := self.fault(columns)):
            return
        known = {name.casefold() for name in {*(self.known or ()), *self.ignored, *self.keys}}
        if known.isdisjoint(name.casefold() for name in columns):
            what = "none of its columns is a variable of the model, a key column or excluded"
            if self.known is None and self.keys:
                what = f"it has no key column {self.keys[0]!r}"
            fault = (
                f"{what}; is its first line a header? column_names names the columns of a CSV file without one, "
                f"input_format says that it is JSON_LINES"
            )
        raise AirflowFailException(f"source_uri: the header of {uri}: {fault}")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question with the most similar name; empty if no name is similar."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, 1)
    return f" (did you mean {by_folded[found[0]]!r}?)" if found else ""


def get_with_retries(
    hook: MachineLearningClientHook, operation: str, id_member: str, resource_id: str, timeout: float, **more: object
) -> dict[str, object]:
    """Return a Get's answer; retry transient errors, and answers that do not come from the service.

    :param more: more members of the request.
    :param timeout: seconds during which they are retried.
    :raises DeadlinePassed: when they have lasted for all of ``timeout``.
    """
    from botocore.parsers import ResponseParserError

    started = CLOCK.now()
    retries = Retries(f"{operation} of {resource_id}", deadline=started + timeout, delay=2, started=started)

    def get() -> dict[str, object]:
        answer = hook.call_once(operation, retries.deadline, **{id_member: resource_id}, **more)
        if not answer.get("Status"):
            raise ResponseParserError(f"{operation}: an answer without a status")
        return answer

    return retry_until_deadline(retries, get)


def read_variables(
    hook: MachineLearningClientHook,
    model: Mapping[str, object],
    keys: Sequence[str],
    excluded: Collection[str],
    timeout: float,
) -> Variables:
    """Return the variables of a model by the schema of its training data, which is read here.

    Ignored are ``excluded``, the schema's target, and keys that are no variables. Without permission to read the
    schema only ``excluded`` is ignored.
    """
    schema = read_schema(hook, model, timeout)
    known = known_variables(schema)
    if not known:
        return Variables(None, frozenset(excluded), keys)
    return Variables(known, frozenset({*excluded, *target(schema), *(set(keys) - known)}), keys)


def unknown_variables(
    hook: MachineLearningClientHook, ml_model_id: str, names: Iterable[str], timeout: float
) -> list[str] | None:
    """Return the names that are no variables of a model, each with a similar one; None if the schema cannot be read.

    :param timeout: seconds during which transient errors are retried.
    """
    from botocore.exceptions import ClientError

    try:
        model = get_with_retries(hook, "GetMLModel", "MLModelId", ml_model_id, timeout)
    except ClientError:
        return None
    known = known_variables(read_schema(hook, model, timeout))
    if not known:
        return None
    return [f"{name!r}{did_you_mean(name, known)}" for name in sorted(set(names) - known)]


def read_schema(hook: MachineLearningClientHook, model: Mapping[str, object], timeout: float) -> Mapping[str, object]:
    """Return the schema of a model's training data; an empty one if it may not be read or does not exist."""
    from botocore.exceptions import ClientError

    try:
        data_source_id = str(model["TrainingDataSourceId"])
        answer = get_with_retries(hook, "GetDataSource", "DataSourceId", data_source_id, timeout, Verbose=True)
        schema = json.loads(str(answer.get("DataSourceSchema") or "{}"))
    except (ClientError, ValueError, LookupError) as error:
        log.warning("The variables of the model are unknown: %s", error)
        return {}
    return cast("Mapping[str, object]", schema) if isinstance(schema, dict) else {}


def target(schema: Mapping[str, object]) -> set[str]:
    """Return the name of the schema's target in a set; an empty set if it has none."""
    return {str(schema[key]) for key in TARGETS if schema.get(key)}


def known_variables(schema: Mapping[str, object]) -> frozenset[str]:
    """Return the names of a schema's variables, the target's among them."""
    attributes: list[dict[str, str]] = []
    for key in ATTRIBUTES:
        attributes += cast("list[dict[str, str]]", schema.get(key) or [])
    return frozenset(attribute[key] for attribute in attributes for key in NAMES if key in attribute)
