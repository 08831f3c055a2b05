"""Nothing is lost on a cluster whose processes and stores are killed: endpoints, rows, tasks.

Each test prints what it did and saw, for docs/reliability.md.
"""

from __future__ import annotations

import csv
import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import pytest

from tests.cluster.cluster import AIRFLOW, STORES, TRIGGERERS, until_working
from tests.helpers.airflow import is_over

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.cluster.cluster import Cluster
    from tests.helpers.airflow import Airflow, Run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

MODELS, RUNS = 150, 6
ROWS = 2000
FROZEN = 30  # seconds: longer than Airflow waits here for heartbeats
TASK_ENDED = {"success", "skipped"}
INTERVAL = 5  # seconds, the waiter_delay of the Dags with waits alone

Models = Callable[[int], list[str]]
Report = Callable[[str], None]


def states(runs: list[Run]) -> Counter[tuple[str, str]]:
    """Return how many task instances each task has in each state."""
    return Counter((one["task_id"], str(one["state"])) for run in runs for one in run.instances)


def end_well(runs: list[Run], seconds: float) -> int:
    """Wait for the end of all runs, in which no task is stuck or failed; return the number of tries of all tasks."""
    state = partial(states, runs)
    until_working(lambda: all(is_over(run) for run in runs), seconds, state, pause=2)
    assert [run.state for run in runs] == ["success"] * len(runs), state()
    instances = [one for run in runs for one in run.instances]
    assert {one["state"] for one in instances} <= TASK_ENDED, state()
    return sum(one["try_number"] for one in instances)


def creates(service: AmazonMLLocalFixture) -> Counter[str]:
    """Return by model how many Creates changed something, by the request log: those that found no endpoint."""
    live: set[str] = set()
    found: Counter[str] = Counter()
    for request in service.requests:
        model = str(request.parameters.get("MLModelId"))
        if request.error_code:
            continue
        if request.operation == "CreateRealtimeEndpoint" and model not in live:
            live.add(model)
            found[model] += 1
        if request.operation == "DeleteRealtimeEndpoint":
            live.discard(model)
    return found


def endpoints(service: AmazonMLLocalFixture) -> list[str]:
    """Return the models that have an endpoint now."""
    pages = service.client().get_paginator("describe_ml_models").paginate()
    return [
        model["MLModelId"]
        for page in pages
        for model in page["Results"]
        if model.get("EndpointInfo", {}).get("EndpointStatus", "NONE") != "NONE"
    ]


def attack(cluster: Cluster, draw: random.Random) -> str:
    """Kill -9 each kind of process, freeze one worker and one triggerer, and restart both stores, at random moments.

    :returns: what happened, in words.
    """
    number = draw.choice("12")
    frozen = {f"worker-{number}", f"triggerer-{number}"}
    victims = draw.sample([*AIRFLOW, *STORES], len(AIRFLOW) + len(STORES))
    for victim in victims:
        time.sleep(draw.uniform(1, 12))
        if victim in frozen:
            cluster.freeze(victim, FROZEN)
        else:
            (cluster.restart if victim in STORES else cluster.kill)(victim)
    return ", ".join(f"{victim} frozen" if victim in frozen else victim for victim in victims)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_attacks_cost_no_endpoint(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Models, report: Report, seed: int
) -> None:
    """Create → predict → delete of many models ends well: one Create each that changed something, none left.

    What was frozen and wakes again creates and deletes nothing that others have taken over.
    """
    service.service.durations.set(realtime_endpoint=20)
    names, started = models(MODELS), time.monotonic()
    runs = [api.run("lifecycle", *names[first::RUNS]) for first in range(RUNS)]
    until_working(lambda: service.requests.count("CreateRealtimeEndpoint") >= MODELS // 10, 120, partial(states, runs))
    service.faults.add("throttling", probability=0.05, seed=seed)
    service.faults.add("reset", probability=0.02, seed=seed)
    attacked = attack(cluster, random.Random(seed))
    after_attack = until_working(partial(states, runs), 120)
    assert after_attack["endpoint.delete", "success"] < MODELS, "the runs were over before the attack"
    tries = end_well(runs, 360)
    report(
        f"seed {seed}: {len(names)} models in {RUNS} runs, {3 * len(names) + RUNS} tasks, {tries} tries; "
        f"killed, restarted or frozen: {attacked}; "
        f"{sum(bool(one.error_code) for one in service.requests)} failed requests; {time.monotonic() - started:.0f} s"
    )
    assert creates(service) == Counter(names)
    assert endpoints(service) == []


def test_waits_of_a_queue_share_their_calls(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Models, report: Report
) -> None:
    """N waits cost N/100 calls an interval if one of the triggerers serves their queue."""
    service.service.durations.set(realtime_endpoint=600)
    names = models(100)
    run = api.run("waits", *names)
    until_working(lambda: states([run])["create", "deferred"] == len(names), 120, partial(states, [run]))
    time.sleep(INTERVAL)
    service.requests.clear()
    began, cpu = time.monotonic(), [cluster.cpu_seconds(name) for name in TRIGGERERS]
    time.sleep(3 * INTERVAL)
    calls = sum(request.operation in ("DescribeMLModels", "GetMLModel") for request in service.requests)
    intervals = (time.monotonic() - began) / INTERVAL
    used = [cluster.cpu_seconds(name) - before for name, before in zip(TRIGGERERS, cpu, strict=True)]
    service.clock.advance(600)
    end_well([run], 120)
    report(
        f"{len(names)} waits: {calls} calls in {intervals:.1f} intervals of {INTERVAL} s; "
        f"CPU of both triggerers: {' and '.join(f'{seconds:.2f}' for seconds in used)} s"
    )
    assert calls <= (intervals + 1) * ceil(len(names) / 100)
    for name in names:
        service.client().delete_realtime_endpoint(MLModelId=name)


def test_files_lose_no_row(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Models, report: Report
) -> None:
    """One of two workers is killed, the other frozen and woken again: each output has each row once, in order."""
    service.service.durations.set(realtime_endpoint=1)
    (model,) = models(1)
    service.client().create_realtime_endpoint(MLModelId=model)
    s3 = service.client("s3")
    s3.create_bucket(Bucket="files")
    files = {f"{number}.csv": [f"{number}-{row}" for row in range(ROWS)] for number in range(4)}
    for name, ids in files.items():
        body = "id,x\n" + "".join(f"{row},{place % 40}\n" for place, row in enumerate(ids))
        s3.put_object(Bucket="files", Key=f"in/{name}", Body=body.encode())
    jobs = [{"source_uri": f"s3://files/in/{name}", "output_uri": f"s3://files/out/{name}"} for name in files]
    run = api.run("files", model, jobs=jobs)
    until_working(lambda: service.requests.count("Predict") >= 600, 120, partial(states, [run]))
    cluster.kill("worker-1")
    time.sleep(3)
    cluster.freeze("worker-2", FROZEN)
    tries = end_well([run], 200)
    predicted = service.requests.count("Predict")
    report(f"{len(files)} files, {len(files) * ROWS} rows, {predicted} predictions, {tries} tries")
    for name, ids in files.items():
        written = s3.get_object(Bucket="files", Key=f"out/{name}")["Body"].read().decode()
        assert [line["id"] for line in csv.DictReader(written.splitlines())] == ids
    service.client().delete_realtime_endpoint(MLModelId=model)
