"""Amazon ML Local on 41,000 and 1,000,000 rows beside pandas and scikit-learn on the same data, in one run.

Run it with `python benchmarks/training.py`. 20 columns and a binary target, made up by a seeded generator. Times are of
the work itself, in this process: pandas' `read_csv`, as many fits of scikit-learn's learner as a training makes, with
the same settings on the same matrix, and pandas' `to_csv` of predictions, compressed alike. Then a service of its own
does all that for a million rows, while GetMLModel and Predict of another model are called and its memory is watched:
resident memory of the service and of its processes added up, 50 times a second, so that shared pages count twice.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pandas as pd
import psutil
from botocore.config import Config
from measuring.data import schema_text
from sklearn.linear_model import SGDClassifier

from amazon_ml_local.learning import make_table, predict_rows, train
from amazon_ml_local.learning.batch import COMPRESSION
from amazon_ml_local.learning.learners import LOGISTIC, RATES, sgd_settings, steady_rate
from amazon_ml_local.learning.parameters import parse_parameters
from amazon_ml_local.learning.steps import TableRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COLUMNS = 20
SOURCES = 3
SMALL_ROWS = 180_000  # 27 MB
KEYS: dict[str, Any] = {"region_name": "us-east-1", "aws_access_key_id": "local", "aws_secret_access_key": "local"}
MEGABYTE = 2**20


def random_data(rows: int, categorical: int = 0) -> tuple[bytes, str]:
    """Return a CSV file with a binary target and its schema; so many of its columns are categorical."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, COLUMNS)).round(4)
    target = numbers @ random.normal(size=COLUMNS) + random.normal(size=rows) > 0
    frame = pd.DataFrame(numbers, columns=[f"x{n}" for n in range(COLUMNS)])
    for name in frame.columns[:categorical]:
        frame[name] = "c" + (frame[name] * 3).astype(int).astype(str)
    frame["y"] = target.astype(int)
    kinds = ["CATEGORICAL"] * categorical + ["NUMERIC"] * (COLUMNS - categorical) + ["BINARY"]
    schema = schema_text(dict(zip(frame.columns, kinds, strict=True)))
    return frame.to_csv(header=False, index=False).encode(), schema


def seconds(work: Callable[[], Any]) -> float:
    """Do a piece of work, and return how long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def fits(matrix: Any, labels: Any) -> None:
    """Fit scikit-learn's learner as often as a training does, with the same settings."""
    steady = steady_rate(matrix, LOGISTIC.curvature, 0.0)
    for rate in (*RATES, 1.0):
        with suppress(ValueError):  # a rate at which it overflows
            learner = SGDClassifier(loss="log_loss", **sgd_settings(parse_parameters({}), rate * steady))
            learner.fit(matrix, labels, sample_weight=np.ones(len(labels)))


def csv_of_predictions(model: Any, matrix: Any, labels: Any) -> bytes:
    """Return the compressed file of predictions that pandas writes."""
    scores = 1 / (1 + np.exp(-(matrix @ model.weights + model.intercepts)[:, 0]))
    frame = pd.DataFrame({"trueLabel": labels, "bestAnswer": (scores >= 0.5).astype(int), "score": scores})
    return gzip.compress(frame.to_csv(index=False, float_format="%.6E").encode(), COMPRESSION)


def compare(rows: int, categorical: int, repeats: int) -> None:
    """Print the best times of interleaved runs, and their ratios with the bounds that these are to keep."""
    body, schema = random_data(rows, categorical)
    table = make_table({"s3://b/d.csv": BytesIO(body)}, {"schema": schema})
    model = train(table, "BINARY")
    matrix, labels = model.features.matrix(TableRows(table)), table.numbers("y")
    runs = [
        (
            seconds(lambda: make_table({"s3://b/d.csv": BytesIO(body)}, {"schema": schema})),
            seconds(lambda: pd.read_csv(BytesIO(body), header=None)),
            seconds(lambda: train(table, "BINARY")),
            seconds(lambda: fits(matrix, labels)),
            seconds(lambda: predict_rows(model, table, None, "bp", "s3://b")),
            seconds(lambda: csv_of_predictions(model, matrix, labels)),
        )
        for _ in range(repeats)
    ]
    best = list(map(min, zip(*runs, strict=True)))
    kind = f"{categorical} of {COLUMNS} categorical" if categorical else "numeric"
    print(f"{rows:,} rows x {COLUMNS + 1}, {kind}, {len(body) / MEGABYTE:.0f} MB, {matrix.shape[1]:,} features")
    named = zip(("reading / read_csv", f"training / {len(RATES) + 1} fits", "batch / to_csv"), (3, 2, 3), strict=True)
    for (name, bound), ours, theirs in zip(named, best[0::2], best[1::2], strict=True):
        print(f"  {name:20} {ours:8.2f} s / {theirs:6.2f} s = {ours / theirs:5.2f}   (at most {bound})", flush=True)


