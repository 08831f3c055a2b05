"""How fast a file is scored: ours, boto3 in a plain loop and in 16 unpaced threads, aiobotocore behind a limiter.

``python benchmarks/predictions.py`` prints the tables of docs/predictions.md. The service is Amazon ML Local in its own
process, with a latency of 5, 20 and 100 ms and 200 requests a second enforced, then without that limit. aiobotocore
pins botocore, so it has an environment of its own, which the first run makes under ``build/``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from measuring.memory import peak_mb
from peers.environment import python_with
from predicting.service import MODEL, control, record

HERE = Path(__file__).parent
BUCKET, PEAK, UNLIMITED = "benchmark", 200, 10_000
LATENCIES = (0.005, 0.020, 0.100)


class Result(NamedTuple):
    """What one way of predicting came to: rows a second, share of throttled calls, CPU milliseconds a row."""

    rate: float
    throttled: float
    cpu: float


@cache
def hook() -> Any:
    """Make our hook, once."""
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook

    return MachineLearningHook(aws_conn_id=None)


def ours(rows: int, limit: int) -> None:
    """Predict by the hook's iterator."""
    records = (record(number) for number in range(rows))
    found = hook().predict_records(MODEL, records, max_requests_per_second=limit)
    assert sum(1 for _ in found) == rows


@cache
def boto3_client() -> Any:
    """Make a client, once, that does not give up on throttling, with room for 16 threads."""
    import boto3
    from botocore.config import Config

    return boto3.client("machinelearning", config=Config(max_pool_connections=16, retries={"total_max_attempts": 10}))


def loop(rows: int, limit: int) -> None:
    """Predict for one record after the other."""
    client, url = boto3_client(), os.environ["AWS_ENDPOINT_URL"]
    for number in range(rows):
        client.predict(MLModelId=MODEL, Record=record(number), PredictEndpoint=url)


def pool(rows: int, limit: int) -> None:
    """Predict in 16 threads as fast as they can."""
    client, url = boto3_client(), os.environ["AWS_ENDPOINT_URL"]
    with ThreadPoolExecutor(16) as threads:
        list(
            threads.map(
                lambda number: client.predict(MLModelId=MODEL, Record=record(number), PredictEndpoint=url), range(rows)
            )
        )


def aiobotocore(rows: int, limit: int) -> Result:
    """Predict by asyncio, in a process of its own, and return what it came to."""
    command = [python_with("predictions", "aiobotocore==2.*"), "-m", "peers.aio", str(rows), str(limit)]
    done = subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    return result(rows, found["seconds"], found["cpu"])


def measure(way: Callable[[int, int], None], rows: int, limit: int) -> Result:
    """Predict in one way, after a few records to warm up."""
    way(20, limit)
    time.sleep(1.1)  # until no call of the last second counts against the rate
    control("DELETE", "requests")
    cpu, began = time.process_time(), time.perf_counter()
    way(rows, limit)
    return result(rows, time.perf_counter() - began, time.process_time() - cpu)


def result(rows: int, seconds: float, cpu: float) -> Result:
    """Return the result of calls that took so long, with the share that the service has throttled."""
    calls = [request for request in control("GET", "requests") if request["operation"] == "Predict"]
    throttled = sum(request["error_code"] == "LimitExceededException" for request in calls)
    return Result(rows / seconds, throttled / len(calls), cpu / rows * 1000)


WAYS: dict[str, Callable[[int, int], Result]] = {
    "ours": partial(measure, ours),
    "aiobotocore": aiobotocore,
    "boto3 loop": partial(measure, loop),
    "boto3, 16 threads": partial(measure, pool),
}


