"""The data schema of a data source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def data_schema(attributes: Mapping[str, str], **members: object) -> dict[str, Any]:
    """Return the schema of CSV data.

    :param attributes: the type of each column, by its name.
    :param members: more members of the schema, such as ``targetAttributeName``.
    """
    listed = [{"attributeName": name, "attributeType": kind} for name, kind in attributes.items()]
    return {"version": "1.0", "dataFormat": "CSV", "attributes": listed, **members}


def schema_text(attributes: Mapping[str, str], **members: object) -> str:
    """As ``data_schema``, in JSON."""
    return json.dumps(data_schema(attributes, **members))
