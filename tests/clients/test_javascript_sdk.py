"""The AWS SDK for JavaScript v3 drives a full round trip, told nothing but the endpoint."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.three_targets import DATA, ROWS, schema

pytestmark = [pytest.mark.clients, pytest.mark.timeout(600)]
PROGRAM = Path(__file__).with_name("round_trip.mjs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the SDK and the program."""
    package = ["npm", "install", "--silent", "--no-audit", "--no-fund", "@aws-sdk/client-machine-learning"]
    subprocess.run(package, cwd=tmp_path, check=True, timeout=300)
    shutil.copy(PROGRAM, tmp_path)
    return tmp_path


def test_a_full_round_trip(folder: Path, amazon_ml_local: Any) -> None:
    amazon_ml_local.clock.freeze()
    amazon_ml_local.storage.write(DATA, ROWS.encode())
    environment = {
        **os.environ,
        "AWS_REGION": "us-east-1",
        "DATA": DATA,
        "SCHEMA": schema("sign"),
        "OUTPUT": "s3://bucket/out/",
    }
    command = ["node", PROGRAM.name]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "round trip done\n"
