"""The aws CLI drives a full round trip, told nothing but the endpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.three_targets import ROWS, schema

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def aws_command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The aws CLI in an environment of its own: it pins botocore."""
    environment = tmp_path_factory.mktemp("awscli")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=300)
    pip: list[str | Path] = [
        environment / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, "awscli"], check=True, timeout=300)
    return environment / "bin" / "aws"


@pytest.fixture
def aws(aws_command: Path, amazon_ml_local: Any) -> Any:
    """Run the CLI: ``aws("s3", "mb", ...)`` gives what it prints, as JSON where it is."""

    def run(*arguments: str) -> Any:
        environment = {**os.environ, "AWS_PAGER": "", "AWS_CONFIG_FILE": os.devnull}
        command: list[str | Path] = [aws_command, *arguments, "--output", "json"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    return run


def test_a_full_round_trip(aws: Any, amazon_ml_local: Any, tmp_path: Path) -> None:
    clock = amazon_ml_local.clock
    clock.freeze()
    (tmp_path / "train.csv").write_text(ROWS)
    aws("s3", "mb", "s3://data")
    aws("s3", "cp", str(tmp_path / "train.csv"), "s3://data/train.csv")

    def ml(operation: str, *arguments: str) -> Any:
        return aws("machinelearning", operation, *arguments)

    spec = json.dumps({"DataLocationS3": "s3://data/train.csv", "DataSchema": schema("sign")})
    ml("create-data-source-from-s3", "--data-source-id", "ds-1", "--data-spec", spec, "--compute-statistics")
    source = ("--training-data-source-id", "ds-1")
    ml("create-ml-model", "--ml-model-id", "ml-1", "--ml-model-type", "BINARY", *source, "--ml-model-name", "first")
    clock.advance(3600)
    ml("wait", "ml-model-available", "--filter-variable", "Name", "--eq", "first")
    ml("create-evaluation", "--evaluation-id", "ev-1", "--ml-model-id", "ml-1", "--evaluation-data-source-id", "ds-1")
    ml(
        "create-batch-prediction",
        *("--batch-prediction-id", "bp-1", "--ml-model-id", "ml-1"),
        *("--batch-prediction-data-source-id", "ds-1", "--output-uri", "s3://data/out/"),
    )
    ml("create-realtime-endpoint", "--ml-model-id", "ml-1")
    ml("add-tags", "--resource-id", "ml-1", "--resource-type", "MLModel", "--tags", "Key=team,Value=a")
    clock.advance(3600)
    found = ml("get-ml-model", "--ml-model-id", "ml-1")
    assert (found["Status"], found["EndpointInfo"]["EndpointStatus"]) == ("COMPLETED", "READY")
    assert float(ml("get-evaluation", "--evaluation-id", "ev-1")["PerformanceMetrics"]["Properties"]["BinaryAUC"]) > 0.9
    assert ml("get-batch-prediction", "--batch-prediction-id", "bp-1")["TotalRecordCount"] == 60
    assert "result/bp-1-train.csv.gz" in aws("s3", "ls", "--recursive", "s3://data/out/")
    endpoint = found["EndpointInfo"]["EndpointUrl"]
    predicted = ml("predict", "--ml-model-id", "ml-1", "--record", "x=58", "--predict-endpoint", endpoint)
    assert predicted["Prediction"]["predictedLabel"] == "1"
    assert ml("describe-tags", "--resource-id", "ml-1", "--resource-type", "MLModel")["Tags"][0]["Value"] == "a"
    assert len(ml("describe-ml-models", "--page-size", "1")["Results"]) == 1
    gone = ml("delete-realtime-endpoint", "--ml-model-id", "ml-1")
    assert gone["RealtimeEndpointInfo"]["EndpointStatus"] == "NONE"
    ml("delete-ml-model", "--ml-model-id", "ml-1")
    assert ml("get-ml-model", "--ml-model-id", "ml-1")["Status"] == "DELETED"
    with pytest.raises(RuntimeError, match="ResourceNotFoundException.*No MLModel with id fake-model exists"):
        ml("get-ml-model", "--ml-model-id", "fake-model")
