"""Data with three targets of one input: sign for BINARY, double for REGRESSION, third for MULTICLASS."""

from __future__ import annotations

import json

KINDS = {"x": "NUMERIC", "sign": "BINARY", "double": "NUMERIC", "third": "CATEGORICAL"}
TARGETS = {"BINARY": "sign", "REGRESSION": "double", "MULTICLASS": "third"}
ROWS = "x,sign,double,third\n" + "".join(
    f"{x},{int(x >= 30)},{2 * x},{('low', 'middle', 'high')[x // 20]}\n" for x in range(60)
)
DATA = "s3://bucket/train.csv"
HOUR = 3600


def schema(target: str) -> str:
    """Return the schema of ROWS with one of its targets, as JSON."""
    attributes = [{"attributeName": name, "attributeType": kind} for name, kind in KINDS.items()]
    others = [name for name in TARGETS.values() if name != target]
    return json.dumps(
        {
            "version": "1.0",
            "targetAttributeName": target,
            "dataFormat": "CSV",
            "dataFileContainsHeader": True,
            "attributes": attributes,
            "excludedAttributeNames": others,
        }
    )
