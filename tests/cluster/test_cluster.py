"""Nothing is lost on a cluster whose processes and stores are killed: endpoints, rows, tasks."""

from __future__ import annotations

import csv
import random
import time
from collections import Counter
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.cluster import AIRFLOW, STORES, TRIGGERERS, until_working

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.cluster.cluster import Cluster
    from tests.helpers.airflow import Airflow

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

MODELS = 150
ENDED = ("success", "failed")
UNFINISHED = {None, "scheduled", "queued", "running", "deferred", "up_for_retry", "restarting"}


def start(api: Airflow, dag_id: str, conf: Any) -> str:
    """Start a run, and return the path of it in the API."""
    answer = api.call("POST", f"/dags/{dag_id}/dagRuns", {"conf": conf, "logical_date": None})
    return f"/dags/{dag_id}/dagRuns/{answer['dag_run_id']}"


def state(api: Airflow, run: str) -> Any:
    return api.call("GET", run)["state"]


def instances(api: Airflow, run: str) -> Any:
    """Return all task instances of a run."""
    found: list[dict[str, Any]] = []
    total = 1
    while len(found) < total:
        page = api.call("GET", f"{run}/taskInstances?limit=100&offset={len(found)}")
        found, total = [*found, *page["task_instances"]], page["total_entries"]
    return found


def states(api: Airflow, run: str) -> Counter[tuple[str, str]]:
    return Counter((one["task_id"], one["state"]) for one in instances(api, run))


def ends_well(api: Airflow, run: str, seconds: float) -> None:
    """Wait for the end of a run; no task is stuck, and the run succeeds."""
    until_working(lambda: state(api, run) in ENDED, seconds, lambda: states(api, run))
    assert state(api, run) == "success", states(api, run)
    assert not [one for one in instances(api, run) if one["state"] in UNFINISHED]


def changes(service: AmazonMLLocalFixture) -> Any:
    """Return by model how many Creates changed something: those that found no endpoint."""
    live: set[str] = set()
    made: Counter[str] = Counter()
    for request in service.requests:
        model = str(request.parameters.get("MLModelId"))
        if request.error_code:
            continue
        if request.operation == "CreateRealtimeEndpoint" and model not in live:
            live.add(model)
            made[model] += 1
        if request.operation == "DeleteRealtimeEndpoint":
            live.discard(model)
    return made


def endpoints(service: AmazonMLLocalFixture) -> list[Any]:
    """Return the models that have an endpoint now."""
    pages = service.client().get_paginator("describe_ml_models").paginate()
    return [
        model["MLModelId"]
        for page in pages
        for model in page["Results"]
        if model.get("EndpointInfo", {}).get("EndpointStatus", "NONE") != "NONE"
    ]


def attack(cluster: Cluster, draw: Any, is_over: Any) -> Any:
    """Kill each kind of process and restart both stores, in random order and at random moments, until it is over."""
    victims = [*AIRFLOW, *STORES]
    draw.shuffle(victims)
    for victim in victims:
        if is_over():
            break
        time.sleep(draw.uniform(3, 8))
        (cluster.restart if victim in STORES else cluster.kill)(victim)
    return victims


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kills_cost_no_endpoint(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Callable[[int], list[str]], seed: int
) -> None:
    """Create → predict → delete of many models ends well: one Create each that changed something, none left."""
    service.service.durations.set(realtime_endpoint=20)
    names = models(MODELS)
    run = start(api, "lifecycle", {"models": names})
    until_working(
        lambda: service.requests.count("CreateRealtimeEndpoint") >= MODELS // 10, 120, lambda: states(api, run)
    )
    attack(cluster, random.Random(seed), lambda: state_or_none(api, run) in ENDED)
    ends_well(api, run, 420)
    assert changes(service) == Counter(names)
    assert endpoints(service) == []


def state_or_none(api: Airflow, run: str) -> Any:
    try:
        return state(api, run)
    except OSError:
        return None


def test_a_frozen_triggerer_holds_up_nothing(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Callable[[int], list[str]]
) -> None:
    """Another triggerer takes its waits over; when it wakes again, nothing is made or deleted twice."""
    service.service.durations.set(realtime_endpoint=45)
    names = models(20)
    run = start(api, "lifecycle", {"models": names})
    until_working(lambda: states(api, run)["endpoint.create", "deferred"] >= 10, 120, lambda: states(api, run))
    cluster.freeze("triggerer-1")
    time.sleep(25)
    cluster.thaw("triggerer-1")
    ends_well(api, run, 300)
    assert changes(service) == Counter(names)
    assert endpoints(service) == []


def test_waits_share_their_calls(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Callable[[int], list[str]]
) -> None:
    """Each triggerer lists the waiting endpoints by the hundred, however many of them wait."""
    service.service.durations.set(realtime_endpoint=90)
    names = models(100)
    run = start(api, "lifecycle", {"models": names})
    until_working(lambda: states(api, run)["endpoint.create", "deferred"] == len(names), 240, lambda: states(api, run))
    time.sleep(5)
    service.requests.clear()
    time.sleep(20)
    calls = sum(request.operation in ("DescribeMLModels", "GetMLModel") for request in service.requests)
    interval = 5
    print(f"{calls} calls in 20 s for {len(names)} waits at an interval of {interval} s")
    assert calls <= (20 / interval + 1) * len(TRIGGERERS) * ceil(len(names) / 100)
    ends_well(api, run, 300)


def test_files_lose_no_row(
    cluster: Cluster, api: Airflow, service: AmazonMLLocalFixture, models: Callable[[int], list[str]]
) -> None:
    """One of two workers is killed, the other frozen and woken again: each output has each row once, in order."""
    service.service.durations.set(realtime_endpoint=1)
    (model,) = models(1)
    service.client().create_realtime_endpoint(MLModelId=model)
    s3 = service.client("s3")
    s3.create_bucket(Bucket="files")
    ids = [[f"{file}-{row}" for row in range(2000)] for file in range(4)]
    jobs = []
    for file, rows in enumerate(ids):
        body = "id,x\n" + "".join(f"{row},{place % 40}\n" for place, row in enumerate(rows))
        s3.put_object(Bucket="files", Key=f"in-{file}.csv", Body=body.encode())
        jobs.append({"source_uri": f"s3://files/in-{file}.csv", "output_uri": f"s3://files/out-{file}.csv"})
    run = start(api, "files", {"model": model, "jobs": jobs})
    until_working(lambda: service.requests.count("Predict") >= 600, 120, lambda: states(api, run))
    cluster.kill("worker-1")
    time.sleep(3)
    cluster.freeze("worker-2")
    time.sleep(30)
    cluster.thaw("worker-2")
    ends_well(api, run, 420)
    for file, rows in enumerate(ids):
        body = s3.get_object(Bucket="files", Key=f"out-{file}.csv")["Body"].read().decode()
        assert [line["id"] for line in csv.DictReader(body.splitlines())] == rows
    service.client().delete_realtime_endpoint(MLModelId=model)
