"""``amazon-ml-local``, as a process."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
import pytest

from amazon_ml_local.__main__ import main
from amazon_ml_local.schedule import REALISTIC
from tests.helpers.schemas import data_schema
from tests.local.database_sources import REDSHIFT, ROLE

COMMAND = [sys.executable, "-m", "amazon_ml_local"]
KEYS: dict[str, Any] = {"AWS_ACCESS_KEY_ID": "aws_access_key_id", "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key"}
KEYS |= {"AWS_ENDPOINT_URL": "endpoint_url", "AWS_DEFAULT_REGION": "region_name"}


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run the command with a free port; the process and boto3's arguments by its export lines."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([*COMMAND, "--port", "0", *options], stdout=pipe, stderr=pipe, text=True)
    assert process.stdout
    try:
        exports: dict[str, Any] = {}
        while len(exports) < len(KEYS) and (line := process.stdout.readline()):
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                exports[KEYS[name]] = value
        yield process, exports
    finally:
        process.kill()
        process.communicate(timeout=30)


def test_the_export_lines_that_it_prints_work() -> None:
    """They are all that boto3 needs; with ``-v`` the log has the call."""
    with running("-v") as (process, exports):
        assert boto3.client("machinelearning", **exports).describe_ml_models()["Results"] == []
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert "DescribeMLModels 200" in errors
    assert "warning" not in errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: int) -> None:
    with running() as (process, exports):
        assert exports
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0
    assert "Traceback" not in errors


def test_buckets_and_files_are_there_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2\n")
    with running("--bucket", "results", "--load", f"s3://data/year=2026/x.csv={tmp_path}/x.csv") as (_, exports):
        s3 = boto3.client("s3", **exports)
        assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} == {"data", "results"}
        assert s3.get_object(Bucket="data", Key="year=2026/x.csv")["Body"].read() == b"1,2\n"


def seeded(folder: Path, rows: str) -> tuple[str, ...]:
    """Write a seed and its file, and return the options that name it."""
    (folder / "train.csv").write_text(rows)
    schema = data_schema({"x": "NUMERIC", "y": "BINARY"}, targetAttributeName="y")
    spec: Any = {"DataLocationS3": "s3://data/train.csv", "DataSchema": schema}
    seed = {
        "Files": {"s3://data/train.csv": "train.csv"},
        "DataSources": [{"DataSourceId": "ds-1", "DataSpec": spec, "ComputeStatistics": True}],
        "MLModels": [{"MLModelId": "ml-1", "MLModelType": "BINARY", "TrainingDataSourceId": "ds-1"}],
        "RealtimeEndpoints": ["ml-1"],
    }
    (folder / "seed.json").write_text(json.dumps(seed))
    return "--seed", str(folder / "seed.json"), "--data-dir", str(folder / "kept")


def test_a_seed_is_there_from_the_start_and_after_a_restart(tmp_path: Path) -> None:
    options = (*seeded(tmp_path, "1,0\n2,1\n" * 20), "--realistic")
    seen = []
    for _ in range(2):
        with running(*options) as (_, exports):
            seen.append(boto3.client("machinelearning", **exports).get_ml_model(MLModelId="ml-1"))
    assert [each["EndpointInfo"]["EndpointStatus"] for each in seen] == ["READY", "READY"]
    assert seen[0]["CreatedAt"] == seen[1]["CreatedAt"]


def test_a_seed_whose_file_was_bad_can_be_followed_once_that_is_mended(tmp_path: Path) -> None:
    """Its failure is in the data folder, and is no longer there after the next start."""
    with running(*seeded(tmp_path, "no numbers\n" * 20)) as (process, _):
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1
    assert "DataSource ds-1 has FAILED" in errors
    with running(*seeded(tmp_path, "1,0\n2,1\n" * 20)) as (_, exports):
        assert boto3.client("machinelearning", **exports).get_ml_model(MLModelId="ml-1")["Status"] == "COMPLETED"


def test_a_seed_that_cannot_be_followed_is_named(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "seed.yaml").write_text("Models: []")
    with pytest.raises(SystemExit) as ended:
        main(["--port", "0", "--seed", str(tmp_path / "seed.yaml")])
    assert ended.value.code == 1
    assert f"error: {tmp_path / 'seed.yaml'}: there is no kind 'Models'" in capsys.readouterr().err


def test_realistic_takes_minutes() -> None:
    with running("--realistic") as (_, exports), urllib.request.urlopen(exports["endpoint_url"] + "/_local") as state:
        assert json.load(state)["durations"] == vars(REALISTIC)


def test_a_database_is_mapped_by_its_name(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "shop=1.db")
    database.execute("create table samples as select 1 as x, 1 as y union select 0, 0")
    database.close()
    with running("--database", f"shop=sqlite:///{tmp_path}/shop=1.db") as (_, exports):
        client = boto3.client("machinelearning", **exports)
        client.create_data_source_from_redshift(DataSourceId="ds-1", DataSpec=REDSHIFT, RoleARN=ROLE)
        advance = urllib.request.Request(
            exports["endpoint_url"] + "/_local/clock",
            b'{"frozen": true, "advance": 60}',
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(advance).close()
        found = client.get_data_source(DataSourceId="ds-1")
        assert found["Status"] == "COMPLETED", found.get("Message")
        assert "Message" not in found


def test_the_command_starts_without_what_it_does_not_need_yet() -> None:
    """Up in a moment and small: boto3, moto and the learners come when the first request needs them."""
    code = (
        "import sys, amazon_ml_local.__main__; from amazon_ml_local import protocol; "
        "protocol.service_model(); print([m for m in ('airflow', 'boto3', 'moto', 'numpy', 'sklearn', 'sqlalchemy', "
        "'botocore.client', 'botocore.session') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_binding_elsewhere_warns() -> None:
    with running("--host", "0.0.0.0") as (process, exports):
        assert boto3.client("machinelearning", **exports).describe_ml_models()["Results"] == []
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert "warning: 0.0.0.0 lets others in" in errors


def _status(exports: dict[str, str], host: str) -> int:
    request = urllib.request.Request(exports["endpoint_url"] + "/_local/health", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_only_hosts_that_are_named_may_be_called() -> None:
    """``--host`` names its own address; 0.0.0.0 is none that anybody calls."""
    with running("--host", "0.0.0.0", "--allowed-host", "ml", "--allowed-host", "*.inside.example") as (_, exports):
        hosts = ["ml:5012", "a.inside.example", "localhost", "0.0.0.0", "evil.example"]
        assert [_status(exports, host) for host in hosts] == [200, 200, 200, 403, 403]
    with running("--host", "127.0.0.2") as (_, exports):
        assert [_status(exports, host) for host in ["127.0.0.2", "ml"]] == [200, 403]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--port", "70000"], "'70000' is no port"),
        (["--port", "http"], "'http' is no port"),
        (["--allowed-host", "http://ml"], "'http://ml' is no host name"),
        (["--allowed-host", "ml:5012"], "'ml:5012' is no host name"),
        (["--allowed-host", "*"], "'*' is no host name"),
        (["--bucket", "My_Bucket"], "'My_Bucket' is no bucket name"),
        (["--load", "s3://bucket/key"], "is not s3://BUCKET/KEY=FILE"),
        (["--load", "bucket/key=file"], "s3://BUCKET/KEY=FILE"),
        (["--load", "s3://bucket/key=/no/such/file"], "--load s3://bucket/key=/no/such/file: No such file"),
        (["--load", "s3://bucket/key=/"], "--load s3://bucket/key=/: Is a directory: /"),
        (["--database", "shop"], "joined by ="),
        (["--speed", "9"], "unrecognized arguments"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: list[str], text: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code
    assert text in capsys.readouterr().err


def test_a_port_in_use_is_told() -> None:
    with running() as (_, exports):
        port = exports["endpoint_url"].rpartition(":")[2]
        second = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in second.stderr
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr


def test_version_is_that_of_the_distribution(capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"amazon-ml-local {version('amazon-ml-local')}\n"
