"""Predict by aiobotocore, in an environment of its own: many records at once, each attempt at the pace of the limit."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from predicting.service import MODEL, control, record

MOST_IN_FLIGHT = 256


class Limiter:
    """Space attempts evenly. If the loop wakes up late, the next attempts follow sooner, for at most the last 50 ms."""

    def __init__(self, limit: int) -> None:
        self._seconds, self._next = 1 / limit, time.monotonic()

    async def wait(self) -> None:
        at = self._next = max(self._next + self._seconds, time.monotonic() - 0.05)
        await asyncio.sleep(at - time.monotonic())


async def predict(client: Any, rows: int, limit: int) -> None:
    """Predict for so many records; a throttled attempt is made again."""
    url, free, limiter = os.environ["AWS_ENDPOINT_URL"], asyncio.Semaphore(MOST_IN_FLIGHT), Limiter(limit)

    async def one(number: int) -> None:
        try:
            await client.predict(MLModelId=MODEL, Record=record(number), PredictEndpoint=url)
        except client.exceptions.LimitExceededException:
            await limiter.wait()
            await one(number)
        else:
            free.release()  # after any other error the task group ends all tasks

    async with asyncio.TaskGroup() as tasks:
        for number in range(rows):
            await free.acquire()
            await limiter.wait()
            tasks.create_task(one(number))


async def main(rows: int, limit: int) -> None:
    """Print how long it took, and how much of the processor's time."""
    config = AioConfig(max_pool_connections=MOST_IN_FLIGHT, retries={"total_max_attempts": 1})
    async with get_session().create_client("machinelearning", config=config) as client:
        await predict(client, 20, limit)
        await asyncio.sleep(1.1)  # until no call of the last second counts against the rate
        control("DELETE", "requests")
        cpu, began = time.process_time(), time.perf_counter()
        await predict(client, rows, limit)
        print(json.dumps({"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
