"""A call that hangs holds up no process's end: real processes, asked to end in mid-call."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.files import FILE, SOURCE, Bucket
from tests.helpers.hostile import hostile
from tests.helpers.polling import until

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]  # real time: make test-hostile

ROOT = Path(__file__).parent.parent.parent
LONGEST_START = 120.0  # seconds, in which a busy machine has imported Airflow
LONGEST_END = 10.0  # seconds from the signal to the end of the process
# The processes import nothing of the tests, whose conftest forgets AWS_ENDPOINT_URL. They end on SIGTERM as Airflow's
# own do: a worker's task by an exception, a triggerer by cancelling what it runs.
WORKER = """
import signal, sys

class Terminated(BaseException):  # as Airflow's AirflowTaskTimeout and AirflowTaskTerminated
    pass

def terminate(number, frame):
    raise Terminated

signal.signal(signal.SIGTERM, terminate)
CONFIG = {"read_timeout": 600, "retries": {"total_max_attempts": 1}}
"""
TRIGGERER = """
import asyncio, signal, sys
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.triggers.machine_learning import MachineLearningTrigger
from airflow_ml_provider.waiting import Wait

CONFIG = {"read_timeout": 600}

async def fire(number):
    now = CLOCK.now()
    wait = Wait("realtime_endpoint_ready", f"ml-{number}", "us-east-1", now + 600, 0.5, now, status="UPDATING")
    async for event in MachineLearningTrigger(wait=wait.to_json(), carried={}, botocore_config=CONFIG).run():
        print(event)

async def main():
    tasks = [asyncio.create_task(fire(number)) for number in range(3)]
    for task in tasks:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: [task.cancel() for task in tasks])
    await asyncio.gather(*tasks, return_exceptions=True)

asyncio.run(main())
"""
CREATE = """
from airflow_ml_provider.operators.realtime_endpoint import MachineLearningCreateRealtimeEndpointOperator
MachineLearningCreateRealtimeEndpointOperator(
    task_id="create", ml_model_id="ml-2", waiter_delay=1, waiter_max_attempts=600, botocore_config=CONFIG
).execute({})
"""
SENSOR = """
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor
MachineLearningRealtimeEndpointSensor(
    task_id="wait", ml_model_id="ml-1", poke_interval=1, timeout=600, deferrable=False, botocore_config=CONFIG
).execute({})
"""
PREDICT = """
import os
from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
MachineLearningHook(config=CONFIG).predict("ml-1", {"x": 1}, os.environ["AWS_ENDPOINT_URL"])
"""
PREDICT_S3 = """
from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
MachineLearningPredictS3Operator(
    task_id="predict", ml_model_id="ml-1", source_uri="s3://bucket/in.csv", output_uri="s3://bucket/out.csv",
    key_columns=["id"], rows_per_part=10, botocore_config=CONFIG,
).execute({})
"""
GET, PREDICTION = b"AmazonML_20141212.GetMLModel", b"AmazonML_20141212.Predict"
# What each process runs, and which of its calls hangs: of those with a text, by its number.
PROCESSES = {
    "a wait in the worker": (WORKER + CREATE, GET, 3),
    "a sensor's poke": (WORKER + SENSOR, GET, 1),
    "hook.predict": (WORKER + PREDICT, PREDICTION, 1),
    "PredictS3's predictions": (WORKER + PREDICT_S3, PREDICTION, 1),
    "PredictS3's source": (WORKER + PREDICT_S3, b"GET /bucket/in.csv", 1),
    "PredictS3's parts": (WORKER + PREDICT_S3, b"PUT /bucket/out.csv.parts/0", 1),
    "the poller": (TRIGGERER, GET, 1),
}


@pytest.fixture
def url(endpoint: AmazonMLLocalFixture) -> str:
    """The address of the service, with a file of records in its S3, and ``ml-2``, which has no endpoint yet."""
    endpoint.client().create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    endpoint.clock.advance(3600)
    Bucket(endpoint.client("s3")).put(SOURCE, FILE)
    return endpoint.url


@pytest.mark.parametrize("kind", ["silence", "drip_body"])
@pytest.mark.parametrize("name", PROCESSES)
def test_a_call_that_hangs_holds_up_no_process_s_end(url: str, name: str, kind: str) -> None:
    """Told to end, it has ended within seconds, though the call had minutes left."""
    code, text, first = PROCESSES[name]
    numbers = count(1)
    with hostile(kind, url, lambda request: text in request and next(numbers) == first) as server:
        environment = {**os.environ, "AWS_ENDPOINT_URL": server.url}
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        try:
            until(lambda: server.asked or process.poll() is not None, LONGEST_START, pause=0.05)
            assert process.poll() is None, process.communicate()[1][-2000:]
            time.sleep(0.5)  # it reads the answer now
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            _, said = process.communicate(timeout=LONGEST_END)
            assert time.monotonic() - began < LONGEST_END
        finally:
            process.kill()
            process.wait()
    assert process.returncode == (0 if name == "the poller" else 1), said
    assert name == "the poller" or "Terminated" in said
