"""Heavy work in processes of its own: the same results, and no process or memory that outlives its reason."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from amazon_ml_local import AmazonMLLocal, MemoryStorage
from tests.helpers import polling
from tests.helpers.clients import client_at
from tests.helpers.schemas import schema_text

pytestmark = pytest.mark.system

ROWS = 3_000
SECONDS = 120
SCHEMA = schema_text(
    {"id": "CATEGORICAL", "x": "NUMERIC", "t": "TEXT", "c": "CATEGORICAL", "y": "BINARY"},
    targetAttributeName="y",
    rowId="id",
)


def data(rows: int) -> bytes:
    """Return a CSV file, some of its records broken."""
    random = np.random.default_rng(0)
    out = StringIO()
    for number, x in enumerate(random.normal(size=rows).round(4).tolist()):
        row = [f"r{number}", x, f'word{number % 50} "quoted, {number % 7}"', "abc"[number % 3], int(x > 0)]
        csv.writer(out, lineterminator="\n").writerow(row if number % 100 else row[:2])
    return out.getvalue().encode()


until = partial(polling.until, seconds=SECONDS, pause=0.02)


@pytest.fixture
def make_service() -> Iterator[Callable[..., AmazonMLLocal]]:
    """Make services whose work is all heavy, or all light."""
    services = []

    def make(heavy_bytes: int, rows: int = ROWS) -> AmazonMLLocal:
        service = AmazonMLLocal(MemoryStorage({"s3://bucket/d.csv": data(rows)}))
        service.durations.set(data_source=0, ml_model=0, evaluation=0, batch_prediction=0)
        service.state.jobs.work.heavy_bytes = heavy_bytes
        services.append(service)
        return service

    yield make
    for service in services:
        service.close()


def create_data_source(client: Any) -> None:
    """Create the data source ds-1."""
    spec: Any = {"DataLocationS3": "s3://bucket/d.csv", "DataSchema": SCHEMA}
    client.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=spec, ComputeStatistics=True)


def create_all(client: Any) -> None:
    """Create an entity of every kind."""
    create_data_source(client)
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    client.create_evaluation(EvaluationId="ev-1", MLModelId="ml-1", EvaluationDataSourceId="ds-1")
    client.create_batch_prediction(
        BatchPredictionId="bp-1", MLModelId="ml-1", BatchPredictionDataSourceId="ds-1", OutputUri="s3://bucket/out/"
    )


def ended(get: Callable[..., Any], **wanted: str) -> Any:
    """Return what Get answers once the entity has ended."""
    return until(lambda: (found := get(**wanted))["Status"] in ("COMPLETED", "FAILED") and found)


def workers(parent: int | None = None) -> list[psutil.Process]:
    """Return the processes that do heavy work for a process, this one unless told otherwise."""
    children = psutil.Process(parent or os.getpid()).children()
    return [child for child in children if "amazon_ml_local.worker" in " ".join(_command(child))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def test_heavy_work_gives_the_same_results_to_the_bit(make_service: Callable[..., AmazonMLLocal]) -> None:
    """The same model, metric and files come out, whether the work is done in the service or in a process."""

    def results(heavy_bytes: int) -> Any:
        service = make_service(heavy_bytes)
        client, storage = service.client(), service.storage
        assert isinstance(storage, MemoryStorage)
        create_all(client)
        assert ended(client.get_batch_prediction, BatchPredictionId="bp-1")["Status"] == "COMPLETED"
        metrics = ended(client.get_evaluation, EvaluationId="ev-1")["PerformanceMetrics"]
        model = service.state.region("us-east-1").get("MLModel", "ml-1").job.result()
        files = {uri: body for uri, body in storage.objects.items() if uri != "s3://bucket/d.csv"}
        assert (service.state.region("us-east-1").get("DataSource", "ds-1").job.result().table.file is None) == (
            heavy_bytes > 0
        )
        return metrics, files, model.predict({"x": "0.3", "t": "word3", "c": "a"}), model.weights.tolist()

    assert results(0) == results(2**40)


def test_data_larger_than_the_memory_fail_with_a_reason_and_the_service_goes_on(
    make_service: Callable[..., AmazonMLLocal],
) -> None:
    """The process may take so much and no more; the entity says so, and other work is done."""
    service = make_service(1_000, rows=400_000)
    client = service.client()
    service.state.jobs.work.processes.memory = 150 * 2**20
    create_data_source(client)
    answer = ended(client.get_data_source, DataSourceId="ds-1")
    assert answer["Status"] == "FAILED"
    assert "do not fit into the memory of the 150 MB that were free" in answer["Message"]
    service.state.jobs.work.processes.memory = None
    client.delete_data_source(DataSourceId="ds-1")
    create_data_source(client)
    assert ended(client.get_data_source, DataSourceId="ds-1")["Status"] == "COMPLETED"


def test_a_process_that_is_killed_fails_its_entity_alone(make_service: Callable[..., AmazonMLLocal]) -> None:
    """As the kernel does for lack of memory: the Message says what happened and what to do."""
    service = make_service(0, rows=100_000)
    client = service.client()
    create_data_source(client)
    (worker,) = until(workers)
    worker.kill()
    answer = ended(client.get_data_source, DataSourceId="ds-1")
    assert answer["Status"] == "FAILED"
    assert "ended with signal SIGKILL before it was done" in answer["Message"]


def test_work_ends_with_its_entity(make_service: Callable[..., AmazonMLLocal]) -> None:
    """A deleted data source that no model needs has no process any more; one that a model needs goes on."""
    service = make_service(0, rows=200_000)
    client = service.client()
    create_data_source(client)
    (worker,) = until(workers)
    client.delete_data_source(DataSourceId="ds-1")
    worker.wait(SECONDS)
    until(lambda: not workers())
    create_data_source(client)
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    client.delete_data_source(DataSourceId="ds-1")
    assert ended(client.get_ml_model, MLModelId="ml-1")["Status"] == "COMPLETED"


def test_work_ends_with_close(make_service: Callable[..., AmazonMLLocal]) -> None:
    """No process outlives the service."""
    service = make_service(0, rows=200_000)
    create_all(service.client())
    (worker,) = until(workers)
    service.close()
    worker.wait(SECONDS)
    until(lambda: not workers())


def test_a_deleted_data_source_leaves_no_file_open(make_service: Callable[..., AmazonMLLocal]) -> None:
    """The columns of a large data source are in an unnamed file, which goes with the entity."""
    service = make_service(0)
    client = service.client()
    before = psutil.Process().num_fds()
    create_all(client)
    assert ended(client.get_batch_prediction, BatchPredictionId="bp-1")["Status"] == "COMPLETED"
    client.delete_batch_prediction(BatchPredictionId="bp-1")
    client.delete_evaluation(EvaluationId="ev-1")
    client.delete_ml_model(MLModelId="ml-1")
    client.delete_data_source(DataSourceId="ds-1")
    until(lambda: psutil.Process().num_fds() <= before)
    assert client.get_data_source(DataSourceId="ds-1")["NumberOfFiles"] == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_a_killed_service(number: Any, tmp_path: Path) -> None:
    """The worker's standard input ends with the service, however that ends."""
    file = tmp_path / "d.csv"
    file.write_bytes(data(400_000))
    command = [sys.executable, "-m", "amazon_ml_local", "--port", "0", "--load", f"s3://bucket/d.csv={file}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout
            lines = (re.search("AWS_ENDPOINT_URL=(.+)", line) for line in service.stdout)
            url = next(found[1] for found in lines if found)
            create_data_source(client_at(url))
            (worker,) = until(lambda: workers(service.pid))
            service.send_signal(number)
            worker.wait(SECONDS)
        finally:
            service.kill()
