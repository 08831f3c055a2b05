"""The pytest fixture ``amazon_ml_local``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amazon_ml_local.fixture import AmazonMLLocalFixture

LOOPBACK = "127.0.0.1,localhost"


@pytest.fixture
def amazon_ml_local(monkeypatch: pytest.MonkeyPatch) -> Iterator[AmazonMLLocalFixture]:
    """Serve Amazon ML on a free port, and set the environment variables that point boto3 and Airflow's hooks to it.

    The user's proxies and profile are ignored.
    """
    from amazon_ml_local.fixture import served

    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, ",".join(filter(None, [os.environ.get(name), LOOPBACK])))
    with served() as local:
        for name, value in local.env.items():
            monkeypatch.setenv(name, value)
        yield local
