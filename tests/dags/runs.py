"""Which Dags are run here, what became of a run, and the files that are scored in some of them."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from amazon_ml_local.fixture import served
from tests.helpers.service_time import live_by

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from amazon_ml_local.fixture import AmazonMLLocalFixture

BUCKET = "amazon-ml-demo"
DAGS = Path(__file__).parent.parent.parent / "dags"
FEATURES = Path(__file__).parent / "features"
VALUES = [*range(10), *range(30, 40)] * 4  # of the rows that are scored


class Run:
    """A Dag run that has ended."""

    def __init__(self, dag_run: Any) -> None:
        self.state = str(dag_run.state)
        self.task_instances = {(ti.task_id, ti.map_index): ti for ti in dag_run.get_task_instances()}

    def states(self) -> dict[str, str]:
        """The state of each task; of a mapped one, that of its last instance."""
        return {task_id: str(ti.state) for (task_id, _), ti in self.task_instances.items()}

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """What a task pushed."""
        return self.task_instances[task_id, map_index].xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)


def share_api_server() -> None:
    """Keep the API server that ``dag.test()`` asks, as Airflow 3.3 does: before, each task makes one, for seconds."""
    from airflow_ml_provider.compat import AIRFLOW_3

    if AIRFLOW_3:
        from airflow.sdk.execution_time import supervisor

        supervisor.in_process_api_server = cache(supervisor.in_process_api_server)


def spare_the_disk() -> None:
    """Have SQLite not wait for the disk at each of thousands of commits, to a database that ends with the tests."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    @event.listens_for(Engine, "connect")
    def without_waiting(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = OFF")
        cursor.close()


def run_to_its_end(path: Path, prepare: Callable[[Any], object] = lambda dag: None, **params: object) -> Run:
    """Run the Dag of a file, which ``prepare`` may change first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DAGS)
        patch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([_bundle(path)]))
        specification = importlib.util.spec_from_file_location(path.stem, path)
        assert specification
        assert specification.loader
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        prepare(module.dag)
        return Run(module.dag.test(run_conf=params))


@contextmanager
def shared_service() -> Iterator[AmazonMLLocalFixture]:
    """Serve, with the bucket, by the service's clock, for the tests of a file that share one run."""
    with served() as service, pytest.MonkeyPatch.context() as patch:
        for name, value in service.env.items():
            patch.setenv(name, value)
        live_by(service.clock, patch)
        service.client("s3").create_bucket(Bucket=BUCKET)
        yield service


def _bundle(path: Path) -> dict[str, object]:
    """Describe a bundle of this one file: of a folder, each run would parse and serialize all Dags anew."""
    return {
        "name": "tests",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(path)},
    }


def put_rows(s3: S3Client, key: str, first: int = 0, last: int = len(VALUES)) -> None:
    """Put some of the rows into an object."""
    body = "id,x\n" + "".join(f"{place},{VALUES[place]}\n" for place in range(first, last))
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def predicted(s3: S3Client, key: str) -> list[tuple[str, ...]]:
    """Return the ids and labels of an output."""
    lines = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode().splitlines()
    assert lines[0] == "id,predictedLabel,predictedScore"
    return [tuple(line.split(",")[:2]) for line in lines[1:]]


def expected() -> list[tuple[str, ...]]:
    """Return the ids and labels that all rows ought to have."""
    return [(str(place), "1" if x >= 20 else "0") for place, x in enumerate(VALUES)]
