"""The data of the example Dags: scikit-learn's bundled sets, written to S3 in Amazon ML's format."""

from __future__ import annotations

from airflow_ml_provider.compat import task  # on Airflow 3: from airflow.sdk

TARGET = "target"
TARGET_TYPES = {"breast_cancer": "BINARY", "diabetes": "NUMERIC", "wine": "CATEGORICAL"}


@task
def upload(name: str, data_uri: str, how_many: int | str | None = None) -> int:
    """Write a data set as CSV, shuffled once and for all, and its schema beside it; return the number of rows."""
    import json
    import random

    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from sklearn import datasets

    data = getattr(datasets, f"load_{name}")()
    names = [variable.replace(" ", "_").replace("/", "_") for variable in data.feature_names]
    rows = [[*measured, target] for measured, target in zip(data.data.tolist(), data.target.tolist(), strict=True)]
    random.Random(0).shuffle(rows)
    del rows[int(how_many or len(rows)) :]  # a template without a value renders an empty text
    table = "\n".join(",".join(str(value) for value in row) for row in [[*names, TARGET], *rows])
    types = {**dict.fromkeys(names, "NUMERIC"), TARGET: TARGET_TYPES[name]}
    schema = {
        "version": "1.0",
        "targetAttributeName": TARGET,
        "dataFormat": "CSV",
        "dataFileContainsHeader": True,
        "attributes": [{"attributeName": name, "attributeType": kind} for name, kind in types.items()],
    }
    for uri, text in ((data_uri, table), (f"{data_uri}.schema", json.dumps(schema))):
        bucket, key = S3Hook.parse_s3_url(uri)
        S3Hook().load_string(text, key, bucket, replace=True)
    return len(rows)


def read_rows(data_uri: str, percent_begin: int = 0) -> list[dict[str, str]]:
    """Read the rows of a data set from S3, as variable to text, from some percentage of them on."""
    import csv

    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    bucket, key = S3Hook.parse_s3_url(data_uri)
    rows = list(csv.DictReader(S3Hook().read_key(key, bucket).splitlines()))
    return rows[len(rows) * percent_begin // 100 :]
