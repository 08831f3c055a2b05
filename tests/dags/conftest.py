"""Run the Dags of ``dags/`` for real, in Airflow's own database, against Amazon ML Local with S3 beside it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.dags.runs import BUCKET, DAGS, FEATURES, Run

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's database, made once for all tests that run Dags."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def bucket(amazon_ml_local: AmazonMLLocalFixture) -> str:
    """The bucket that the example Dags use, in the S3 beside the service."""
    amazon_ml_local.client("s3").create_bucket(Bucket=BUCKET)
    return BUCKET


@pytest.fixture
def run_dag(
    airflow_database: None, service_clock: Clock, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Run]:
    """Run the Dag of a file to its end, by the service's clock."""
    monkeypatch.syspath_prepend(DAGS)
    bundles = [
        {
            "name": folder.name,
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(folder)},
        }
        for folder in (DAGS, FEATURES)
    ]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(bundles))

    def run(path: Path, prepare: Callable[[Any], object] = lambda dag: None, **params: object) -> Run:
        specification = importlib.util.spec_from_file_location(path.stem, path)
        assert specification
        assert specification.loader
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        prepare(module.dag)
        return Run(module.dag.test(run_conf=params))

    return run
