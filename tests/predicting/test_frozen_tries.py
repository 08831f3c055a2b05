"""Processes that are frozen in mid-work, given up, and woken when the next one has gone on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
from tests.helpers.files import PREDICT_ARGUMENTS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from amazon_ml_local.fixture import AmazonMLLocalFixture

ROWS = 300
LONGEST_WAIT = 120.0  # seconds, until a try that hangs fails here
ARGUMENTS = PREDICT_ARGUMENTS | {"rows_per_part": 20, "max_errors": 1}
# What all tries import is imported once; each is a process of its own. It writes down each call of S3 before it makes
# it, and how it ended. With a time-out it is woken as Airflow wakes a task whose execution_timeout has passed.
TRIES = """
import json, os, signal, sys, time
from botocore.client import BaseClient
from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
from airflow_ml_provider.scoring import worker

class TaskTimeout(BaseException):
    pass

def time_out(number, frame):
    raise TaskTimeout

def run(log, pause, has_timeout, arguments):
    original = BaseClient._make_api_call

    def call(client, operation, parameters):
        if client.meta.service_model.service_name == "s3":
            print(operation, parameters.get("Key", ""), file=log, flush=True)
            time.sleep(pause)
        return original(client, operation, parameters)

    BaseClient._make_api_call = call
    if has_timeout:
        signal.signal(signal.SIGCONT, time_out)
    try:
        summary = MachineLearningPredictS3Operator(**arguments).execute({})
        print("ended", json.dumps(summary), file=log, flush=True)
    except BaseException as error:
        print("failed", type(error).__name__, str(error).replace(chr(10), " "), file=log, flush=True)

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    path, *rest = json.loads(line)
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a frozen try must not hold up the line to the test
        with open(path, "w") as log:
            run(log, *rest)
        os._exit(0)
    print(pid, flush=True)
"""
# Where a try is frozen: at which call of S3, and how many of those it has made before.
PHASES = {
    "in a part": ("PutObject out.csv.parts/0", ROWS // 20),
    "in the record": ("PutObject out.csv.parts/progress.json", ROWS // 20),
    "in the join": ("GetObject out.csv.parts/0", ROWS // 20),
    "at the end of the join": ("CompleteMultipartUpload out.csv", 1),
    "in the clean-up": ("DeleteObject", 2),
}


class Try:
    """One process at work, and what it has written down."""

    def __init__(
        self, nursery: subprocess.Popen[str], path: Path, *, pause: float = 0.0, has_timeout: bool = False
    ) -> None:
        self._path = path
        print(json.dumps([str(path), pause, has_timeout, ARGUMENTS]), file=nursery.stdin, flush=True)
        assert nursery.stdout
        self.pid = int(nursery.stdout.readline())

    def lines(self) -> Any:
        return self._path.read_text().splitlines() if self._path.exists() else []

    def end(self) -> Any:
        """Return the last line, once it has ended."""
        self._until(lambda lines: lines and lines[-1].startswith(("ended", "failed")))
        return self.lines()[-1]

    def freeze(self, call: str, times: int, after: float) -> None:
        """Stop it a moment after it has begun a call for so many times."""
        self._until(lambda lines: sum(line.startswith(call) for line in lines) >= times)
        time.sleep(after)
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, signal.SIGCONT)

    def _until(self, has_happened: Any) -> None:
        deadline = time.monotonic() + LONGEST_WAIT
        while not has_happened(self.lines()):
            assert time.monotonic() < deadline, self.lines()[-3:]
            time.sleep(0.005)


@pytest.fixture
def nursery(endpoint: AmazonMLLocalFixture) -> Iterator[subprocess.Popen[str]]:
    """What starts tries; the service runs in real time meanwhile, without a limit that holds them up."""
    endpoint.service.peak_requests_per_second = 2000
    endpoint.clock.resume()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", TRIES], env=environment, **pipes) as nursery:
        yield nursery
        assert nursery.stdin
        nursery.stdin.close()
    endpoint.clock.freeze()


@pytest.fixture
def s3(endpoint: AmazonMLLocalFixture) -> S3Client:
    """A client of S3, with the source in it: one row of it is refused."""
    s3 = endpoint.client("s3")
    s3.create_bucket(Bucket="bucket")
    lines = [f"k{number},{number % 40}" for number in range(ROWS - 1)]
    lines.insert(ROWS // 2, "ragged")
    s3.put_object(Bucket="bucket", Key="in.csv", Body="id,x\n" + "".join(f"{line}\n" for line in lines))
    MachineLearningPredictS3Operator(**ARGUMENTS).execute({})
    return s3


def files(s3: S3Client) -> dict[str, Any]:
    """Return all objects but the source."""
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="bucket")["Contents"] if item["Key"] != "in.csv"]
    return {key: s3.get_object(Bucket="bucket", Key=key)["Body"].read() for key in keys}


@pytest.mark.system
@pytest.mark.timeout(1800)
def test_a_frozen_try_spoils_nothing(s3: S3Client, nursery: subprocess.Popen[str], tmp_path: Path) -> None:
    """20 seeds: frozen anywhere, given up, woken with and without a time-out after or while the next one works.

    The next one succeeds, the woken one stops or has done the same, and the bytes are those of an undisturbed run.
    """
    undisturbed = files(s3)
    assert set(undisturbed) == {"out.csv", "out.csv.errors.csv"}
    for seed in range(20):
        chance = random.Random(seed)
        for key in files(s3):
            s3.delete_object(Bucket="bucket", Key=key)
        phase = list(PHASES)[seed % len(PHASES)]
        call, most = PHASES[phase]
        first = Try(nursery, tmp_path / f"{seed}-1", pause=0.03, has_timeout=bool(seed // 5 % 2))
        first.freeze(call, chance.randint(1, most), chance.uniform(0, 0.08))
        second = Try(nursery, tmp_path / f"{seed}-2")
        if seed >= 10:  # woken while the next one is at work
            second.freeze("PutObject out.csv.parts/progress.json", 2, chance.uniform(0, 0.05))
            first.wake()
            first.end()
            second.wake()
        ended = second.end()
        first.wake()
        woken = first.end()
        assert ended.startswith("ended"), f"seed {seed}, {phase}: {ended}"
        assert woken.startswith(("ended", "failed TakenOver", "failed TaskTimeout")), f"seed {seed}, {phase}: {woken}"
        assert files(s3) == undisturbed, f"seed {seed}, {phase}: {woken}"
        assert json.loads(ended.removeprefix("ended "))["rows"] == ROWS
