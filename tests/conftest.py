"""Where the tests' Airflow lives, and the service's clock in place of real time."""

from __future__ import annotations

import atexit
import gc
import json
import os
import shutil
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent

AIRFLOW_HOME = tempfile.mkdtemp(prefix="airflow-ml-provider-")
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)

# Airflow reads these when it is first imported.
os.environ.update(
    AIRFLOW_HOME=AIRFLOW_HOME,
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW_CONN_AWS_DEFAULT=json.dumps(
        {"conn_type": "aws", "login": "test", "password": "test", "extra": {"region_name": "us-east-1"}}
    ),
    AWS_EC2_METADATA_DISABLED="true",  # a test has the credentials that it sets, and asks no network for others
)
for name in ("NO_PROXY", "no_proxy"):  # the user's proxies are for elsewhere
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1,127.0.0.2,localhost"]))
for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_MACHINE_LEARNING", "AWS_PROFILE", "AWS_CONFIG_FILE"):
    os.environ.pop(name, None)

import pytest  # noqa: E402 - pytest's plugins read the environment too

pytest.register_assert_rewrite("tests.helpers")  # what they assert says what it saw, as in a test

from airflow_ml_provider.clock import CLOCK  # noqa: E402 - it is Airflow's settings that come first
from tests.helpers import training  # noqa: E402 - as above
from tests.helpers.gates import Authority  # noqa: E402 - as above
from tests.helpers.paced import Paced  # noqa: E402 - as above
from tests.helpers.polling import until  # noqa: E402 - as above
from tests.helpers.service_time import live_by  # noqa: E402 - as above

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture(scope="session", autouse=True)
def spared_garbage_collector() -> Iterator[None]:
    """Keep the garbage collector from what lives to the end: Airflow, boto3, moto and the tests, a million objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)
    yield
    gc.collect()  # what it finds is reported; pytest looks five times more
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def botocore_data() -> Iterator[None]:
    """Share among all clients of boto3 what each would find out again."""
    from tests.helpers import boto

    with pytest.MonkeyPatch.context() as patch:
        boto.share(patch)
        yield


@pytest.fixture
def service_clock(amazon_ml_local: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The service's clock, which is frozen, and by which our waits and Airflow's own poke loop live: nobody sleeps."""
    clock = amazon_ml_local.clock
    live_by(clock, monkeypatch)
    yield clock
    clock.resume()


@pytest.fixture
def ml_model(amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock) -> str:
    """The id of a COMPLETED model: y is 1 from x = 20 on."""
    return training.create_model(amazon_ml_local)


@pytest.fixture
def service(amazon_ml_local: AmazonMLLocalFixture, ml_model: str) -> AmazonMLLocalFixture:
    """The service, whose endpoints take 100 s, with a COMPLETED model ml-1."""
    amazon_ml_local.service.durations.set(realtime_endpoint=100)
    return amazon_ml_local


@pytest.fixture(scope="session")
def shared_service() -> Iterator[AmazonMLLocalFixture]:
    """A service with the data source ``ds`` for tests with real processes, which cost too much to start for each."""
    from amazon_ml_local.fixture import served

    with served() as service:
        training.create_data_source(service, "ds")
        yield service


@pytest.fixture
def models(shared_service: AmazonMLLocalFixture, request: pytest.FixtureRequest) -> Callable[[int], list[str]]:
    """Create so many COMPLETED models in the shared service, of names that no other test has."""

    def make(count: int) -> list[str]:
        client = shared_service.client()
        prefix = request.node.name.replace("[", "-").rstrip("]")[:50]
        names = [f"{prefix}-{number}" for number in range(count)]
        for name in names:
            client.create_ml_model(MLModelId=name, MLModelType="BINARY", TrainingDataSourceId="ds")
        until(lambda: all(client.get_ml_model(MLModelId=name)["Status"] == "COMPLETED" for name in names), 120)
        shared_service.requests.clear()
        return names

    return make


@pytest.fixture
def endpoint(
    amazon_ml_local: AmazonMLLocalFixture, ml_model: str, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AmazonMLLocalFixture:
    """The service with a READY endpoint of ``ml-1``; predictions are paced by its clock, so nobody sleeps."""
    amazon_ml_local.client().create_realtime_endpoint(MLModelId=ml_model)
    service_clock.advance(3600)
    Paced(service_clock).bind(monkeypatch)
    amazon_ml_local.requests.clear()
    return amazon_ml_local


@pytest.fixture
def at_next_sleep(service_clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Arrange an event for the next time that a wait sleeps; it may raise, as Airflow's time-out does."""

    def arrange(event: Callable[[], object]) -> None:
        def sleep(seconds: float) -> None:
            monkeypatch.setattr(CLOCK, "sleep", service_clock.sleep)
            service_clock.sleep(seconds)
            event()

        monkeypatch.setattr(CLOCK, "sleep", sleep)

    return arrange


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that nobody trusts by default."""
    return Authority(str(tmp_path_factory.mktemp("authority") / "ca.pem"))


@pytest.fixture
def context(authority: Authority) -> ssl.SSLContext:
    """The server's side of TLS, with a certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context
