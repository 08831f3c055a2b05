"""The process that waits, measures itself, and prints what it found as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import os
import statistics
import sys
import time
import urllib.request
from importlib import import_module
from pathlib import Path
from typing import Any

from waits.service import MOST_CHANGED
from waits.triggers import INTERVAL, our_triggers, peer_triggers

WINDOW = 4  # intervals that calls are counted for


def ask(url: str, what: str) -> dict[str, Any]:
    """Send a request to the service's ``/_bench``, and return its counts."""
    with urllib.request.urlopen(f"{url}/_bench/{what}", timeout=60) as response:
        found: dict[str, Any] = json.load(response)
    return found


def resident_mb() -> float:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def all_polled(counts: dict[str, Any], kind: str, count: int) -> bool:
    """Return whether every endpoint has been polled, by a Get or by a full round of pages."""
    return polls_each(counts, kind, count) >= 1 if asks_for_lists(kind, count) else counts["seen"] == count


def polls_each(counts: dict[str, Any], kind: str, count: int) -> float:
    """Return how often an endpoint has been polled, on average."""
    if asks_for_lists(kind, count):
        return float(counts.get("DescribeMLModels", 0)) / math.ceil(count / 100)  # pages of a hundred
    return float(counts.get("GetMLModel", 0)) / count


def asks_for_lists(kind: str, count: int) -> bool:
    """Return whether so many waits are polled by lists."""
    return kind == "ours" and count >= import_module("airflow_ml_provider.triggers.bulk").MIN_WAITS_FOR_LIST


def connections(url: str) -> int:
    """Return how many connections this process has to the service."""
    import psutil

    port = int(url.rpartition(":")[2])
    return sum(bool(c.raddr) and c.raddr.port == port for c in psutil.Process().net_connections("tcp"))


async def record_lags(lags: list[float]) -> None:
    """Record by how much a short sleep is late."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append(time.perf_counter() - began - 0.005)


async def record_events(trigger: Any, heard: list[float]) -> None:
    """Record the times of the trigger's events."""
    async for _ in trigger.run():
        heard.append(time.time())  # noqa: PERF401 - when, not what


async def wait(kind: str, count: int, url: str) -> dict[str, Any]:
    """Run the triggers in this process, and measure."""
    import_module("airflow.providers.amazon.aws.hooks.base_aws")  # a triggerer with the amazon provider has it
    triggers = (our_triggers if kind == "ours" else peer_triggers)(count)
    lags: list[float] = []
    heard: list[Any] = []
    gc.collect()
    gc.freeze()  # else a full collection of what Airflow has imported shows as a lag of 100 to 300 ms, whoever waits
    memory, cpu = resident_mb(), time.process_time()
    work = [record_lags(lags), *(record_events(trigger, heard) for trigger in triggers)]
    tasks = list(map(asyncio.create_task, work))
    while not all_polled(await asyncio.to_thread(ask, url, "counts"), kind, count):
        await asyncio.sleep(0.1)
    found = {"start": (time.process_time() - cpu) / count * 1000}
    await asyncio.sleep(2 * INTERVAL)
    found |= await steady(kind, count, url)
    found |= {"memory": (resident_mb() - memory) / count, "connections": await asyncio.to_thread(connections, url)}
    found |= await delays(url, heard, count)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found | {"worst": max(lags) * 1000, "p99": statistics.quantiles(lags, n=100)[98] * 1000}


async def steady(kind: str, count: int, url: str) -> dict[str, Any]:
    """Count the calls of a few intervals in which nothing changes."""
    before, began = await asyncio.to_thread(ask, url, "counts"), time.perf_counter()
    await asyncio.sleep(WINDOW * INTERVAL)
    after, seconds = await asyncio.to_thread(ask, url, "counts"), time.perf_counter() - began
    calls = sum(after[name] - before.get(name, 0) for name in after if name not in ("now", "seen"))
    polled = polls_each(after, kind, count) - polls_each(before, kind, count)
    return {
        "calls": calls / seconds * INTERVAL,
        "interval": seconds / polled if polled else math.inf,
        "roles": after.get("AssumeRole", 0),
    }


async def delays(url: str, heard: list[float], count: int) -> dict[str, Any]:
    """Make endpoints READY, and wait for their events."""
    ready = (await asyncio.to_thread(ask, url, "ready"))["now"]
    for _ in range(1200):
        if len(heard) == min(count, MOST_CHANGED):
            break
        await asyncio.sleep(0.1)
    late = [at - ready for at in heard]
    assert len(heard) == min(count, MOST_CHANGED), f"{len(heard)} events were heard"
    return {"delay": statistics.median(late), "longest": max(late)}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        measured = asyncio.run(wait(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
    print(json.dumps(measured))
