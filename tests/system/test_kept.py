"""What was acknowledged is there after kill -9, whenever it comes."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.helpers.clients import client_at
from tests.helpers.three_targets import ROWS, schema

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

KILLS = 20
EARLY_SECONDS = 4.0
BOUND_SECONDS = 120
FULL_BYTES = 3 * 2**20
LARGE = b"1" * 200_000
RECORD = {"x": "31"}


class Service:
    """The command on a folder, and its clients; no file of it may grow beyond a limit, as on a disk that is full."""

    def __init__(self, folder: Path, limit: int = resource.RLIM_INFINITY) -> None:
        command = [sys.executable, "-m", "amazon_ml_local", "--port", "0", "--data-dir", str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: _limit(limit))
        assert self.process.stdout
        lines = [self.process.stdout.readline() for _ in range(5)]
        self.url = lines[1].strip().partition("=")[2]
        assert self.url, lines

    def client(self, name: Any) -> Any:
        """Return a client that never tries again."""
        config = Config(retries={"max_attempts": 0}, connect_timeout=10, read_timeout=60)
        return client_at(self.url, name, config=config)

    def predict(self, model: str) -> Any:
        """Return the prediction of a model."""
        ask = {"MLModelId": model, "Record": RECORD, "PredictEndpoint": self.url}
        return self.client("machinelearning").predict(**ask)["Prediction"]

    def kill(self) -> None:
        """End it as nothing else does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=30)


class Lifecycle:
    """One lifecycle after another until the service dies; what was acknowledged is remembered."""

    def __init__(self) -> None:
        self.number = 0
        self.objects: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.completed: dict[str, str] = {}
        self.created: set[str] = set()
        self.ready: dict[str, Any] = {}

    def run(self, service: Service) -> None:
        """Work until a call fails, which is how a client sees the kill."""
        try:
            while True:
                self.one(service)
        except (BotoCoreError, ClientError) as error:
            self.error = error

    def one(self, service: Service) -> float:
        """Work from a bucket to a prediction; return how many seconds that took."""
        self.number += 1
        start = time.monotonic()
        self._steps(service, service.client("s3"), service.client("machinelearning"), str(self.number))
        return time.monotonic() - start

    def _steps(self, service: Service, s3: Any, ml: Any, name: str) -> None:
        s3.create_bucket(Bucket="bucket")
        body = ROWS.encode() + b"61,1,122,high\n" * self.number
        s3.put_object(Bucket="bucket", Key=f"{name}.csv", Body=body, Metadata={"number": name})
        self.objects[f"{name}.csv"] = body
        spec: Any = {"DataLocationS3": f"s3://bucket/{name}.csv", "DataSchema": schema("sign")}
        ml.create_data_source_from_s3(DataSourceId=name, DataSpec=spec, ComputeStatistics=True)
        self.created.add(name)
        ml.create_ml_model(MLModelId=name, MLModelType="BINARY", TrainingDataSourceId=name)
        self.created.add(f"model {name}")
        ml.add_tags(ResourceId=name, ResourceType="MLModel", Tags=[{"Key": "number", "Value": name}])
        self.tags[name] = name
        while (found := ml.get_ml_model(MLModelId=name))["Status"] != "COMPLETED":
            assert found["Status"] != "FAILED", found
            time.sleep(0.02)
        self.completed[name] = str(found["FinishedAt"])
        ml.create_realtime_endpoint(MLModelId=name)
        while ml.get_ml_model(MLModelId=name)["EndpointInfo"]["EndpointStatus"] != "READY":
            time.sleep(0.02)
        self.ready[name] = service.predict(name)

    def fill(self, s3: Any) -> None:
        """Put objects until one is refused."""
        for number in range(100):
            name = f"large {number}"
            s3.put_object(Bucket="bucket", Key=f"{name}.csv", Body=LARGE, Metadata={"number": name})
            self.objects[f"{name}.csv"] = LARGE

    def check(self, service: Service) -> None:
        """Compare what is there with what was acknowledged."""
        s3, ml = service.client("s3"), service.client("machinelearning")
        for key, body in self.objects.items():
            found = s3.get_object(Bucket="bucket", Key=key)
            assert (found["Body"].read(), found["Metadata"]) == (body, {"number": key.removesuffix(".csv")})
        sources = {each["DataSourceId"] for each in ml.describe_data_sources()["Results"]}
        models = {each["MLModelId"]: each for each in ml.describe_ml_models()["Results"]}
        assert self.created <= sources | {f"model {name}" for name in models}
        for name in self.tags:
            tags = ml.describe_tags(ResourceId=name, ResourceType="MLModel")["Tags"]
            assert tags == [{"Key": "number", "Value": name}]
        finished = {name: str(models[name]["FinishedAt"]) for name in self.completed}
        assert finished == self.completed
        predicted = {name: service.predict(name) for name in self.ready}
        assert predicted == self.ready


def test_what_was_acknowledged_survives_twenty_kills(tmp_path: Path) -> None:
    """Also models that were in training: they end COMPLETED after the last restart.

    Every other kill comes soon after the start, while kept jobs run again; the others anywhere in a lifecycle after one
    that came to its end, so that there are predictions to compare.
    """
    moments, life = random.Random(16), Lifecycle()
    for number in range(KILLS):
        service = Service(tmp_path)
        try:
            life.check(service)
            speed = b'{"speed": 10}'
            _post(f"{service.url}/_local/clock", speed)
            longest = life.one(service) if number % 2 else EARLY_SECONDS
            worker = threading.Thread(target=life.run, args=(service,), daemon=True)
            worker.start()
            time.sleep(moments.uniform(0.05, longest))
        finally:
            service.kill()
        worker.join(timeout=BOUND_SECONDS)
        assert not worker.is_alive()
    service = Service(tmp_path)
    try:
        life.check(service)
        _all_completed(service.client("machinelearning"))
    finally:
        service.kill()
    assert len(life.ready) >= KILLS // 2, "predictions of every other round are compared"


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """What cannot be kept is refused with the folder's name; the service goes on, and so it does with room again."""
    life = Lifecycle()
    service = Service(tmp_path, FULL_BYTES)
    try:
        life.one(service)
        s3 = service.client("s3")
        refusal = f"Nothing of this is kept: the data folder {tmp_path} cannot be used"
        with pytest.raises(ClientError, match=refusal):
            life.fill(s3)
        assert 0 < len(life.objects) < 100
        life.check(service)
    finally:
        service.kill()
    service = Service(tmp_path)
    try:
        life.check(service)
        life.one(service)
        life.check(service)
    finally:
        service.kill()


def _limit(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _post(url: str, body: bytes) -> None:
    import urllib.request

    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()


def _all_completed(ml: Any) -> None:
    deadline = time.monotonic() + BOUND_SECONDS
    while unfinished := [each for each in ml.describe_ml_models()["Results"] if each["Status"] != "COMPLETED"]:
        assert time.monotonic() < deadline, unfinished
        time.sleep(0.1)
