"""docs/installing.md says what the code has; scripts/check_wheel.py resolves its requirements."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from scripts.environments import CONSTRAINTS
from tests.helpers.metadata import metadata

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture

pytestmark = pytest.mark.core

TEXT = (Path(__file__).parent.parent / "docs" / "installing.md").read_text()
CONNECTIONS = dict(re.findall(r"^export AIRFLOW_CONN_(\w+)='(.*)'$", TEXT, re.MULTILINE))


def test_it_names_the_version_that_is_built() -> None:
    """Wheels and requirements are those of this version, and constraints those that the wheels are resolved under."""
    version = metadata(".")["metadata"]["version"]
    assert set(re.findall(r"(?:ml_provider|ml_local)-([\d.]+)-py3", TEXT)) == {version}
    assert set(re.findall(r"airflow-ml-provider==([\d.]+)", TEXT)) == {version}
    for pinned in re.findall(r"constraints[-/](\d+\.\d+\.\d+)", TEXT):
        assert (CONSTRAINTS / f"{pinned}.txt").exists()


def test_the_policy_allows_every_operation_that_operators_call() -> None:
    """Its patterns cover the service model; each of them is of use."""
    (text,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    allowed = [action.removeprefix("machinelearning:") for action in json.loads(text)["Statement"][0]["Action"]]
    model = boto3.client("machinelearning", "us-east-1").meta.service_model
    for operation in model.operation_names:
        assert any(fnmatch.fnmatchcase(operation, pattern) for pattern in allowed), operation
    for pattern in allowed:
        assert fnmatch.filter(model.operation_names, pattern), pattern


def test_the_connection_to_the_local_service_reaches_it(
    amazon_ml_local: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the service's URL in it the connection is enough: no variable of AWS is set."""
    for name in amazon_ml_local.env:
        monkeypatch.delenv(name)
    text = CONNECTIONS["AWS_LOCAL"].replace("http://127.0.0.1:5012", amazon_ml_local.url)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_LOCAL", text)
    assert MachineLearningHook(aws_conn_id="aws_local").conn.describe_ml_models()["Results"] == []
    assert {(each.access_key, each.region) for each in amazon_ml_local.requests} == {("local", "us-east-1")}


def test_the_connection_with_a_role_assumes_it(
    amazon_ml_local: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's connection gives the role and the region; STS is the one beside the service."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_ML", CONNECTIONS["AWS_ML"])
    MachineLearningHook(aws_conn_id="aws_ml").conn.describe_ml_models()
    (received,) = amazon_ml_local.requests
    assert received.region == "us-east-1"
    assert received.access_key != amazon_ml_local.env["AWS_ACCESS_KEY_ID"]