class Service:
    """A service in a process of its own, its memory watched and its latency taken."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = psutil.Process(process.pid), url
        config = Config(retries={"total_max_attempts": 1}, read_timeout=600)
        self.s3 = boto3.client("s3", endpoint_url=url, config=config, **KEYS)
        self.ml = boto3.client("machinelearning", endpoint_url=url, config=config, **KEYS)
        self.peak = 0
        self.taken: dict[str, list[float]] = {"GetMLModel": [], "Predict": []}
        self.ended = threading.Event()

    def memory(self) -> float:
        """Return the resident memory of the service, in MB."""
        return float(self.process.memory_info().rss / MEGABYTE)

    def watch(self) -> None:
        """Keep the greatest sum of resident memory, of the service and its processes."""
        while not self.ended.wait(0.02):
            with suppress(psutil.Error):
                processes = [self.process, *self.process.children(recursive=True)]
                self.peak = max(self.peak, sum(process.memory_info().rss for process in processes))

    def call(self) -> None:
        """Call GetMLModel and Predict in turns, and keep the milliseconds of each call."""
        calls = {
            "GetMLModel": lambda: self.ml.get_ml_model(MLModelId="small"),
            "Predict": lambda: self.ml.predict(MLModelId="small", Record={"x0": "1"}, PredictEndpoint=self.url),
        }
        while not self.ended.wait(0.02):
            for name, call in calls.items():
                self.taken[name].append(seconds(call) * 1000)

    def wait_until_completed(self, get: str, **wanted: str) -> None:
        """Wait until an entity is COMPLETED."""
        while (answer := getattr(self.ml, get)(**wanted))["Status"] != "COMPLETED":
            assert answer["Status"] != "FAILED", answer["Message"]
            time.sleep(0.05)

    def train(self, name: str, body: bytes, schema: str) -> None:
        """Create a data source and a model."""
        self.s3.put_object(Bucket="bench", Key=f"{name}.csv", Body=body)
        spec: Any = {"DataLocationS3": f"s3://bench/{name}.csv", "DataSchema": schema}
        self.ml.create_data_source_from_s3(DataSourceId=name, DataSpec=spec, ComputeStatistics=True)
        self.wait_until_completed("get_data_source", DataSourceId=name)
        self.ml.create_ml_model(MLModelId=name, MLModelType="BINARY", TrainingDataSourceId=name)
        self.wait_until_completed("get_ml_model", MLModelId=name)


@contextmanager
def service() -> Iterator[Service]:
    """Run a service, with a small model behind a READY endpoint."""
    command = [sys.executable, "-m", "amazon_ml_local", "--port", "0", "--bucket", "bench"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        urls = (re.search("AWS_ENDPOINT_URL=(.+)", line) for line in process.stdout)
        served = Service(process, next(found[1] for found in urls if found))
        try:
            served.train("small", *random_data(1_000))
            served.ml.create_realtime_endpoint(MLModelId="small")
            while served.ml.get_ml_model(MLModelId="small")["EndpointInfo"]["EndpointStatus"] != "READY":
                time.sleep(0.1)
            yield served
        finally:
            served.ended.set()
            process.terminate()


def a_million_rows() -> None:
    """Print what other requests notice of a million rows, and what memory they take."""
    body, schema = random_data(1_000_000)
    with service() as served:
        threads = [threading.Thread(target=target, daemon=True) for target in (served.watch, served.call)]
        for thread in threads:
            thread.start()
        started = time.perf_counter()
        served.train("million", body, schema)
        served.ml.create_evaluation(EvaluationId="ev", MLModelId="million", EvaluationDataSourceId="million")
        served.wait_until_completed("get_evaluation", EvaluationId="ev")
        served.ml.create_batch_prediction(
            BatchPredictionId="bp", MLModelId="million", BatchPredictionDataSourceId="million", OutputUri="s3://bench/"
        )
        served.wait_until_completed("get_batch_prediction", BatchPredictionId="bp")
        served.ended.set()
        for thread in threads:
            thread.join()
    took = time.perf_counter() - started
    print(f"a service: 1,000,000 rows uploaded, read, trained on, evaluated and predicted in {took:.0f} s")
    size = len(body) / MEGABYTE
    peak = served.peak / MEGABYTE
    print(f"  peak memory          {peak:6.0f} MB = {peak / size:.1f} times the CSV of {size:.0f} MB   (at most 5)")
    for name, taken in served.taken.items():
        print(f"  {name:20} 99 % within {np.percentile(taken, 99):4.0f} ms of {len(taken):,} calls   (at most 100)")


def memory_after_deletion() -> None:
    """Print what memory data sources and models leave behind when they are deleted."""
    body, schema = random_data(SMALL_ROWS)
    with service() as served:
        for number in range(SOURCES):
            served.s3.put_object(Bucket="bench", Key=f"large-{number}.csv", Body=body)
        before = served.memory()
        threading.Thread(target=served.watch, daemon=True).start()
        for number in range(SOURCES):
            served.train(f"large-{number}", body, schema)
        for number in range(SOURCES):
            served.ml.delete_ml_model(MLModelId=f"large-{number}")
            served.ml.delete_data_source(DataSourceId=f"large-{number}")
        after, peak = served.memory(), served.peak / MEGABYTE
    print(f"a service: {SOURCES} data sources of {len(body) / MEGABYTE:.0f} MB with a model each, created and deleted")
    print(f"  memory before        {before:6.0f} MB, peak {peak:.0f} MB")
    print(f"  memory after         {after:6.0f} MB: {after - before:+.0f} MB   (at most +50)")


if __name__ == "__main__":
    compare(41_000, 0, repeats=5)
    compare(41_000, COLUMNS // 2, repeats=5)
    compare(1_000_000, 0, repeats=1)
    a_million_rows()
    memory_after_deletion()
