"""The pytest fixture ``amazon_ml_local``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amazon_ml_local.fixture import AmazonMLLocalFixture

PROFILE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
LOOPBACK = "127.0.0.1,localhost"


@pytest.fixture
def amazon_ml_local(monkeypatch: pytest.MonkeyPatch) -> Iterator[AmazonMLLocalFixture]:
    """Serve Amazon ML on a free port, and set the environment variables that point boto3 and Airflow's hooks to it.

    The user's proxies, profile and endpoint URLs are ignored.
    """
    from amazon_ml_local.fixture import served

    _forget_users_aws(monkeypatch)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, ",".join(filter(None, [os.environ.get(name), LOOPBACK])))
    with served() as local:
        for name, value in local.env.items():
            monkeypatch.setenv(name, value)
        yield local


def _forget_users_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove what botocore would prefer to ``AWS_ENDPOINT_URL``, which itself goes before the config file's URLs."""
    for name in list(os.environ):
        if name in PROFILE or name.startswith("AWS_ENDPOINT_URL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false")  # also where the config file says true
