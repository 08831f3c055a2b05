"""No endpoint left, and none that is somebody else's deleted: every form, by real processes, many cases side by side.

Forms are the Dags of ``dags/`` that README shows, waiting in the worker and deferred. ``make test-endpoints`` runs all
cases and prints how many have passed; docs/reliability.md describes them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from airflow import __version__ as airflow_version

from amazon_ml_local.fixture import served
from scripts.processes import ROOT, Processes, airflow_environment, free_port
from tests.helpers import training
from tests.helpers.airflow import COMPONENTS, HEALTH, ON_AIRFLOW_2, WEB, Airflow, Run, is_over, prepare, settings
from tests.helpers.polling import until
from tests.helpers.postgres import postgres_server
from tests.system.endpoints.cases import BY_USERS, CORE, FAILS, PLAIN, TWO, Case, cases
from tests.system.endpoints.harness import Happening, Stage

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture

RESULTS = ROOT / "build" / "endpoints.jsonl"
EXECUTOR = "preloaded.PreloadedExecutor"
PARSED_ONCE = {  # one file holds all Dags
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
    "AIRFLOW__CORE__DAG_FILE_PROCESSOR_TIMEOUT": "300",
    "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
    "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "3600",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "7200",  # on 3.0 the callback of a killed task makes its file stale
}
RECORDS = "id,x\n" + "".join(f"{x},{x}\n" for x in range(40))
FOLDER = Path(__file__).parent / "endpoints"
STAYS_RESTARTING = airflow_version.startswith("3.0.")  # https://github.com/apache/airflow/issues/55045
PAUSE = 3.0  # seconds between two looks at a run: answering many more would take half a core
OLDER = 3.0  # seconds: a create that does not wait takes an endpoint of up to 2 s before it for its own
AT_ONCE = int(os.environ.get("MATRIX_AT_ONCE", 8))


def params() -> list[Any]:
    """Mark what is enough to see that all is well: it is part of the system tests and of those on every Airflow."""
    marks = {
        case: [pytest.mark.system, pytest.mark.core] if (case.form, case.event, case.retries) in CORE else []
        for case in cases()
    }
    return [pytest.param(case, id=str(case), marks=found) for case, found in marks.items()]


class Matrix:
    """All cases under way, some of them side by side."""

    def __init__(self, service: AmazonMLLocalFixture, airflow: Airflow, stage: Stage, chosen: list[Case]) -> None:
        self.service, self.airflow, self.stage = service, airflow, stage
        self.client = service.client()
        self.theirs: dict[str, Any] = {}
        self.pool = ThreadPoolExecutor(AT_ONCE)
        self.played = {case: self.pool.submit(self.play, case) for case in chosen}

    def endpoint(self, model: str) -> Any:
        return self.client.get_ml_model(MLModelId=model).get("EndpointInfo", {"EndpointStatus": "NONE"})

    def make_theirs(self, model: str) -> None:
        """Create the endpoint as somebody else would, in the place of any that there is."""
        client = self.service.service.client()
        client.delete_realtime_endpoint(MLModelId=model)
        client.create_realtime_endpoint(MLModelId=model)
        self.theirs[model] = client.get_ml_model(MLModelId=model)["EndpointInfo"]["CreatedAt"]

    def arrange(self, case: Case) -> None:
        """Prepare what is to happen to a case's model."""
        model, kill, happen = case.model, self.stage.kill_sender, []
        if case.event == "killed before Create":
            happen = [Happening("CreateRealtimeEndpoint", "before", kill)]
        if case.event.endswith("killed in Create"):
            happen = [Happening("CreateRealtimeEndpoint", "after", kill)]
        if case.event == "killed after Create":
            happen = [Happening("AddTags", "after", kill, skip=1)]
        if case.event == "the endpoint FAILED":
            self.service.service.fail("RealtimeEndpoint", model)
        if case.event.startswith("theirs before"):
            self.make_theirs(model)
            time.sleep(OLDER)
        if case.event.startswith("theirs in its place"):
            happen = [Happening("Predict", "before", lambda: self.make_theirs(model))]
        if case.event in FAILS:
            happen.append(Happening("Predict", "before", self.stage.refuse, for_ever=True))
        self.stage.happenings[model] = happen

    def play(self, case: Case) -> list[Run]:
        """Run a case's Dags to their ends, and do what a user does meanwhile; return the runs."""
        self.arrange(case)
        runs = [self.airflow.run(dag["dag_id"]) for dag in case.dags()]
        if case.event in BY_USERS:
            self.act(case, runs[0])
        for run in runs:
            until(partial(is_over, run), 900, partial(getattr, run, "tasks"), pause=PAUSE)
        return runs

    def act(self, case: Case, run: Run) -> None:
        """Mark or clear create, as a user does."""
        create = case.dag.create
        if case.event == "cleared at the end":
            until(partial(is_over, run), 900, pause=PAUSE)
            run.clear(create)
            time.sleep(2)
            return
        until(lambda: self.made(case.model), 900)
        if case.dag.deferrable and case.dag.file != PLAIN:
            until(lambda: all(one["state"] == "deferred" for one in run.of(create)), 90)
            time.sleep(3)  # until a triggerer has begun with it
        if case.event == "cleared meanwhile":
            run.clear(create)
            if STAYS_RESTARTING:
                self.end_restarting(create, run)
        else:
            run.mark(case.event.removeprefix("marked "), create)

    @staticmethod
    def end_restarting(create: str, run: Run) -> None:
        """Mark a task as failed that was cleared while it ran, as a user of 3.0 has to: it would never run again."""
        time.sleep(15)
        for one in run.of(create):
            if one["state"] == "restarting":
                run.mark("failed", create, one["map_index"])

    def made(self, model: str) -> bool:
        """Return whether the endpoint is there, of a model that the Dag may yet have to train."""
        with suppress(self.client.exceptions.ResourceNotFoundException):
            return bool(self.endpoint(model)["EndpointStatus"] != "NONE")
        return False

    def tags(self, model: str) -> list[Any]:
        return self.client.describe_tags(ResourceId=model, ResourceType="MLModel")["Tags"]