def compare(title: str, limit: int, rows: dict[str, int], latency: float) -> None:
    """Print one table."""
    control("DELETE", "faults")
    if latency:
        control("POST", "faults", kind="slow", operation="Predict", seconds=latency)
    control("POST", "rate", peak_requests_per_second=limit)
    for name, way in WAYS.items():
        found = way(rows[name], limit)
        share = f"{found.rate / PEAK:.1%}" if limit == PEAK else ""
        print(
            f"| {title} | {name} | {found.rate:.1f} | {share} | {found.throttled:.2%} | {found.cpu:.2f} |",
            flush=True,
        )


def rates(seconds: int) -> None:
    """Print what each way reaches."""
    print("| latency | way | rows/s | of 200/s | throttled calls | CPU ms a row |\n|---|---|---|---|---|---|")
    for latency in LATENCIES:
        loop_rows = min(max(int(seconds / 2 / latency), 100), 1000)  # as many as take about half the time
        rows = dict.fromkeys(WAYS, PEAK * seconds) | {"boto3 loop": loop_rows}
        compare(f"{latency * 1000:.0f} ms", PEAK, rows, latency)
    compare("no limit, 0 ms", UNLIMITED, dict.fromkeys(WAYS, 3000) | {"ours": 5000}, 0)


def put_rows(rows: int) -> None:
    """Put a file of records into S3."""
    import boto3

    s3 = boto3.client("s3")
    with tempfile.TemporaryFile() as file:
        file.write(b"id,x0,x1,x2,x3,x4\n")
        for number in range(rows):
            file.write(f"{number},{','.join(record(number).values())}\n".encode())
        file.seek(0)
        s3.create_bucket(Bucket=BUCKET)
        s3.upload_fileobj(file, BUCKET, f"{rows}.csv")


def print_peak_memory(rows: int) -> None:
    """Score a file whose predictions are answered in this process, and print the most memory that this took."""
    from airflow_ml_provider.operators.prediction import MachineLearningPredictS3Operator
    from airflow_ml_provider.predicting.wire import Wire

    numbers = count()
    Wire.predict = lambda self, body: {  # type: ignore[method-assign] # no call leaves the process
        "predictedLabel": "1",
        "predictedScores": {"1": next(numbers) / 1e7},
        "details": {"PredictiveModelType": "BINARY", "Algorithm": "SGD"},
    }
    MachineLearningPredictS3Operator(
        task_id="predict",
        aws_conn_id=None,
        ml_model_id=MODEL,
        source_uri=f"s3://{BUCKET}/{rows}.csv",
        output_uri=f"s3://{BUCKET}/{rows}-predictions.csv",
        key_columns=["id"],
        rows_per_part=min(rows, 2000),
        max_requests_per_second=UNLIMITED,
    ).execute({})
    print(peak_mb())


def memory(sizes: tuple[int, ...]) -> None:
    """Print how memory grows with the file, each file in a process of its own."""
    print("\n| rows of the file | most memory, MB |\n|---|---|", flush=True)
    for rows in sizes:
        put_rows(rows)
        done = subprocess.run(
            [sys.executable, __file__, "--peak-memory", str(rows)], check=True, stdout=subprocess.PIPE, text=True
        )
        print(f"| {rows:,} | {float(done.stdout.split()[-1]):.1f} |", flush=True)


def main() -> None:
    """Print the tables that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="how long ours predicts at each latency")
    parser.add_argument("--most-rows", type=int, default=1_000_000, help="of the file whose memory is measured")
    parser.add_argument("--only", choices=("rates", "memory"), help="one of the tables")
    parser.add_argument("--peak-memory", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    logging.disable(logging.INFO)
    if options.peak_memory:
        return print_peak_memory(options.peak_memory)
    os.environ.update(AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp())
    with subprocess.Popen(
        [sys.executable, "-m", "predicting.service"],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin
        assert server.stdout
        os.environ["AWS_ENDPOINT_URL"] = server.stdout.readline().strip()
        if options.only != "memory":
            rates(options.seconds)
        if options.only != "rates":
            memory((1000, options.most_rows))
        server.stdin.close()
    return None


if __name__ == "__main__":
    main()
