"""Predict by aiobotocore, in an environment of its own: a task a record, begun at the pace of the limit."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from predicting.service import MODEL, control, record

MOST_IN_FLIGHT = 256


async def predict(client, rows: int, limit: int) -> None:
    """Begin each call at its own time; a late wake-up is made up for, but for what is older than 50 ms."""
    url, free, at = os.environ["AWS_ENDPOINT_URL"], asyncio.Semaphore(MOST_IN_FLIGHT), time.monotonic()

    async def one(number: int) -> None:
        await client.predict(MLModelId=MODEL, Record=record(number), PredictEndpoint=url)
        free.release()

    async with asyncio.TaskGroup() as tasks:
        for number in range(rows):
            await free.acquire()
            tasks.create_task(one(number))
            at = max(at + 1 / limit, time.monotonic() - 0.05)
            await asyncio.sleep(at - time.monotonic())


async def main(rows: int, limit: int) -> None:
    """Print how long it took, and how much of the processor's time."""
    config = AioConfig(max_pool_connections=MOST_IN_FLIGHT, retries={"total_max_attempts": 10})
    async with get_session().create_client("machinelearning", config=config) as client:
        await predict(client, 20, limit)
        await asyncio.sleep(1.1)
        control("DELETE", "requests")
        cpu, began = time.process_time(), time.perf_counter()
        await predict(client, rows, limit)
        print(json.dumps({"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
