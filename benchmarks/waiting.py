"""What a deferred wait costs the triggerer, beside a trigger on the amazon provider's AwsBaseWaiterTrigger.

Both wait for realtime endpoints on Amazon ML Local, which runs in a process of its own, by a poll every 5 s. The peer
runs in an environment of its own, since it needs aiobotocore; it is made under ``build/`` on the first run.

- start: CPU of the process until every endpoint was polled, per trigger
- lag: by how much a 5 ms sleep in the event loop comes late, from start to end; imported modules are frozen for
  Python's garbage collector, whose full collections take 100 to 300 ms in any process with Airflow in it
- memory: what the process has grown by in the midst of the wait, per trigger
- calls: requests that the service counted, per interval, in the midst of the wait
- interval: seconds from one poll of an endpoint to the next, as the calls show it
- delay: from an endpoint's READY to the trigger's event, for all endpoints, or a hundred, that become READY at once
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peers.environment import python_with

HERE = Path(__file__).parent
SCENARIOS = {
    "static keys": {"peer": (5, 25, 50, 100), "ours": (5, 25, 50, 100, 1000, 5000)},
    "assumed role": {"peer": (25,), "ours": (25, 1000)},
}


def peer_python() -> str:
    """Return the Python of the peer's environment, with the Airflow and the amazon provider that this one has."""
    names = ("apache-airflow", "apache-airflow-providers-amazon")
    return python_with("waiting", *(f"{name}=={version(name)}" for name in names), "aiobotocore", "psutil")


def environment(url: str, credentials: str) -> dict[str, str]:
    """Return the environment of a process that waits, whose ``aws_default`` has these credentials."""
    extra = {"region_name": "us-east-1"}
    if credentials == "assumed role":
        extra["role_arn"] = "arn:aws:iam::123456789012:role/ml"
    connection = {"conn_type": "aws", "login": "benchmark-key", "password": "benchmark-secret", "extra": extra}
    return {
        **os.environ,
        "AIRFLOW_HOME": str(HERE.parent / "build" / "airflow"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        "AWS_ENDPOINT_URL": url,
    }


def run(kind: str, count: int, credentials: str) -> dict[str, Any]:
    """Run one scenario against a service of its own."""
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-m", "waits.service", str(count)], cwd=HERE, **pipes) as service:
        assert service.stdin
        assert service.stdout
        url = service.stdout.readline().strip()
        python = sys.executable if kind == "ours" else peer_python()
        command = [python, "-m", "waits.process", kind, str(count), url]
        pipe: Any = {"stdout": subprocess.PIPE, "text": True}
        try:
            result = subprocess.run(command, cwd=HERE, env=environment(url, credentials), timeout=900, **pipe)
        finally:
            service.stdin.close()
    if result.returncode:
        sys.exit(f"{kind}, {count} waits: it failed, see above")
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--credentials", choices=SCENARIOS, action="append", help="those alone")
    chosen = parser.parse_args().credentials or SCENARIOS
    print(
        "| credentials | trigger | waits | start ms | worst lag ms | p99 lag ms | MB each | calls an interval "
        "| interval s | connections | AssumeRole | median delay s | longest delay s |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    scenarios = [
        (credentials, kind, count)
        for credentials in chosen
        for kind, counts in SCENARIOS[credentials].items()
        for count in counts
    ]
    for credentials, kind, count in scenarios:
        found = run(kind, count, credentials)
        print(
            f"| {credentials} | {'amazon provider' if kind == 'peer' else 'ours'} "
            f"| {count} | {found['start']:.2f} | {found['worst']:.0f} | {found['p99']:.1f} | {found['memory']:.3f} "
            f"| {found['calls']:.0f} | {found['interval']:.1f} | {found['connections']} | {found['roles']} "
            f"| {found['delay']:.1f} | {found['longest']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
