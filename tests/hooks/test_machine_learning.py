"""Credentials, the client, and the errors that it explains."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore import loaders
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, ReadTimeoutError, WaiterError
from botocore.parsers import ResponseParserError

from airflow_ml_provider import errors
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from tests.helpers.hostile import hostile

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture

pytestmark = pytest.mark.core


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make aws_default a connection with these extras."""

    def made(**extra: Any) -> None:
        connection = {"conn_type": "aws", "login": "local", "password": "local", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))

    return made


def test_the_connection_gives_region_and_endpoint(
    ml_model: str, amazon_ml_local: AmazonMLLocalFixture, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Credentials, region and endpoint override come from the user's aws connection."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    connect(
        region_name="eu-west-1",
        service_config={"machinelearning": {"endpoint_url": amazon_ml_local.url}},
        role_arn=None,
    )
    MachineLearningHook().conn.describe_ml_models()
    received = list(amazon_ml_local.requests)[-1]
    assert (received.access_key, received.region) == ("local", "eu-west-1")


def test_a_role_is_assumed_once(
    ml_model: str, amazon_ml_local: AmazonMLLocalFixture, connect: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """All clients of a hook, for calls, for waits and for S3, share one session; another region has its own."""
    connect(region_name="us-east-1", role_arn="arn:aws:iam::123456789012:role/ml")
    hook = MachineLearningHook()
    caplog.set_level("INFO", "amazon_ml_local.serving.other_services")
    hook.conn.describe_ml_models()
    hook.one_attempt_client.describe_ml_models()
    hook.s3.list_buckets()
    assert [text for text in caplog.messages if text.startswith("sts ")] == ["sts POST / 200"]
    assert hook.get_session("eu-west-1").region_name == "eu-west-1"


@pytest.mark.timeout(60)
def test_an_sts_that_never_answers_holds_nobody_up_for_long(
    amazon_ml_local: AmazonMLLocalFixture, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two attempts of five seconds; botocore's own five of a minute would outlast any deadline of a wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{silent.getsockname()[1]}")
        connect(region_name="us-east-1", role_arn="arn:aws:iam::123456789012:role/ml")
        with pytest.raises(ReadTimeoutError):
            _ = MachineLearningHook(config={"read_timeout": 0.3}).conn


def test_an_assumed_role_loads_botocores_data_once(
    ml_model: str, amazon_ml_local: AmazonMLLocalFixture, connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session that assumes the role and the one that has it read each of botocore's files once between them."""
    read, load_file, here = [], loaders.JSONFileLoader.load_file, threading.get_ident()

    def load(self: Any, path: str) -> Any:
        found = load_file(self, path)
        if found and threading.get_ident() == here:  # the service's threads have sessions of their own
            read.append(path)
        return found

    monkeypatch.setattr(botocore.session, "create_loader", loaders.create_loader)
    monkeypatch.setattr(loaders.JSONFileLoader, "load_file", load)
    connect(region_name="us-east-1", role_arn="arn:aws:iam::123456789012:role/ml")
    MachineLearningHook().conn.describe_ml_models()
    assert [path for path, times in Counter(read).items() if times > 1] == []
    assert any("endpoints" in path for path in read)


def test_arguments_win_over_the_connection(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """region_name and botocore's config reach the client."""
    client = MachineLearningHook(region_name="eu-west-1", config={"read_timeout": 7}).conn
    assert client.meta.region_name == "eu-west-1"
    config: Any = client.meta.config
    assert config.read_timeout == 7


def test_endpoint_methods_give_plain_json(
    ml_model: str, amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock
) -> None:
    """Create, get and delete return the endpoint's info under AWS's names, in JSON types."""
    hook = MachineLearningHook()
    assert hook.get_realtime_endpoint("ml-1")["EndpointStatus"] == "NONE"
    assert hook.create_realtime_endpoint("ml-1")["EndpointStatus"] == "UPDATING"
    service_clock.advance(100)
    ready = hook.get_realtime_endpoint("ml-1")
    assert json.loads(json.dumps(ready)) == ready
    assert ready["EndpointStatus"] == "READY"
    assert hook.predict("ml-1", {"x": 39})["predictedLabel"] == "1"
    assert hook.delete_realtime_endpoint("ml-1")["EndpointStatus"] == "NONE"


def test_a_named_connection_that_is_missing_is_an_error(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """No ambient credentials in place of a connection that the user named."""
    with pytest.raises(AirflowException, match="aws_conn_id: the connection 'prod' does not exist"):
        _ = MachineLearningHook(aws_conn_id="prod").conn
    assert not list(amazon_ml_local.requests)


def test_no_connection_means_botos_own_chain(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """aws_conn_id=None uses the environment's credentials."""
    MachineLearningHook(aws_conn_id=None).conn.describe_ml_models()
    assert list(amazon_ml_local.requests)[-1].access_key == "local"


def test_the_never_enrolled_are_told_what_to_do(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """The 403 that most people see is explained, and points to the local service."""
    amazon_ml_local.faults.add("never_enrolled")
    with pytest.raises(ClientError, match=r"never enrolled.*amazon-ml-local.*AWS_ENDPOINT_URL") as caught:
        MachineLearningHook().get_realtime_endpoint("ml-1")
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_missing_permissions_name_the_iam_action(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """AccessDeniedException says which action the identity needs."""
    amazon_ml_local.faults.add("error", code="AccessDeniedException", message="not authorized", status=400)
    with pytest.raises(ClientError, match="not authorized .*machinelearning:DeleteRealtimeEndpoint in us-east-1"):
        MachineLearningHook().delete_realtime_endpoint("ml-1")


def test_an_unknown_model_says_what_to_check(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """ResourceNotFoundException says that ids belong to account and region."""
    with pytest.raises(ClientError, match="No MLModel with id ml-0 exists.*region_name .now us-east-1") as caught:
        MachineLearningHook().get_realtime_endpoint("ml-0")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_region_without_the_service_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore makes up hosts for any region; the hook says where the service is."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(InvalidArgument, match="does not exist in us-west-2; it does in eu-west-1, us-east-1"):
        _ = MachineLearningHook(region_name="us-west-2").conn


@pytest.mark.parametrize("region_name", ["None", "US-EAST-1"])
def test_what_is_no_region_is_refused(region_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that nobody has is no outage to wait through: None, as a template renders it, or another case."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with pytest.raises(InvalidArgument, match=f"^region_name: .* does not exist in {region_name}"):
        _ = MachineLearningHook(region_name=region_name).conn


def test_a_missing_region_is_named(
    connect: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without any region the error names the argument."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    connect()
    with pytest.raises(InvalidArgument, match="^region_name: "):
        _ = MachineLearningHook().conn


@pytest.mark.parametrize("name", ["realtime_endpoint_ready", "realtime_endpoint_deleted"])
def test_the_hook_has_the_waiters_that_botocore_lacks(
    ml_model: str, amazon_ml_local: AmazonMLLocalFixture, name: str
) -> None:
    """get_waiter gives botocore's own kind of waiter, for use in @task code."""
    hook = MachineLearningHook()
    amazon_ml_local.service.ready_after_polls(2)
    hook.create_realtime_endpoint("ml-1")
    waiter = hook.get_waiter("realtime_endpoint_ready")
    waiter.wait(MLModelId="ml-1", WaiterConfig={"Delay": 0, "MaxAttempts": 5})
    if name == "realtime_endpoint_deleted":
        hook.delete_realtime_endpoint("ml-1")
        hook.get_waiter(name).wait(MLModelId="ml-1", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    assert name in hook.list_waiters()


def test_a_waiter_fails_on_a_failed_endpoint(ml_model: str, amazon_ml_local: AmazonMLLocalFixture) -> None:
    """FAILED is a terminal failure of the waiter too."""
    amazon_ml_local.service.ready_after_polls(1)
    amazon_ml_local.service.fail("RealtimeEndpoint", "ml-1")
    hook = MachineLearningHook()
    hook.create_realtime_endpoint("ml-1")
    with pytest.raises(WaiterError, match="EndpointInfo.EndpointStatus"):
        hook.get_waiter("realtime_endpoint_ready").wait(MLModelId="ml-1", WaiterConfig={"Delay": 0, "MaxAttempts": 2})


def test_the_client_of_a_wait_makes_one_attempt(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """The wait does the retrying; the rest of the configuration is the user's."""
    hook = MachineLearningHook(
        config={"read_timeout": 20, "retries": {"total_max_attempts": 9}, "max_pool_connections": 3}
    )
    config: Any = hook.one_attempt_client.meta.config
    assert config.retries["total_max_attempts"] == 1
    assert (config.read_timeout, config.max_pool_connections) == (20, 3)


def answer(body: Any, status: int = 200) -> Callable[..., Any]:
    """Make botocore take this for the service's answer."""
    return lambda **_: AWSResponse("http://localhost", status, HTTPHeaders(), SimpleNamespace(stream=lambda: [body]))


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, text) for text in ("<html>", "{}", "[]", "null", '"text"', '{"EndpointInfo": []}', '{"CreatedAt": "x"}')]
    + [(429, "<html>"), (503, '"text"'), (503, "[]")],
)
def test_garbage_passes(amazon_ml_local: AmazonMLLocalFixture, status: Any, body: Any) -> None:
    """What a proxy answers in the service's place is no answer, whatever botocore's parser makes of it."""
    hook = MachineLearningHook()
    client = hook.one_attempt_client
    client.meta.events.register("before-send.machine-learning.GetMLModel", answer(body.encode(), status))
    with pytest.raises((ResponseParserError, ClientError)) as caught:
        hook.call_once("GetMLModel", CLOCK.now() + 600, MLModelId="ml-1")
    assert errors.is_transient(caught.value)


def test_expired_credentials_are_read_anew_for_predictions(
    ml_model: str, amazon_ml_local: AmazonMLLocalFixture, connect: Callable[..., None], service_clock: Clock
) -> None:
    """The next attempt reads the connection again."""
    hook = MachineLearningHook()
    url = hook.create_realtime_endpoint("ml-1")["EndpointUrl"]
    service_clock.advance(600)
    amazon_ml_local.faults.add("expired_token", count=1)
    before = hook.conn
    assert hook.predict("ml-1", {"x": 39}, url)["predictedLabel"] == "1"
    assert hook.conn is not before


@pytest.mark.timeout(60)
def test_a_prediction_is_bounded_at_a_host_that_never_answers(
    amazon_ml_local: AmazonMLLocalFixture, connect: Callable[..., None]
) -> None:
    """No attempt outlasts mount_timeout: the call has its time-outs, and botocore repeats nothing on its own."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        connect(region_name="us-east-1", endpoint_url=url)
        with pytest.raises(errors.DeadlinePassed, match=r"the deadline of 1 s.*ReadTimeoutError"):
            MachineLearningHook().predict("ml-1", {"x": 39}, url, mount_timeout=1)


@pytest.mark.timeout(60)
def test_a_prediction_looks_its_endpoint_up_within_its_own_time(connect: Callable[..., None]) -> None:
    """mount_timeout holds the look-up and all attempts together; what is repeated is named, and is no wait."""
    with hostile("drip_body") as server:
        connect(region_name="us-east-1", endpoint_url=server.url)
        with pytest.raises(errors.DeadlinePassed, match="^Predict with MLModel ml-1 in us-east-1: no answer after"):
            MachineLearningHook().predict("ml-1", {"x": 39}, mount_timeout=1)


def test_expired_credentials_are_read_anew(
    ml_model: str, amazon_ml_local: AmazonMLLocalFixture, connect: Callable[..., None]
) -> None:
    """After an expired token the next call reads the connection again."""
    hook = MachineLearningHook()
    amazon_ml_local.faults.add("expired_token", count=1)
    with pytest.raises(ClientError, match="ExpiredToken"):
        hook.call_once("GetMLModel", CLOCK.now() + 60, MLModelId="ml-1")
    connect(region_name="eu-west-1")
    with pytest.raises(ClientError, match="No MLModel"):
        hook.call_once("GetMLModel", CLOCK.now() + 60, MLModelId="ml-1")
    assert list(amazon_ml_local.requests)[-1].region == "eu-west-1"
