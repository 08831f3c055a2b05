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

MODELS = 150
ROWS = 2000
TASK_ENDED = {"success", "skipped"}
INTERVAL = 5  # the Dag's waiter_delay in seconds

Models = Callable[[int], list[str]]
Report = Callable[[str], None]


def states(run: Run) -> Counter[tuple[str, str]]:
    return Counter((one["task_id"], str(one["state"])) for one in run.instances)


def ends_well(run: Run, seconds: float) -> int:
    """Wait for the end of a run, in which no task is stuck or failed; return the number of tries of all tasks."""
    until_working(partial(is_over, run), seconds, partial(states, run))
    instances = run.instances
    assert run.state == "success", states(run)
    assert not [one for one in instances if one["state"] not in TASK_ENDED], states(run)
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


def attack(cluster: Cluster, draw: random.Random) -> list[str]:
    """Kill -9 every process of Airflow and restart both stores, in random order and at random moments."""
    victims = [*AIRFLOW, *STORES]
    draw.shuffle(victims)
    for victim in victims:
        time.sleep(draw.uniform(1, 6))
        (cluster.restart if victim in STORES else cluster.kill)(victim)
    return victims


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kills_cost_no_endpoint(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Models, report: Report, seed: int
) -> None:
    """Create → predict → delete of many models ends well: one Create each that changed something, none left."""
    service.service.durations.set(realtime_endpoint=20)
    names, started = models(MODELS), time.monotonic()
    run = api.run("lifecycle", *names)
    until_working(lambda: service.requests.count("CreateRealtimeEndpoint") >= MODELS // 10, 120, partial(states, run))
    service.faults.add("throttling", probability=0.05, seed=seed)
    service.faults.add("reset", probability=0.02, seed=seed)
    victims = attack(cluster, random.Random(seed))
    assert not is_over_now(run), "the run was over before the attack"
    tries = ends_well(run, 360)
    report(
        f"seed {seed}: {len(names)} models, {3 * len(names) + 1} tasks, {tries} tries, kills and restarts: "
        f"{', '.join(victims)}; failed requests: {sum(bool(request.error_code) for request in service.requests)}; "
        f"{time.monotonic() - started:.0f} s"
    )
    assert creates(service) == Counter(names)
    assert endpoints(service) == []


def is_over_now(run: Run) -> bool:
    """Return whether the run is over, as soon as the API answers again."""
    return until_working(lambda: [is_over(run)], 120)[0]


def test_a_frozen_triggerer_holds_up_nothing(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Models, report: Report
) -> None:
    """Another triggerer takes its waits over; when it wakes again, nothing is created or deleted twice."""
    service.service.durations.set(realtime_endpoint=45)
    names = models(20)
    run = api.run("lifecycle", *names)
    until_working(lambda: states(run)["endpoint.create", "deferred"] >= 10, 120, partial(states, run))
    cluster.freeze("triggerer-1")
    time.sleep(25)
    cluster.thaw("triggerer-1")
    tries = ends_well(run, 200)
    report(f"triggerer frozen for 25 s: {len(names)} models, {tries} tries")
    assert creates(service) == Counter(names)
    assert endpoints(service) == []


def test_waits_share_their_calls(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Models, report: Report
) -> None:
    """Each triggerer lists the waiting endpoints by the hundred, however many of them wait."""
    service.service.durations.set(realtime_endpoint=70)
    names = models(100)
    run = api.run("lifecycle", *names)
    until_working(lambda: states(run)["endpoint.create", "deferred"] == len(names), 120, partial(states, run))
    time.sleep(INTERVAL)
    service.requests.clear()
    began, cpu = time.monotonic(), [cluster.cpu_seconds(name) for name in TRIGGERERS]
    time.sleep(3 * INTERVAL)
    calls = sum(request.operation in ("DescribeMLModels", "GetMLModel") for request in service.requests)
    intervals = (time.monotonic() - began) / INTERVAL
    used = [cluster.cpu_seconds(name) - before for name, before in zip(TRIGGERERS, cpu, strict=True)]
    report(
        f"{len(names)} waits: {calls} calls in {intervals:.1f} intervals of {INTERVAL} s; CPU of triggerers: {used} s"
    )
    assert calls <= (intervals + 1) * len(TRIGGERERS) * ceil(len(names) / 100)
    ends_well(run, 200)


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
    until_working(lambda: service.requests.count("Predict") >= 600, 120, partial(states, run))
    cluster.kill("worker-1")
    time.sleep(3)
    cluster.freeze("worker-2")
    time.sleep(30)
    cluster.thaw("worker-2")
    tries = ends_well(run, 200)
    predicted = service.requests.count("Predict")
    report(f"{len(files)} files, {len(files) * ROWS} rows, {predicted} predictions, {tries} tries")
    for name, ids in files.items():
        written = s3.get_object(Bucket="files", Key=f"out/{name}")["Body"].read().decode()
        assert [line["id"] for line in csv.DictReader(written.splitlines())] == ids
    service.client().delete_realtime_endpoint(MLModelId=model)
