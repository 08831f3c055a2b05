"""Time a training in Amazon ML Local beside scikit-learn's own fit on the very matrix that the training makes.

Run it with `python benchmarks/training.py`. 41,000 rows and 20 columns, made up by a seeded generator, once all numeric
and once half categorical. The fit gets the same learner with the same settings and labels that need no reading.
"""

from __future__ import annotations

import csv
import json
import statistics
import time
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import SGDClassifier

from amazon_ml_local.learning import evaluate, read_table, train
from amazon_ml_local.learning.learners import sgd_settings
from amazon_ml_local.learning.parameters import parse_parameters
from amazon_ml_local.learning.steps import Data
from amazon_ml_local.storage import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS, COLUMNS, REPEATS = 41_000, 20, 7
MOST = 3.0


def made_up(categorical: int) -> tuple[bytes, str]:
    """Return a CSV file with a binary target and its schema; so many of its columns are categorical."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(ROWS, COLUMNS)).round(4)
    target = (numbers @ random.normal(size=COLUMNS) + random.normal(size=ROWS) > 0).astype(int)
    words = [[f"c{int(value * 3)}" for value in column[:categorical]] for column in numbers.tolist()]
    out = StringIO()
    rows = zip(words, numbers[:, categorical:].tolist(), target.tolist(), strict=True)
    csv.writer(out).writerows([*some, *others, y] for some, others, y in rows)
    kinds = ["CATEGORICAL"] * categorical + ["NUMERIC"] * (COLUMNS - categorical)
    attributes = [{"attributeName": f"x{n}", "attributeType": kind} for n, kind in enumerate(kinds)]
    attributes.append({"attributeName": "y", "attributeType": "BINARY"})
    return out.getvalue().encode(), json.dumps({"targetAttributeName": "y", "attributes": attributes})


def seconds(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name: str, categorical: int) -> float:
    """Print the medians of interleaved runs; return how many fits a training costs."""
    body, schema = made_up(categorical)
    storage = MemoryStorage({"s3://bucket/data.csv": body})
    source = {"location_s3": "s3://bucket/data.csv", "schema": schema}
    table = read_table(source, storage)
    model = train(table, "BINARY")
    matrix = model.features.matrix(Data(table))
    labels = np.array([int(row[-1]) for row in table.rows])
    settings = sgd_settings(matrix, parse_parameters({}), curvature=0.25)
    runs = [
        (
            seconds(lambda: read_table(source, storage)),
            seconds(lambda: train(table, "BINARY")),
            seconds(lambda: SGDClassifier(loss="log_loss", **settings).fit(matrix, labels)),
            seconds(lambda: SGDClassifier(loss="log_loss").fit(matrix, labels)),
        )
        for _ in range(REPEATS)
    ]
    read, trained, fit, plain = (statistics.median(column) * 1000 for column in zip(*runs, strict=True))
    print(f"{name}: {ROWS:,} rows x {COLUMNS} columns, {matrix.shape[1]:,} features, {evaluate(model, table)}")
    print(f"  reading the data source                       {read:7.0f} ms")
    print(f"  train()                                       {trained:7.0f} ms")
    print(f"  SGDClassifier.fit, same settings, same matrix {fit:7.0f} ms   train() is {trained / fit:.1f} times")
    print(f"  SGDClassifier.fit, its defaults, same matrix  {plain:7.0f} ms   train() is {trained / plain:.1f} times")
    return trained / fit


if __name__ == "__main__":
    worst = max(compare("numeric", 0), compare("half categorical", COLUMNS // 2))
    raise SystemExit(f"train() costs {worst:.1f} fits, more than {MOST:g}" if worst > MOST else 0)
