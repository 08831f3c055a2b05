"""boto3's clients of services on this machine."""

from __future__ import annotations

from typing import Any

import boto3


def client_at(url: str, name: Any = "machinelearning", **settings: Any) -> Any:
    """Return the client of a service at a URL, with made-up keys."""
    keys: Any = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
    return boto3.client(name, "us-east-1", endpoint_url=url, **keys | settings)
