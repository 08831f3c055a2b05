"""The pytest fixture ``amazon_ml_local``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture
def amazon_ml_local(monkeypatch: pytest.MonkeyPatch) -> Iterator[AmazonMLLocalFixture]:
    """Serve Amazon ML on a socket of its own and point boto3, and so Airflow's AWS hooks, to it."""
    from amazon_ml_local.fixture import served

    with served() as local:
        for name, value in local.env.items():
            monkeypatch.setenv(name, value)
        yield local
