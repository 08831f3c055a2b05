"""What a deferred wait costs the triggerer, beside a trigger on the amazon provider's AwsBaseWaiterTrigger.

Both wait for realtime endpoints on Amazon ML Local, which runs in a process of its own, with a look every 5 s. The peer
runs in an environment of its own, since it needs aiobotocore; it is made under ``build/`` on the first run. The script
starts itself as the service and as the process that waits, so that all of it stands in one file.

- start: CPU of the process until every endpoint was looked at, per trigger
- lag: by how much a 5 ms sleep in the event loop comes late, from start to end; imported modules are frozen for
  Python's garbage collector, whose full collections take 100 to 300 ms in any process with Airflow in it
- memory: what the process has grown by in the midst of the wait, per trigger
- calls: requests that the service counted, per interval, in the midst of the wait
- interval: seconds from one look at an endpoint to the next, as the calls show it
- delay: from an endpoint's READY to the trigger's event, for a hundred endpoints that become READY at once
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEER = ROOT / "build" / "benchmark-waiting"
WAITERS = ROOT / "airflow_ml_provider" / "waiters" / "machinelearning.json"
INTERVAL, WINDOW = 5, 4  # seconds, intervals that calls are counted for
CHANGED, OTHERS = 1000.0, 100_000.0  # seconds of the service's time that the endpoints take
SCENARIOS = [
    (kind, count, role)
    for role in (False, True)
    for kind, counts in (("peer", (100, 300)), ("ours", (100, 1000, 5000)))
    for count in counts
]
SCHEMA = {
    "version": "1.0",
    "targetAttributeName": "y",
    "dataFormat": "CSV",
    "dataFileContainsHeader": True,
    "attributes": [
        {"attributeName": "x", "attributeType": "NUMERIC"},
        {"attributeName": "y", "attributeType": "BINARY"},
    ],
}


# The service


def serve(count: int) -> None:
    """Serve so many endpoints that are UPDATING; a hundred of them become READY on demand."""
    from collections import Counter

    from amazon_ml_local import AmazonMLLocal, MemoryStorage
    from amazon_ml_local.protocol import answer
    from amazon_ml_local.serving.application import Application
    from amazon_ml_local.serving.other_services import OtherServices
    from amazon_ml_local.serving.server import Server

    rows = "x,y\n" + "".join(f"{x},{int(x >= 20)}\n" for x in range(40))
    service = AmazonMLLocal(MemoryStorage({"s3://bucket/train.csv": rows.encode()}))
    make_endpoints(service, count)
    application, counts, seen = Application(service, OtherServices()), Counter(), set()

    def handle(request):
        if request.path == "/_bench/ready":
            service.clock.advance(CHANGED)
        if request.path.startswith("/_bench/"):
            return answer(200, {**counts, "seen": len(seen), "now": time.time()})
        action = request.header("x-amz-target").partition(".")[2]
        if action == "GetMLModel":
            seen.add(json.loads(request.body)["MLModelId"])
        counts[action or ("AssumeRole" if b"Action=AssumeRole" in request.body else "other")] += 1
        return application.handle(request)

    with Server(handle) as server:
        print(server.url, flush=True)
        sys.stdin.read()


def make_endpoints(service, count: int) -> None:
    client = service.client()
    location = {"DataLocationS3": "s3://bucket/train.csv", "DataSchema": json.dumps(SCHEMA)}
    client.create_data_source_from_s3(DataSourceId="ds", DataSpec=location, ComputeStatistics=True)
    service.clock.freeze()
    for number in range(count):
        client.create_ml_model(MLModelId=f"ml-{number}", MLModelType="BINARY", TrainingDataSourceId="ds")
    service.clock.advance(100)
    for number in range(count):
        client.get_ml_model(MLModelId=f"ml-{number}")  # waits for the training
        service.durations.set(realtime_endpoint=CHANGED if number < 100 else OTHERS)
        client.create_realtime_endpoint(MLModelId=f"ml-{number}")


# The waits


def our_triggers(count: int) -> list:
    from airflow_ml_provider import waiting
    from airflow_ml_provider.clock import CLOCK
    from airflow_ml_provider.triggers.machine_learning import MachineLearningTrigger

    now = CLOCK.now()
    waits = [
        waiting.Wait("realtime_endpoint_ready", f"ml-{n}", "us-east-1", now + 3600, INTERVAL, now, status="UPDATING")
        for n in range(count)
    ]
    return [MachineLearningTrigger(wait=wait.to_json(), carried={}) for wait in waits]


def peer_triggers(count: int) -> list:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger

    class Hook(AwsGenericHook):
        waiter_path = WAITERS

        def __init__(self, **settings) -> None:
            super().__init__(client_type="machinelearning", **settings)

    class Trigger(AwsBaseWaiterTrigger):
        aws_hook_class = Hook

    common = {
        "waiter_name": "realtime_endpoint_ready",
        "failure_message": "failed",
        "status_message": "status",
        "status_queries": ["EndpointInfo.EndpointStatus"],
        "return_value": None,
        "waiter_delay": INTERVAL,
        "waiter_max_attempts": 720,
    }
    return [
        Trigger(serialized_fields={}, waiter_args={"MLModelId": f"ml-{number}"}, **common) for number in range(count)
    ]


def ask(url: str, what: str) -> dict:
    with urllib.request.urlopen(f"{url}/_bench/{what}", timeout=60) as response:
        return json.load(response)


def megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def all_seen(counts: dict, kind: str, count: int) -> bool:
    """Return whether every endpoint has been looked at, by a Get or by a full round of pages."""
    return counts["seen"] == count if kind == "peer" else looks(counts, kind, count) >= 1


def looks(counts: dict, kind: str, count: int) -> float:
    """Return how often an endpoint has been polled, on average."""
    if kind == "peer":
        return counts.get("GetMLModel", 0) / count
    return counts.get("DescribeMLModels", 0) / -(-count // 100)


def connections(url: str) -> int:
    import psutil

    port = int(url.rpartition(":")[2])
    return sum(bool(c.raddr) and c.raddr.port == port for c in psutil.Process().net_connections("tcp"))


async def probe(lags: list[float]) -> None:
    """Record by how much a short sleep is late."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append(time.perf_counter() - began - 0.005)