@pytest.fixture(scope="module")
def database() -> Iterator[dict[str, str]]:
    """Settings for Postgres: SQLite runs one task at a time on Airflow 2, and a few on 3, which needs asyncpg here."""
    if not ON_AIRFLOW_2 and find_spec("asyncpg") is None:
        yield {}
        return
    with postgres_server() as url:
        yield {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url}


@pytest.fixture(scope="module")
def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, database: dict[str, str]
) -> Iterator[Matrix]:
    """Airflow with a Dag for each case that is to be tested, and all their runs begun."""
    items: list[Any] = [item for item in request.session.items if "matrix" in getattr(item, "fixturenames", ())]
    chosen = [item.callspec.params["case"] for item in items]
    home, port = tmp_path_factory.mktemp("matrix"), free_port()
    dags = home / "dags"
    dags.mkdir()
    for module in (FOLDER / "matrix.py", ROOT / "dags" / "example_data.py"):
        shutil.copy(module, dags)
    described = {"dags": [str(ROOT / "dags"), str(FOLDER)], "cases": [dag for case in chosen for dag in case.dags()]}
    (dags / "cases.json").write_text(json.dumps(described))
    patch, logs = pytest.MonkeyPatch.context(), home / "logs"
    with patch as patched, served() as service, Processes(logs) as processes:
        service.service.durations.set(realtime_endpoint=12)
        make_models(service, {model for case in chosen if not case.dag.own_model for model in case.models})
        env = airflow_environment(home, service.url, port) | settings(port) | database
        env |= {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "AIRFLOW__CORE__EXECUTOR": EXECUTOR, **PARSED_ONCE}
        env["PYTHONPATH"] = os.pathsep.join([str(FOLDER), str(ROOT), str(ROOT / "local")])
        prepare(env)
        airflow = Airflow(processes, env, f"http://127.0.0.1:{port}")
        for component in (WEB, *COMPONENTS):
            airflow.start(component)
        processes.wait_for(WEB, f"{airflow.url}{HEALTH}", 180)
        airflow.log_in()
        until(lambda: airflow.call("GET", "/dags")["total_entries"] == len(described["cases"]), 300)
        stage = Stage(service, lambda: psutil.Process(processes.running["scheduler"].pid), keeps_workers=ON_AIRFLOW_2)
        stage.install(patched)
        matrix = Matrix(service, airflow, stage, chosen)
        yield matrix
        matrix.pool.shutdown(wait=False, cancel_futures=True)
        if os.environ.get("MATRIX_LOGS"):
            shutil.copytree(home, os.environ["MATRIX_LOGS"], dirs_exist_ok=True)


def make_models(service: AmazonMLLocalFixture, names: Any) -> None:
    """Train one model for each case, so that none shares an endpoint with another."""
    client = service.client()
    training.create_data_source(service, "ds")
    for name in names:
        client.create_ml_model(MLModelId=name, MLModelType="BINARY", TrainingDataSourceId="ds")
    service.storage.write("s3://bucket/records.csv", RECORDS.encode())
    until(lambda: all(client.get_ml_model(MLModelId=name)["Status"] == "COMPLETED" for name in names))


@pytest.mark.endpoints
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", params())
def test_no_endpoint_is_left_and_none_of_theirs_deleted(matrix: Matrix, case: Any) -> None:
    """Whatever befell create: what the run made is gone, and what somebody else made is there."""
    runs = matrix.played[case].result()
    states = [run.state for run in runs]
    what = {run.dag_id: (run.state, run.tasks) for run in runs}
    if case.event == TWO:
        assert states == ["success", "failed"], what
    for model in case.models:
        now, theirs = matrix.endpoint(model), matrix.theirs.get(model)
        if theirs is not None:
            assert now.get("CreatedAt") == theirs, what
        elif case.dag.keeps and states == ["success"]:
            assert now["EndpointStatus"] == "READY", what
        else:
            assert now["EndpointStatus"] == "NONE", what
            assert not matrix.tags(model), what
    left = [happening for happening in matrix.stage.happenings[case.model] if not happening.for_ever]
    assert not left, f"not everything happened: {left}"
    record(case)


def record(case: Case) -> None:
    """Write down that a case has passed, for the table that the command prints."""
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as results:
        print(json.dumps({"airflow": airflow_version, **asdict(case)}), file=results)
