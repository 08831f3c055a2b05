"""``make up``: the UI, the play button of every example Dag, and the end."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import psutil
import pytest

from scripts.processes import free_port
from tests.helpers.polling import until
from tests.system.commands import BUTTONS, running

if TYPE_CHECKING:
    from tests.system.commands import Up

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]
SECONDS = 600  # for all Dags at once


def test_it_listens_on_loopback_alone(up: Up) -> None:
    """Nobody else in the network reaches it."""
    addresses = {
        connection.laddr.ip
        for process in [psutil.Process(up.process.pid), *psutil.Process(up.process.pid).children(recursive=True)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_every_play_button_runs_its_dag_to_success(up: Up) -> None:
    """Each example Dag succeeds with the parameters that it comes with; one of them asks a person."""
    runs = {dag_id: up.press(dag_id) for dag_id in BUTTONS}

    def states() -> dict[str, str]:
        up.answer(runs["approve_and_deploy"], "approve", "Approve")
        return {dag_id: up.call("GET", path)["state"] for dag_id, path in runs.items()}

    until(lambda: not {"queued", "running"} & set(states().values()), SECONDS, states)
    assert states() == dict.fromkeys(BUTTONS, "success"), {name: up.failed(path) for name, path in runs.items()}


def test_every_parameter_is_described(up: Up) -> None:
    """The form behind the play button says what each parameter is."""
    for dag_id in BUTTONS:
        for name, param in (up.call("GET", f"/api/v2/dags/{dag_id}/details")["params"] or {}).items():
            assert param["description"] or param["schema"].get("description"), (dag_id, name)


def test_the_event_trigger_starts_its_dag(up: Up) -> None:
    """An endpoint that becomes READY again starts a run, without a button."""
    up.call("PATCH", "/api/v2/dags/endpoint_events", {"is_paused": False})
    client = up.service()

    def started() -> list[str]:
        runs = up.call("GET", "/api/v2/dags/endpoint_events/dagRuns?limit=100")["dag_runs"]
        return [run["state"] for run in runs if run["run_type"].startswith("asset")]

    def again() -> bool:
        client.delete_realtime_endpoint(MLModelId="their-model")
        client.create_realtime_endpoint(MLModelId="their-model")
        try:
            until(lambda: bool(started()), 45)
        except AssertionError:
            return False
        return True

    until(again, 180)
    until(lambda: started()[0] == "success", 120, started)


def test_a_second_one_says_that_one_runs(up: Up) -> None:
    """Its message names the process that runs."""
    with running("up") as second:
        second.read_until(f"make up runs already here, as process {up.process.pid}.")


def test_it_ends_within_seconds(up: Up) -> None:
    """Ctrl-C ends everything: the last test of this module."""
    assert len(up.living()) >= 6
    assert up.end(signal.SIGINT) < 5
    assert up.process.returncode == 0
    assert up.living() == []


def test_a_taken_port_is_named() -> None:
    """Nothing is started when somebody listens on the port, and the message says how to choose another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running("up", "--port", str(port), "--service-port", str(free_port())) as command:
            command.read_until(f"Port {port} of 127.0.0.1 is taken: choose another by `make up PORT=8081`")
            assert command.process.wait(30) == 1
