"""A real Airflow beside the service, ``make up``, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from scripts.browser import chromium
from scripts.processes import Processes, airflow_environment, free_port
from tests.helpers.airflow import COMPONENTS, HEALTH, ON_AIRFLOW_2, WEB, Airflow, prepare, settings
from tests.helpers.polling import until
from tests.system.commands import BUTTONS, Up

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture
def service(shared_service: AmazonMLLocalFixture) -> AmazonMLLocalFixture:
    """The service, with no faults and no requests from earlier tests."""
    shared_service.faults.clear()
    shared_service.requests.clear()
    return shared_service


@pytest.fixture(scope="session")
def airflow(shared_service: AmazonMLLocalFixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """A running Airflow that knows all Dags."""
    home, port = tmp_path_factory.mktemp("airflow"), free_port()
    env = airflow_environment(home, shared_service.url, port) | settings(port)
    prepare(env)
    with Processes(home / "logs") as processes:
        one = Airflow(processes, env, f"http://127.0.0.1:{port}")
        for component in (WEB, *COMPONENTS):
            one.start(component)
        processes.wait_for(WEB, f"{one.url}{HEALTH}", 120)
        one.log_in()
        until(lambda: one.call("GET", "/dags")["total_entries"] == (10 if ON_AIRFLOW_2 else 11), 120)
        yield one


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """``make up`` on ports of its own, when it knows all Dags."""
    command = Up()
    try:
        command.read_until("Ctrl-C ends")
        command.token = command.call("GET", "/auth/token")["access_token"]
        until(lambda: command.call("GET", "/api/v2/dags")["total_entries"] == len(BUTTONS), 120)
        yield command
    finally:
        command.process.terminate()
        command.process.wait(60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, up: Up) -> Iterator[Page]:
    """A tab, logged in as Airflow's UI logs everybody in here."""
    with browser.new_context(viewport={"width": 1200, "height": 800}) as context:
        page = context.new_page()
        page.goto(up.url)
        page.wait_for_load_state("networkidle")
        yield page
