"""Workers that are killed outright, and many at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
from airflow_ml_provider.scoring.worker import Scoring
from tests.helpers.files import PREDICT_ARGUMENTS, joined, planned
from tests.helpers.rates import busiest_second

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from amazon_ml_local.fixture import AmazonMLLocalFixture

ARGUMENTS = PREDICT_ARGUMENTS | {"rows_per_part": 20}
WORKER = """
import json, sys
from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
MachineLearningPredictS3Operator(**json.loads(sys.argv[1])).execute({})
"""
# What they all import is imported once; then each share has a process, whose access key tells the service which it is.
# Each says when its calls departed, by the clock that all processes of a machine have in common.
WORKERS = """
import faulthandler, json, multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
from airflow_ml_provider.scoring import settings, worker
from airflow_ml_provider.predicting.pace import Pace

slots, wait = [], Pace.wait

def noted(pace):
    slots.append(wait(pace))
    return slots[-1]

def work(number, arguments):
    Pace.wait = noted
    faulthandler.dump_traceback_later(60, exit=True)
    connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"]) | {"login": f"worker-{number}"}
    os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(connection)
    return MachineLearningPredictS3Operator(**arguments).execute({}), [slot.sent for slot in slots]

shares = json.loads(sys.argv[1])
with ProcessPoolExecutor(len(shares), multiprocessing.get_context("fork")) as processes:
    done = list(processes.map(work, range(len(shares)), shares))
print("\\n" + json.dumps(done))
"""
ROWS = 400
KILLED_AFTER = 110


@pytest.fixture
def s3(endpoint: AmazonMLLocalFixture) -> S3Client:
    """A client of S3, with the source and the output of one undisturbed run in it."""
    s3 = endpoint.client("s3")
    s3.create_bucket(Bucket="bucket")
    rows = "".join(f"k{number},{number % 40}\n" for number in range(ROWS))
    s3.put_object(Bucket="bucket", Key="in.csv", Body=f"id,x\n{rows}")
    MachineLearningPredictS3Operator(**{**ARGUMENTS, "output_uri": "s3://bucket/undisturbed.csv"}).execute({})
    endpoint.requests.clear()
    endpoint.clock.advance(1)  # the next run begins with a second of its own
    return s3


def is_undisturbed(s3: S3Client) -> bool:
    """Return whether the output has the bytes of the undisturbed run."""
    bodies = [s3.get_object(Bucket="bucket", Key=key)["Body"].read() for key in ("out.csv", "undisturbed.csv")]
    return bodies[0] == bodies[1]


def test_a_new_worker_after_a_kill_makes_the_same_bytes(endpoint: AmazonMLLocalFixture, s3: S3Client) -> None:
    """Killed in mid-file, the next worker goes on behind the last finished part; the output is that of one run."""
    endpoint.clock.resume()
    worker = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(ARGUMENTS)], env=os.environ)
    while endpoint.requests.count("Predict") < KILLED_AFTER:
        assert worker.poll() is None
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    keys = {item["Key"] for item in s3.list_objects_v2(Bucket="bucket")["Contents"]}
    assert "out.csv" not in keys
    assert any(key.startswith("out.csv.parts/000000-") for key in keys)

    endpoint.clock.freeze()
    MachineLearningPredictS3Operator(**ARGUMENTS).execute({})
    assert is_undisturbed(s3)
    assert ROWS <= endpoint.requests.count("Predict") < 2 * ROWS - KILLED_AFTER


@pytest.fixture
def plan(endpoint: AmazonMLLocalFixture, s3: S3Client) -> Any:
    """The shares of four workers."""
    plan = planned(4)
    assert [share["max_requests_per_second"] for share in plan] == [55, 48, 49, 48]  # as there are rows, 200 in sum
    return plan


def scored(worker: Any) -> Any:
    """Do what the operator does; Airflow 2.11 lets ``execute`` itself be called in the main thread only."""
    return Scoring(worker.hook, "ml-1", worker.rows(), worker.settings()).run()


def test_workers_at_once_keep_the_endpoints_rate_in_sum(
    endpoint: AmazonMLLocalFixture, s3: S3Client, plan: list[dict[str, Any]]
) -> None:
    """Four workers, each with its share of rows and rate: no second has more than 200 calls, and none is refused."""
    workers = [MachineLearningPredictS3Operator(**{**ARGUMENTS, "source_uri": None, **share}) for share in plan]
    with ThreadPoolExecutor(len(workers)) as threads:
        joined(list(threads.map(scored, workers)))
    assert is_undisturbed(s3)
    assert busiest_second([item.at for item in endpoint.requests if item.operation == "Predict"]) <= 200
    assert endpoint.requests.count("Predict") == ROWS


@pytest.fixture
def at_once(endpoint: AmazonMLLocalFixture) -> Iterator[None]:
    """Start the four workers together: their first question is answered when all have asked it."""
    answer, met = endpoint.service.handle, threading.Barrier(4)

    def handle(request: Any) -> Any:
        if (request.header("x-amz-target") or "").endswith(".GetMLModel"):
            met.wait(timeout=60)
        return answer(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoint.service, "handle", handle)
        yield
        met.abort()


def test_processes_at_once_keep_the_endpoints_rate_in_sum(
    endpoint: AmazonMLLocalFixture, s3: S3Client, plan: list[dict[str, Any]], at_once: None
) -> None:
    """Four processes at work at once: no second has more than 200 departures, though the service would take ten times
    more, and every row is asked for once."""
    endpoint.service.peak_requests_per_second = 10 * 200
    endpoint.clock.resume()
    shares = json.dumps([{**ARGUMENTS, "source_uri": None, **share} for share in plan])
    # A worker that hangs says where on its standard error, and ends, before this does.
    workers = subprocess.run([sys.executable, "-c", WORKERS, shares], capture_output=True, text=True, timeout=120)
    assert workers.returncode == 0, workers.stderr
    summaries, departures = zip(*json.loads(workers.stdout.splitlines()[-1]), strict=True)
    joined(summaries)
    assert is_undisturbed(s3)
    assert 50 < busiest_second([at for of_one in departures for at in of_one]) <= 200
    keys = Counter(item.access_key for item in endpoint.requests if item.operation == "Predict")
    assert keys.total() == ROWS
    assert keys.keys() == {f"worker-{number}" for number in range(4)}
