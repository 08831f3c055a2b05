"""No endpoint left, and none that is somebody else's deleted: every form, by real processes, many cases side by side.

Forms are the Dags of ``dags/`` that README shows, waiting in the worker and deferred. ``make test-endpoints`` runs all
cases and prints the table of docs/reliability.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from amazon_ml_local.fixture import served
from scripts.processes import ROOT, Processes, airflow_environment, free_port
from tests.conftest import ROWS, SCHEMA
from tests.system.conftest import COMPONENTS, HEALTH, ON_AIRFLOW_2, WEB, Airflow, prepare, settings, until
from tests.system.endpoints.harness import Happening, Stage

MATRIX = Path(__file__).parent / "endpoints" / "matrix.py"
PLAIN, SHORT = "deploy_and_predict.py", "deploy_and_predict_short.py"
FORMS = {
    "create, sensor": (PLAIN, False),
    "create, deferred sensor": (PLAIN, True),
    "create that waits": (SHORT, False),
    "create that defers": (SHORT, True),
}
KILLS = ("killed before Create", "killed in Create", "killed after Create")
RETRIED = (*KILLS, "the endpoint FAILED")
OTHERS = (
    "nothing",
    "predict failed",
    "create skipped",
    "marked failed",
    "marked success",
    "cleared meanwhile",
    "cleared at the end",
    "theirs before",
    "theirs before, killed in Create",
    "theirs in its place",
    "theirs in its place, predict failed",
    "two at once, one fails",
)
THEIRS = tuple(event for event in OTHERS if event.startswith("theirs"))
FAILS = ("predict failed", "theirs in its place, predict failed")
ENDED = {"success", "failed"}
CORE = {
    ("create, sensor", "killed in Create", 0),
    ("create, sensor", "theirs before", 0),
    ("create that waits", "killed in Create", 0),
    ("create that waits", "killed after Create", 2),
    ("create that waits", "theirs in its place", 0),
    ("create that waits", "two at once, one fails", 0),
    ("create that defers", "marked failed", 0),
    ("create that defers", "cleared at the end", 0),
}


@dataclass(frozen=True)
class Case:
    """One form, one event, one number of retries."""

    form: str
    event: str
    retries: int

    def __str__(self) -> str:
        return f"{self.form}, {self.retries} retries: {self.event}"

    @property
    def model(self) -> str:
        return "".join(letter if letter.isalnum() else "-" for letter in str(self))[:64]

    def dags(self) -> list[dict]:
        """Return what ``matrix.py`` makes a Dag of."""
        file, deferrable = FORMS[self.form]
        one = {
            "dag_id": self.model,
            "model": self.model,
            "file": file,
            "deferrable": deferrable,
            "retries": self.retries,
            "changes": {},
            "skipped": self.event == "create skipped",
        }
        if not self.event.startswith("two"):
            return [one]
        return [one, {**one, "dag_id": f"{self.model}-fails", "changes": {'{"age": 42': '{"age": [1]'}}]


def cases() -> list[Case]:
    retried = [Case(form, event, retries) for form in FORMS for event in RETRIED for retries in (0, 2)]
    return retried + [Case(form, event, 0) for form in FORMS for event in OTHERS]


def params() -> list:
    """Mark what is enough to see that all is well: it is part of the system tests and of those on every Airflow."""
    marks = {
        case: [pytest.mark.system, pytest.mark.core] if (case.form, case.event, case.retries) in CORE else []
        for case in cases()
    }
    return [pytest.param(case, id=str(case), marks=found) for case, found in marks.items()]


class Matrix:
    """All cases under way."""

    def __init__(self, service, airflow: Airflow, stage: Stage, chosen: list[Case]) -> None:
        self.service, self.airflow, self.stage, self.chosen = service, airflow, stage, chosen
        self.client = service.client()
        self.theirs: dict[str, object] = {}
        self.runs: dict[Case, list] = {}
        self.errors: dict[Case, BaseException] = {}
        self.threads: dict[Case, threading.Thread] = {}

    def start(self) -> None:
        for case in self.chosen:
            self.arrange(case)
            self.runs[case] = [self.airflow.run(dag["dag_id"]) for dag in case.dags()]
            self.threads[case] = threading.Thread(target=self.act, args=(case,), daemon=True)
            self.threads[case].start()

    def endpoint(self, model: str) -> dict:
        return self.client.get_ml_model(MLModelId=model)["EndpointInfo"]

    def make_theirs(self, model: str) -> None:
        """Let somebody make the endpoint, in the place of any that there is."""
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
        if case.event.startswith("theirs in its place"):
            happen = [Happening("Predict", "before", lambda: self.make_theirs(model))]
        if case.event in FAILS:
            happen.append(Happening("Predict", "before", self.stage.refuse, for_ever=True))
        self.stage.happenings[model] = happen

    def act(self, case: Case) -> None:
        """Do what a user does meanwhile."""
        try:
            self._act(case, self.runs[case][0])
        except BaseException as error:
            self.errors[case] = error

    def _act(self, case: Case, run) -> None:
        if case.event in ("marked failed", "marked success", "cleared meanwhile"):
            until(lambda: self.endpoint(case.model)["EndpointStatus"] != "NONE", 600)
            if case.form == "create that defers":
                until(lambda: run.creates[0]["state"] == "deferred", 60)
                time.sleep(3)  # until a triggerer has begun with it
            if case.event == "cleared meanwhile":
                run.clear()
            else:
                run.mark(case.event.removeprefix("marked "))
        if case.event == "cleared at the end":
            until(lambda: run.state in ENDED, 900)
            run.clear()
            time.sleep(2)

    def ended(self, case: Case) -> None:
        self.threads[case].join(900)
        if case in self.errors:
            raise self.errors[case]
        for run in self.runs[case]:
            until(lambda run=run: run.state in ENDED, 900, lambda run=run: (run.run_id, run.tasks))

    def tags(self, model: str) -> list:
        return self.client.describe_tags(ResourceId=model, ResourceType="MLModel")["Tags"]


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """Settings for Postgres, without which Airflow 2 runs one task at a time; Debian's user ``postgres`` runs it."""
    if not ON_AIRFLOW_2:
        yield {}
        return
    folder, port = tmp_path_factory.mktemp("postgres") / "data", free_port()
    for parent in (folder.parent, folder.parent.parent, folder.parent.parent.parent):
        parent.chmod(0o755)
    folder.mkdir()
    shutil.chown(folder, "postgres")
    (binaries,) = Path("/usr/lib/postgresql").glob("*/bin")

    def run(command: str, *arguments: str) -> None:
        subprocess.run([binaries / command, *arguments], user="postgres", check=True, timeout=120, cwd="/")

    run("initdb", "-D", str(folder), "-U", "admin", "-A", "trust")
    run(
        "pg_ctl",
        "-D",
        str(folder),
        "-o",
        f"-p {port} -h 127.0.0.1 -k {folder}",
        "-l",
        str(folder / "log"),
        "-w",
        "start",
    )
    yield {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://admin@127.0.0.1:{port}/postgres"}
    run("pg_ctl", "-D", str(folder), "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def matrix(request, tmp_path_factory, database):
    """Airflow with a Dag for each case that is to be tested, and all their runs begun."""
    items = [item for item in request.session.items if "matrix" in item.fixturenames]
    chosen = [item.callspec.params["case"] for item in items]
    home, port = tmp_path_factory.mktemp("matrix"), free_port()
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(MATRIX, dags)
    described = {"dags": str(ROOT / "dags"), "cases": [dag for case in chosen for dag in case.dags()]}
    (dags / "cases.json").write_text(json.dumps(described))
    with served() as service, Processes(home / "logs") as processes:
        service.service.durations.set(realtime_endpoint=5)
        make_models(service, {case.model for case in chosen})
        env = airflow_environment(home, service.url, port) | settings(port) | database
        env |= {"AIRFLOW__CORE__DAGS_FOLDER": str(dags), "AIRFLOW__CORE__EXECUTOR": "LocalExecutor"}
        prepare(env)
        airflow = Airflow(processes, env, f"http://127.0.0.1:{port}")
        for component in (WEB, *COMPONENTS):
            airflow.start(component)
        processes.wait_for(WEB, f"{airflow.url}{HEALTH}", 180)
        airflow.log_in()
        until(lambda: airflow.call("GET", "/dags")["total_entries"] == len(described["cases"]), 300)
        stage = Stage(service, lambda: psutil.Process(processes.running["scheduler"].pid), keeps_workers=ON_AIRFLOW_2)
        stage.install()
        found = Matrix(service, airflow, stage, chosen)
        found.start()
        yield found
        if os.environ.get("MATRIX_LOGS"):
            shutil.copytree(home, os.environ["MATRIX_LOGS"], dirs_exist_ok=True)


def make_models(service, names) -> None:
    """Train one model for each case, so that none shares an endpoint with another."""
    service.storage.write("s3://bucket/train.csv", ROWS.encode())
    location = {"DataLocationS3": "s3://bucket/train.csv", "DataSchema": json.dumps(SCHEMA)}
    client = service.client()
    client.create_data_source_from_s3(DataSourceId="ds", DataSpec=location, ComputeStatistics=True)
    for name in names:
        client.create_ml_model(MLModelId=name, MLModelType="BINARY", TrainingDataSourceId="ds")
    until(lambda: all(client.get_ml_model(MLModelId=name)["Status"] == "COMPLETED" for name in names))


@pytest.mark.endpoints
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", params())
def test_no_endpoint_is_left_and_none_of_theirs_deleted(matrix, case):
    """Whatever befell create: what the run made is gone, and what somebody else made is there."""
    matrix.ended(case)
    now, theirs = matrix.endpoint(case.model), matrix.theirs.get(case.model)
    runs = {run.dag_id: (run.state, run.tasks) for run in matrix.runs[case]}
    if theirs is None:
        assert now["EndpointStatus"] == "NONE", runs
        assert not matrix.tags(case.model), runs
    else:
        assert now.get("CreatedAt") == theirs, runs
    if case.event == "two at once, one fails":
        assert [run.state for run in matrix.runs[case]] == ["success", "failed"], runs
    left = [happening for happening in matrix.stage.happenings[case.model] if not happening.for_ever]
    assert not left, f"not everything happened: {left}"
