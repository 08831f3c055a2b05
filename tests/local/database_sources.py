"""Data sources from databases: what Create wants of each kind."""

from __future__ import annotations

import json
from typing import Any

PASSWORD = "hunter2-and-more"
SCHEMA = json.dumps(
    {
        "version": "1.0",
        "targetAttributeName": "y",
        "dataFormat": "CSV",
        "dataFileContainsHeader": False,
        "attributes": [
            {"attributeName": "x", "attributeType": "NUMERIC"},
            {"attributeName": "y", "attributeType": "BINARY"},
        ],
    }
)
COMMON: Any = {
    "SelectSqlQuery": "select x, y from samples where x is not null",
    "DatabaseCredentials": {"Username": "reader", "Password": PASSWORD},
    "S3StagingLocation": "s3://bucket/staging/",
    "DataSchema": SCHEMA,
}
ROLE = "arn:aws:iam::123456789012:role/reader"
REDSHIFT: Any = {**COMMON, "DatabaseInformation": {"DatabaseName": "shop", "ClusterIdentifier": "cluster"}}
RDS: Any = {
    **COMMON,
    "DatabaseInformation": {"DatabaseName": "shop", "InstanceIdentifier": "instance"},
    "ResourceRole": "DataPipelineDefaultResourceRole",
    "ServiceRole": "DataPipelineDefaultRole",
    "SubnetId": "subnet-1",
    "SecurityGroupIds": ["sg-1"],
}
