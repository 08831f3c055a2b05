"""Run the Dags of ``dags/`` for real, in Airflow's own database, against Amazon ML Local with S3 beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.dags.runs import BUCKET, Run, run_to_its_end, share_api_server, spare_the_disk

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's database and its API server, made once for all tests that run Dags."""
    from airflow.utils.db import initdb

    spare_the_disk()
    initdb()
    share_api_server()


@pytest.fixture
def bucket(amazon_ml_local: AmazonMLLocalFixture) -> str:
    """The bucket that the example Dags use, in the S3 beside the service."""
    amazon_ml_local.client("s3").create_bucket(Bucket=BUCKET)
    return BUCKET


@pytest.fixture
def run_dag(airflow_database: None, service_clock: Clock, bucket: str) -> Callable[..., Run]:
    """Run the Dag of a file to its end, by the service's clock."""
    return run_to_its_end
