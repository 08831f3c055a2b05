"""Data sources from databases: what Create wants of each kind."""

from __future__ import annotations

from typing import Any

from tests.helpers.schemas import schema_text

PASSWORD = "hunter2-and-more"
COMMON: Any = {
    "SelectSqlQuery": "select x, y from samples where x is not null",
    "DatabaseCredentials": {"Username": "reader", "Password": PASSWORD},
    "S3StagingLocation": "s3://bucket/staging/",
    "DataSchema": schema_text({"x": "NUMERIC", "y": "BINARY"}, targetAttributeName="y"),
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