async def hear(trigger, heard: list[float]) -> None:
    """Record when the trigger fires."""
    async for _ in trigger.run():
        heard.append(time.time())  # noqa: PERF401 - when, not what


async def wait(kind: str, count: int, url: str) -> dict:
    """Run the triggers in this process, and measure."""
    import_module("airflow.providers.amazon.aws.hooks.base_aws")  # a triggerer with the amazon provider has it
    triggers = (our_triggers if kind == "ours" else peer_triggers)(count)
    lags, heard = [], []
    gc.collect()
    gc.freeze()  # else a full collection of what Airflow has imported shows as a lag of 100 to 300 ms, whoever waits
    memory, cpu = megabytes(), time.process_time()
    tasks = [asyncio.create_task(probe(lags)), *(asyncio.create_task(hear(trigger, heard)) for trigger in triggers)]
    while not all_seen(await asyncio.to_thread(ask, url, "counts"), kind, count):
        await asyncio.sleep(0.1)
    found = {"start": (time.process_time() - cpu) / count * 1000}
    await asyncio.sleep(2 * INTERVAL)
    found |= await steady(kind, count, url)
    found |= {"memory": (megabytes() - memory) / count, "connections": await asyncio.to_thread(connections, url)}
    found |= await delays(url, heard)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found | {"worst": max(lags) * 1000, "p99": statistics.quantiles(lags, n=100)[98] * 1000}


async def steady(kind: str, count: int, url: str) -> dict:
    """Count the calls of a few intervals in which nothing changes."""
    before, began = await asyncio.to_thread(ask, url, "counts"), time.perf_counter()
    await asyncio.sleep(WINDOW * INTERVAL)
    after, seconds = await asyncio.to_thread(ask, url, "counts"), time.perf_counter() - began
    calls = sum(after[name] - before.get(name, 0) for name in after if name not in ("now", "seen"))
    looked = looks(after, kind, count) - looks(before, kind, count)
    return {
        "calls": calls / seconds * INTERVAL,
        "interval": seconds / looked if looked else math.inf,
        "roles": after.get("AssumeRole", 0),
    }


async def delays(url: str, heard: list[float]) -> dict:
    """Make a hundred endpoints READY, and wait for their events."""
    ready = (await asyncio.to_thread(ask, url, "ready"))["now"]
    for _ in range(1200):
        if len(heard) == 100:
            break
        await asyncio.sleep(0.1)
    late = [at - ready for at in heard]
    return {"heard": len(heard), "delay": statistics.median(late), "longest": max(late)}


# The table


def peer_python() -> str:
    """Make the peer's environment, with the Airflow and the amazon provider that this one has."""
    python = PEER / "bin" / "python"
    if not (PEER / "complete").exists():
        names = ("apache-airflow", "apache-airflow-providers-amazon")
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEER], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        pinned = [f"{name}=={version(name)}" for name in names]
        install = [python, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
        subprocess.run([*install, *pinned, "aiobotocore", "psutil"], check=True)
        (PEER / "complete").touch()
    return str(python)


def environment(url: str, role: bool) -> dict[str, str]:
    extra = {"region_name": "us-east-1"} | ({"role_arn": "arn:aws:iam::123456789012:role/ml"} if role else {})
    connection = {"conn_type": "aws", "login": "benchmark-key", "password": "benchmark-secret", "extra": extra}
    return {
        **os.environ,
        "AIRFLOW_HOME": str(PEER.parent / "airflow"),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
        "AWS_ENDPOINT_URL": url,
        "PYTHONPATH": str(ROOT),
    }


def run(kind: str, count: int, role: bool) -> dict:
    """Run one scenario against a service of its own."""
    me = str(Path(__file__))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, me, "serve", str(count)], cwd=ROOT, **pipes) as service:
        url = service.stdout.readline().strip()
        python = sys.executable if kind == "ours" else peer_python()
        command = [python, me, "wait", kind, str(count), url]
        try:
            result = subprocess.run(command, env=environment(url, role), stdout=subprocess.PIPE, text=True, timeout=900)
        finally:
            service.stdin.close()
    if result.returncode:
        sys.exit(f"{kind}, {count} waits: it failed, see above")
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    """Print the table."""
    print(
        "| credentials | trigger | waits | start ms | worst lag ms | p99 lag ms | MB each | calls an interval "
        "| interval s | connections | AssumeRole | median delay s | longest delay s |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    for kind, count, role in SCENARIOS:
        found = run(kind, count, role)
        if found["heard"] < 100:
            sys.exit(f"{kind}, {count} waits: only {found['heard']} of 100 events were heard")
        print(
            f"| {'assumed role' if role else 'static keys'} | {'amazon provider' if kind == 'peer' else 'ours'} "
            f"| {count} | {found['start']:.2f} | {found['worst']:.0f} | {found['p99']:.1f} | {found['memory']:.3f} "
            f"| {found['calls']:.0f} | {found['interval']:.1f} | {found['connections']} | {found['roles']} "
            f"| {found['delay']:.1f} | {found['longest']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", number]:
            serve(int(number))
        case ["wait", which, number, address]:
            with contextlib.redirect_stdout(sys.stderr):
                measured = asyncio.run(wait(which, int(number), address))
            print(json.dumps(measured))
        case _:
            main()
