"""Time an evaluation report of a million rows beside a plain script with pandas and scikit-learn.

Run it with `python benchmarks/evaluation_report.py`. The output of PredictS3 stands in the S3 of Amazon ML Local, in a
process of its own. The operator reads, checks, measures, draws and writes; the script reads the same objects with
pandas and asks scikit-learn for the same metrics, curves and confusion matrices, and makes no page. Each runs in a new
process, in turn, and its imports count: Airflow's, or boto3's and pandas's.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

from measuring.data import schema_text
from measuring.memory import peak_mb

ROWS, REPEATS, CLASSES = 1_000_000, 3, 10
MOST_SECONDS, MOST_MB = 20.0, 1000.0
BUCKET = "benchmark"
# The type of the column y, by the model's type.
TARGET_TYPES: dict[Any, str] = {"BINARY": "BINARY", "MULTICLASS": "CATEGORICAL", "REGRESSION": "NUMERIC"}
HEADER = """| models | report, s | CPU s | MB | script, s | CPU s | MB | times the script's CPU | metrics |
|---|---|---|---|---|---|---|---|---|"""
CASES = (("BINARY", 1), ("BINARY", 2), ("MULTICLASS", 1), ("REGRESSION", 1))


def serve() -> None:
    """Serve a model of each type, and S3 for the predictions, until the parent ends."""
    from amazon_ml_local import AmazonMLLocal, MemoryStorage
    from amazon_ml_local.serving import serve

    service = AmazonMLLocal(MemoryStorage())
    with serve(service) as server:
        client = service.client("machinelearning", region_name="us-east-1")
        service.clock.freeze()
        rows = "".join(f"{x},{int(x >= 20)}\n" for x in range(40)).encode()
        for model_type, target_type in TARGET_TYPES.items():
            service.storage.write(f"s3://data/{model_type}.csv", rows)
            schema = schema_text({"x": "NUMERIC", "y": target_type})
            data: Any = {"DataLocationS3": f"s3://data/{model_type}.csv", "DataSchema": schema}
            client.create_data_source_from_s3(DataSourceId=f"ds-{model_type}", DataSpec=data, ComputeStatistics=True)
            client.create_ml_model(
                MLModelId=model_type, MLModelType=model_type, TrainingDataSourceId=f"ds-{model_type}"
            )
        service.clock.advance(3600)
        assert all(client.get_ml_model(MLModelId=model_type)["Status"] == "COMPLETED" for model_type in TARGET_TYPES)
        print(server.url, flush=True)
        sys.stdin.read()


def put_predictions() -> None:
    """Put predictions of each type into S3, a second model's too."""
    import boto3
    import numpy as np

    s3, random = boto3.client("s3"), np.random.default_rng(0)
    s3.create_bucket(Bucket=BUCKET)
    ids = range(ROWS)
    truth = random.integers(0, 2, ROWS)
    for number in (1, 2):
        scores = np.clip(random.normal(0.35 + 0.3 * truth, 0.1 + 0.1 * number), 0, 1).astype(np.float32).astype(float)
        labels = (scores >= 0.5).astype(int)
        rows: Iterable[tuple[Any, ...]] = zip(ids, truth.tolist(), labels.tolist(), scores.tolist(), strict=True)
        put(s3, f"BINARY-{number}.csv", "id,y,predictedLabel,predictedScore", rows)
    true = random.integers(0, CLASSES, ROWS)
    predicted = np.where(random.random(ROWS) < 0.8, true, random.integers(0, CLASSES, ROWS))
    class_scores = random.random((ROWS, CLASSES)).round(6)
    names = ",".join(f"predictedScores.class {number}" for number in range(CLASSES))
    rows = (
        (id, f"class {true_class}", f"class {predicted_class}", *scores)
        for id, true_class, predicted_class, scores in zip(ids, true, predicted, class_scores.tolist(), strict=True)
    )
    put(s3, "MULTICLASS-1.csv", f"id,y,predictedLabel,{names}", rows)
    values = random.gamma(3, 50, ROWS).round(4)
    rows = zip(ids, values.tolist(), (values * 0.9 + random.normal(0, 20, ROWS)).round(6).tolist(), strict=True)
    put(s3, "REGRESSION-1.csv", "id,y,predictedValue", rows)


def put(s3: S3Client, key: str, header: Any, rows: Any) -> None:
    """Put one object."""
    body = "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
    s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())


def report(model_type: str, models: int) -> Any:
    """Run the operator, and return the report's metrics."""
    from airflow_ml_provider.operators.evaluation_report import MachineLearningEvaluationReportOperator

    other: dict[str, Any] = {}
    if models == 2:
        other = {"other_predictions_uri": f"s3://{BUCKET}/{model_type}-2.csv", "other_ml_model_id": model_type}
    operator = MachineLearningEvaluationReportOperator(
        task_id="report",
        output_uri=f"s3://{BUCKET}/report.html",
        predictions_uri=f"s3://{BUCKET}/{model_type}-1.csv",
        ml_model_id=model_type,
        true_label_column="y",
        **other,
    )
    return operator.execute({})["Metrics"]


