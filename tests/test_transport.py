"""One attempt at a call ends in time and stays small, whatever the other side does."""

from __future__ import annotations

import contextlib
import ssl
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ReadTimeoutError
from botocore.parsers import ResponseParserError

from airflow_ml_provider import errors
from airflow_ml_provider.transport import AnswerTooLarge, bound, session_of, time_limit
from tests.helpers.gates import Gate, opened
from tests.helpers.hostile import ANSWERS, TLS_STALL, hostile
from tests.helpers.memory import most_memory

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.helpers.gates import Authority

ATTEMPT = 0.5  # seconds
TOO_LARGE = ("endless_chunks", "large_body")


def client(server: Any, service: Any = "machinelearning", **config: Any) -> Any:
    """A client of a bounded session that makes one attempt of half a second."""
    defaults: Any = {"read_timeout": ATTEMPT, "retries": {"total_max_attempts": 1}}
    session = bound(boto3.session.Session("key", "secret", region_name="us-east-1"))
    return session.client(service, endpoint_url=server.url, config=Config(**defaults | config), verify=False)


@pytest.mark.parametrize("kind", [*ANSWERS, TLS_STALL])
def test_an_attempt_ends(kind: Any) -> None:
    """In about its time, in little memory, by an error that passes; a second attempt is another one's decision."""
    with hostile(kind) as server:
        began, memory = time.monotonic(), most_memory()
        with pytest.raises((BotoCoreError, ClientError, ResponseParserError)) as caught:
            client(server).get_ml_model(MLModelId="ml-1")
        assert time.monotonic() - began < 5
        assert most_memory() - memory < 100
        assert len(server.asked) == 1
    assert errors.is_transient(caught.value)


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_an_answer_that_is_too_large_is_said_to_be(kind: str) -> None:
    """The message names the address and the limit."""
    with hostile(kind) as server, pytest.raises(AnswerTooLarge, match=rf"{server.url}/ has more than \d+ bytes"):
        client(server, read_timeout=30).get_ml_model(MLModelId="ml-1")


@pytest.mark.parametrize("kind", ["drip_body", "silence", "endless_chunks", "large_body", "reset"])
def test_a_body_of_s3_ends(kind: str) -> None:
    """What is read after the call has returned counts for its time and size too."""
    with hostile(kind) as server:
        began, memory = time.monotonic(), most_memory()
        with pytest.raises(HTTPClientError):
            client(server, "s3").get_object(Bucket="bucket", Key="key")["Body"].read()
        assert time.monotonic() - began < 5
        assert most_memory() - memory < 200


@pytest.mark.parametrize("kind", ["drip_body", "drip_headers", "continue_for_ever", "silence"])
def test_a_write_to_s3_ends(kind: str) -> None:
    """Sending and the answer to it share one bound."""
    with hostile(kind) as server:
        began = time.monotonic()
        with pytest.raises(BotoCoreError):
            client(server, "s3").put_object(Bucket="bucket", Key="key", Body=bytes(1024 * 1024))
        assert time.monotonic() - began < 5


def test_retries_are_botocores_own() -> None:
    """Each attempt has the bound, and there are as many as the user wants."""
    attempts: list[object] = []  # as sent: a busy server may not have read one before its time is over
    with hostile("drip_body") as server:
        impatient = client(server, read_timeout=0.2, retries={"total_max_attempts": 3})
        impatient.meta.events.register("before-send", lambda request, **_: attempts.append(request))
        with pytest.raises(ReadTimeoutError):
            impatient.get_ml_model(MLModelId="ml-1")
    assert len(attempts) == 3


def test_a_time_limit_holds_all_attempts_together() -> None:
    """However many attempts there are and however long each may take."""
    with hostile("drip_body") as server:
        began = time.monotonic()
        with pytest.raises(BotoCoreError), time_limit(ATTEMPT):
            client(server, read_timeout=60, retries={"total_max_attempts": 3}).get_ml_model(MLModelId="ml-1")
        assert time.monotonic() - began < 8  # botocore sleeps before it tries again
        assert len(server.asked) == 1


def test_redirects_are_not_followed() -> None:
    """Requests are signed for one host, and records may go to no other."""
    with hostile("html") as elsewhere, hostile("redirect") as server:
        server.elsewhere = elsewhere.url
        with pytest.raises(ResponseParserError, match="status 302: a redirect"):
            client(server).get_ml_model(MLModelId="ml-1")
        assert (len(server.asked), len(elsewhere.asked)) == (1, 0)


@pytest.mark.parametrize("way", ["TLS", "a proxy", "a proxy behind TLS", "a proxy behind TLS of its own bundle"])
@pytest.mark.parametrize("kind", ["drip_body", "endless_chunks"])
def test_an_attempt_ends_behind(way: str, kind: str, authority: Authority, context: ssl.SSLContext) -> None:
    """The bound is on what is below TLS and proxies, and certificates go on being checked."""
    config: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(hostile(kind))
        gate = stack.enter_context(opened(Gate(server.server_address, context)))
        if "proxy" in way:
            over_tls = context if "TLS" in way else None
            proxy = stack.enter_context(opened(Gate(("127.0.0.1", gate.port), over_tls, is_proxy=True)))
            config = {"proxies": {"https": f"{'https' if over_tls else 'http'}://localhost:{proxy.port}"}}
            if "bundle" in way:
                config["proxies_config"] = {"proxy_ca_bundle": authority.bundle}
        session = bound(boto3.session.Session("key", "secret", region_name="us-east-1"))
        settings = Config(read_timeout=ATTEMPT, retries={"total_max_attempts": 1}, **config)
        asking = session.client(
            "machinelearning", endpoint_url=f"https://localhost:{gate.port}", verify=authority.bundle, config=settings
        )
        began = time.monotonic()
        with pytest.raises(HTTPClientError):
            asking.get_ml_model(MLModelId="ml-1")
        assert time.monotonic() - began < 5
        assert len(server.asked) == 1


def test_a_connection_is_kept_for_the_next_call(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Each attempt on it has a bound of its own: the first one's has passed when the second is made."""
    ours = client(amazon_ml_local, read_timeout=0.5)
    for _ in range(3):
        ours.describe_ml_models()
        time.sleep(0.3)
    pools = session_of(ours)._session._manager.pools
    (pool,) = (pools[key] for key in pools.keys())  # noqa: SIM118 - urllib3's container is no dictionary
    assert (pool.num_connections, pool.num_requests) == (1, 3)


def test_our_own_errors_are_no_weather(amazon_ml_local: AmazonMLLocalFixture) -> None:
    """Only what fails where the answer is parsed is a misread answer."""
    ours = client(amazon_ml_local)

    def mistaken(**_: Any) -> None:
        raise TypeError("a bug of a handler")

    ours.meta.events.register("before-call.machine-learning", mistaken)
    with pytest.raises(TypeError) as caught:
        ours.describe_ml_models()
    assert not errors.is_transient(caught.value)
