"""Amazon ML Local beside moto's own server: requests per second on one connection, start-up, memory, pages of a list.

Both servers run as processes of their own on this machine and are called by one thread, in turns. `http` is the
standard library's client on a kept connection; `boto3` adds what boto3 itself costs, which both pay.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from measuring.data import schema_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BYTE_CODE = tempfile.TemporaryDirectory()
TURNS = 5
TURN_SECONDS = 1.0
MODELS = 2_000
ROWS = 41_000
KEYS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
SCHEMA = schema_text({"x": "NUMERIC", "y": "BINARY"})
COLUMNS = [f"x{number}" for number in range(20)]
LARGE_SCHEMA = schema_text({**dict.fromkeys(COLUMNS, "NUMERIC"), "y": "BINARY"})
SIGNED = "AWS4-HMAC-SHA256 Credential=local/20261123/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


@contextmanager
def amazon_ml_local(*options: str) -> Iterator[tuple[str, int]]:
    """Run Amazon ML Local, and yield its URL and process id."""
    command = [sys.executable, "-m", "amazon_ml_local", "--port", "0", *options]
    # As an installed package runs: with its byte code on disk, wherever this benchmark keeps it.
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": BYTE_CODE.name, "PYTHONDONTWRITEBYTECODE": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout
            urls = (re.search("AWS_ENDPOINT_URL=(.+)", line) for line in process.stdout)
            yield next(found[1] for found in urls if found), process.pid
        finally:
            process.terminate()


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto's own server, with one object in S3, and yield its URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from moto.server import main; main()", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/moto-api/")
            s3 = boto3.client("s3", endpoint_url=url, **KEYS)
            s3.create_bucket(Bucket="bucket")
            s3.put_object(Bucket="bucket", Key="key", Body=b"x" * 300)
            yield url
        finally:
            process.terminate()


def wait_for(url: str) -> None:
    """Return when something answers at the URL."""
    while True:
        try:
            urllib.request.urlopen(url).close()
            return
        except OSError:
            time.sleep(0.05)


def per_second(call: Callable[[], Any]) -> float:
    """Call for a while, and return how often in a second."""
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < TURN_SECONDS:
        call()
        count += 1
    return count / (time.perf_counter() - begun)


def http_call(url: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> Callable[[], bytes]:
    """Return a function that sends a request on one kept connection (that the server may close all the same)."""
    connection = HTTPConnection(url.removeprefix("http://"))

    def call() -> bytes:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return content

    return call


def ml_call(url: str, operation: str, **parameters: Any) -> Callable[[], bytes]:
    """Return a function that calls an operation of Amazon ML."""
    headers = {
        "X-Amz-Target": f"AmazonML_20141212.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": SIGNED.format("machinelearning"),
    }
    return http_call(url, "POST", "/", json.dumps(parameters).encode(), headers)


def large_rows() -> Iterator[str]:
    """Yield rows of CSV: numbers by a seeded generator, and a label that depends on them."""
    draw = random.Random(0)
    for _ in range(ROWS):
        values = [draw.gauss(0, 1) for _ in COLUMNS]
        yield ",".join(f"{value:.4f}" for value in values) + f",{int(sum(values) + draw.gauss(0, 1) > 0)}\n"


def start_up() -> tuple[float, float]:
    """Start Amazon ML Local; return seconds until the first answer, and MB of resident memory after it."""
    begun = time.perf_counter()
    with amazon_ml_local() as (url, pid):
        ml_call(url, "DescribeMLModels")()
        seconds = time.perf_counter() - begun
        status = Path(f"/proc/{pid}/status").read_text()
    return seconds, int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def fill(url: str) -> str:
    """Make many models of one data source, COMPLETED, one of them with an endpoint; return the endpoint's URL."""
    client = boto3.client("machinelearning", endpoint_url=url, **KEYS)
    spec: Any = {"DataLocationS3": "s3://data/train.csv", "DataSchema": SCHEMA}
    client.create_data_source_from_s3(DataSourceId="ds", DataSpec=spec, ComputeStatistics=True)
    for number in range(MODELS):
        client.create_ml_model(MLModelId=f"ml-{number}", MLModelType="BINARY", TrainingDataSourceId="ds")
    while client.get_ml_model(MLModelId=f"ml-{MODELS - 1}")["Status"] != "COMPLETED":
        time.sleep(0.1)
    client.create_realtime_endpoint(MLModelId="ml-0")
    while (info := client.get_ml_model(MLModelId="ml-0")["EndpointInfo"])["EndpointStatus"] != "READY":
        time.sleep(0.1)
    return info["EndpointUrl"]


