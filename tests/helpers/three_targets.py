"""Data with three targets of one input: sign for BINARY, double for REGRESSION, third for MULTICLASS."""

from __future__ import annotations

from tests.helpers.schemas import schema_text

KINDS = {"x": "NUMERIC", "sign": "BINARY", "double": "NUMERIC", "third": "CATEGORICAL"}
TARGETS = {"BINARY": "sign", "REGRESSION": "double", "MULTICLASS": "third"}
ROWS = "x,sign,double,third\n" + "".join(
    f"{x},{int(x >= 30)},{2 * x},{('low', 'middle', 'high')[x // 20]}\n" for x in range(60)
)
DATA = "s3://bucket/train.csv"
HOUR = 3600


def schema(target: str) -> str:
    """Return the schema of ROWS with one of its targets, as JSON."""
    others = [name for name in TARGETS.values() if name != target]
    return schema_text(KINDS, targetAttributeName=target, dataFileContainsHeader=True, excludedAttributeNames=others)
