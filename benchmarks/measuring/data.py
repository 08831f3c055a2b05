"""The schema of the data that are measured: CSV whose target is the column y."""

from __future__ import annotations

import json
from collections.abc import Mapping


def schema_text(kinds: Mapping[str, str], has_header: bool = False) -> str:
    """Return a data schema in JSON, of columns by name and type."""
    attributes = [{"attributeName": name, "attributeType": kind} for name, kind in kinds.items()]
    schema = {"targetAttributeName": "y", "dataFormat": "CSV", "attributes": attributes}
    return json.dumps({"version": "1.0", "dataFileContainsHeader": has_header, **schema})