def while_training(url: str) -> tuple[float, float]:
    """Train a large model, and meanwhile ask for it; return the median and the slowest answer in milliseconds."""
    client = boto3.client("machinelearning", endpoint_url=url, **KEYS)
    spec: Any = {"DataLocationS3": "s3://data/large.csv", "DataSchema": LARGE_SCHEMA}
    client.create_data_source_from_s3(DataSourceId="large", DataSpec=spec, ComputeStatistics=True)
    client.create_ml_model(MLModelId="large", MLModelType="BINARY", TrainingDataSourceId="large")
    call, milliseconds, status = ml_call(url, "GetMLModel", MLModelId="large"), [], ""
    while status != "COMPLETED":
        begun = time.perf_counter()
        answer = call()
        milliseconds.append((time.perf_counter() - begun) * 1000)
        status = json.loads(answer)["Status"]
    return statistics.median(milliseconds), max(milliseconds)


def pages(url: str) -> list[float]:
    """Walk through all models, and return the milliseconds of each page."""
    milliseconds, token = [], None
    while True:
        call = ml_call(url, "DescribeMLModels", Limit=100, NextToken=token)
        begun = time.perf_counter()
        answer = json.loads(call())
        milliseconds.append((time.perf_counter() - begun) * 1000)
        if not (token := answer.get("NextToken")):
            return milliseconds


def main() -> None:
    """Print the figures."""
    start_up()
    ups = [start_up() for _ in range(TURNS)]
    print(f"up and first answer: {statistics.median(up[0] for up in ups):.2f} s, target < 0.5 s")
    print(f"resident memory then: {max(up[1] for up in ups):.1f} MB, target < 45 MB")
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small.csv"), Path(folder, "large.csv")
        small.write_text("".join(f"{x},{int(x > 20)}\n" for x in range(40)))
        large.write_text("".join(large_rows()))
        loads = ("--load", f"s3://data/train.csv={small}", "--load", f"s3://data/large.csv={large}")
        with amazon_ml_local(*loads) as (url, _), moto_server() as moto:
            endpoint = fill(url)
            median, worst = while_training(url)
            print(f"an answer while {ROWS:,} rows are trained on: {median:.1f} ms, the slowest {worst:.0f} ms")
            times = pages(url)
            print(f"{MODELS:,} models by pages of 100: worst {max(times):.1f} ms a page, target < 50 ms")
            compare(url, endpoint, moto)


def compare(url: str, endpoint: str, moto: str) -> None:
    """Measure both servers in turns, and print the medians."""
    client = boto3.client("machinelearning", endpoint_url=url, **KEYS)
    s3 = boto3.client("s3", endpoint_url=moto, **KEYS)
    urllib.request.urlopen(
        urllib.request.Request(
            f"{url}/_local/rate", b'{"peak_requests_per_second": 1000000}', {"Content-Type": "application/json"}
        )
    )
    signed = {"Authorization": SIGNED.format("s3")}
    record: dict[str, Any] = {"MLModelId": "ml-0", "Record": {"x": "30"}, "PredictEndpoint": endpoint}
    calls: dict[str, Callable[[], Any]] = {
        "http   moto s3 get-object": http_call(moto, "GET", "/bucket/key", b"", signed),
        "http   ours GetMLModel": ml_call(url, "GetMLModel", MLModelId="ml-0"),
        "http   ours Predict": ml_call(url, "Predict", **record),
        "boto3  moto s3 get-object": lambda: s3.get_object(Bucket="bucket", Key="key")["Body"].read(),
        "boto3  ours GetMLModel": lambda: client.get_ml_model(MLModelId="ml-0"),
        "boto3  ours Predict": lambda: client.predict(**record),
    }
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(TURNS):
        for name, call in calls.items():
            rates[name].append(per_second(call))
    base = statistics.median(rates["http   moto s3 get-object"])
    for name, measured in rates.items():
        rate = statistics.median(measured)
        print(f"{name:28} {rate:7,.0f} requests/s {rate / base:5.1f} x moto by http")
    print("target: ours by http at least 5 x moto by http")


if __name__ == "__main__":
    main()