def script(model_type: str, models: int) -> dict[str, float]:
    """Compute by hand what the report has, and return the metrics of the first model."""
    import boto3
    import pandas
    from sklearn import calibration, metrics

    s3, found = boto3.client("s3"), {}
    for number in range(models, 0, -1):
        rows = pandas.read_csv(s3.get_object(Bucket=BUCKET, Key=f"{model_type}-{number}.csv")["Body"])
        if model_type == "BINARY":
            predicted = rows["predictedScore"] >= 0.5
            metrics.roc_curve(rows["y"], rows["predictedScore"])
            precision, recall, thresholds = metrics.precision_recall_curve(rows["y"], rows["predictedScore"])
            thresholds[(2 * precision * recall / (precision + recall + 1e-12))[:-1].argmax()]  # of the best F1
            calibration.calibration_curve(rows["y"], rows["predictedScore"], n_bins=10)
            metrics.confusion_matrix(rows["y"], predicted)
            found = {
                "BinaryAUC": metrics.roc_auc_score(rows["y"], rows["predictedScore"]),
                "AveragePrecision": metrics.average_precision_score(rows["y"], rows["predictedScore"]),
                "LogLoss": metrics.log_loss(rows["y"], rows["predictedScore"]),
                "BrierScore": metrics.brier_score_loss(rows["y"], rows["predictedScore"]),
                "Accuracy": metrics.accuracy_score(rows["y"], predicted),
                "F1": metrics.f1_score(rows["y"], predicted),
            }
        elif model_type == "MULTICLASS":
            metrics.confusion_matrix(rows["y"], rows["predictedLabel"])
            metrics.precision_recall_fscore_support(rows["y"], rows["predictedLabel"])
            found = {"MulticlassAvgFScore": metrics.f1_score(rows["y"], rows["predictedLabel"], average="macro")}
        else:
            found = {
                "RegressionRMSE": metrics.root_mean_squared_error(rows["y"], rows["predictedValue"]),
                "MAE": metrics.mean_absolute_error(rows["y"], rows["predictedValue"]),
                "R2": metrics.r2_score(rows["y"], rows["predictedValue"]),
            }
    return {name: float(value) for name, value in found.items()}


class Run(NamedTuple):
    """What one run came to: seconds of the clock, of the CPU (the fairer ones on a busy machine), memory, metrics."""

    seconds: float
    cpu: float
    mb: float
    metrics: dict[str, float]


def measure(way: str, model_type: str, models: int) -> Run:
    """Run one way in a process of its own."""
    start = time.perf_counter()
    command = [sys.executable, __file__, way, model_type, str(models)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    seconds = time.perf_counter() - start
    return Run(seconds, **json.loads(done.stdout.splitlines()[-1]))


def medians(runs: Sequence[Run]) -> Run:
    """Return the medians of some runs, with the metrics of the first: all have the same."""
    seconds, cpu, mb = (statistics.median(values) for values in zip(*(run[:3] for run in runs), strict=True))
    return Run(seconds, cpu, mb, runs[0].metrics)


def compare(model_type: str, models: int) -> bool:
    """Print the medians of interleaved runs; return whether the report kept its bounds and its metrics."""
    runs = [(measure("report", model_type, models), measure("script", model_type, models)) for _ in range(REPEATS)]
    ours, theirs = map(medians, zip(*runs, strict=True))
    equal = all(abs(ours.metrics[name] - value) <= 1e-9 * max(1, abs(value)) for name, value in theirs.metrics.items())
    cells = [f"{model_type}, {models}"]
    for way in (ours, theirs):
        cells += [f"{way.seconds:.1f}", f"{way.cpu:.1f}", f"{way.mb:.0f}"]
    cells += [f"{ours.cpu / theirs.cpu:.1f}", "equal" if equal else "DIFFER"]
    print(f"| {' | '.join(cells)} |", flush=True)
    return equal and ours.seconds <= MOST_SECONDS and ours.mb <= MOST_MB


def main() -> int:
    """Measure all cases; return 1 when one is out of bounds."""
    server = subprocess.Popen(
        [sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin
    assert server.stdout
    try:
        os.environ.update(
            AWS_ENDPOINT_URL=server.stdout.readline().strip(),
            AWS_DEFAULT_REGION="us-east-1",
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
        )
        put_predictions()
        print(HEADER)
        kept = [compare(model_type, models) for model_type, models in CASES]
        return int(not all(kept))
    finally:
        server.stdin.close()
        server.wait(timeout=30)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        raise SystemExit(main())
    if sys.argv[1] == "serve":
        serve()
    else:
        found = {"report": report, "script": script}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({"metrics": found, "mb": peak_mb(), "cpu": used.ru_utime + used.ru_stime}))
