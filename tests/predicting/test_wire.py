"""What the calls below the client keep of it: TLS, certificates and proxies, as the user has set them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, SSLError

from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from airflow_ml_provider.predicting.wire import Wire
from tests.helpers.gates import Gate, opened

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Prediction
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from tests.helpers.gates import Authority


@pytest.fixture
def tls(endpoint: AmazonMLLocalFixture, context: ssl.SSLContext) -> Iterator[Gate]:
    """The endpoint behind TLS."""
    url = urlsplit(endpoint.url)
    with opened(Gate((url.hostname, url.port), context)) as gate:
        yield gate


def predict(wire: Wire) -> Prediction:
    """Predict for one record."""
    body = wire.body({"x": 30})
    assert isinstance(body, bytes)
    return wire.predict(body)


def predicted(port: int, **settings: Any) -> Any:
    """Predict by TLS, and once more on the same connection."""
    wire = Wire(MachineLearningHook(**settings), "ml-1", f"https://localhost:{port}")
    first, second = (predict(wire)["predictedLabel"] for _ in range(2))
    assert first == second
    return first


def test_a_bundle_of_certificates_is_used(tls: Gate, authority: Authority) -> None:
    """verify= names the authorities to trust."""
    assert predicted(tls.port, verify=authority.bundle) == "1"


def test_a_bundle_in_the_environment_is_used(tls: Gate, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_CA_BUNDLE counts as it does for boto3."""
    monkeypatch.setenv("AWS_CA_BUNDLE", authority.bundle)
    assert predicted(tls.port) == "1"


def test_a_bundle_in_the_config_file_is_used(
    tls: Gate, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ca_bundle in the AWS config file counts as it does for boto3."""
    (tmp_path / "config").write_text(f"[default]\nca_bundle = {authority.bundle}\n")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert predicted(tls.port) == "1"


def test_a_certificate_that_nobody_trusts_is_refused(tls: Gate) -> None:
    """No record leaves before the server has shown who it is."""
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        predicted(tls.port)
    assert tls.passed == 0


def test_a_certificate_of_another_host_is_refused(tls: Gate, authority: Authority) -> None:
    """A trusted authority does not make every host the right one."""
    wire = Wire(MachineLearningHook(verify=authority.bundle), "ml-1", f"https://127.0.0.1:{tls.port}")
    with pytest.raises(SSLError, match="127.0.0.1"):
        predict(wire)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # urllib3 is right, and the user has asked for it
def test_verification_can_be_turned_off(tls: Gate) -> None:
    """verify=False is the user's own choice, as with boto3."""
    assert predicted(tls.port, verify=False) == "1"


@pytest.fixture
def certificate(authority: Authority, context: ssl.SSLContext, tmp_path: Path) -> tuple[str, str]:
    """A client's certificate and its key, of the kind that the server wants now."""
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    certificate = authority.issue_cert("worker@example.org")
    paths = (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    return paths


def test_a_client_certificate_is_shown(tls: Gate, authority: Authority, certificate: tuple[str, str]) -> None:
    """client_cert of botocore's config reaches a server that wants one."""
    assert predicted(tls.port, verify=authority.bundle, config={"client_cert": certificate}) == "1"


def test_without_a_client_certificate_that_server_gives_no_answer(
    tls: Gate, authority: Authority, certificate: tuple[str, str]
) -> None:
    """No request gets past its TLS."""
    with pytest.raises(BotoCoreError, match=f"https://localhost:{tls.port}"):
        predicted(tls.port, verify=authority.bundle)
    assert tls.passed == 0


@pytest.mark.parametrize("prefix", ["http://", "", "http://me:secret@"])
def test_tls_goes_through_a_proxy(tls: Gate, authority: Authority, prefix: str) -> None:
    """The proxy is asked to connect, by the user's name when the URL has one, and sees nothing of what is said."""
    with opened(Gate(("127.0.0.1", tls.port))) as proxy:
        proxies = {"https": f"{prefix}127.0.0.1:{proxy.port}"}
        assert predicted(tls.port, verify=authority.bundle, config={"proxies": proxies}) == "1"
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT localhost:{tls.port} ")
    assert ("Proxy-Authorization: Basic bWU6c2VjcmV0" in head) == ("me:secret" in prefix)


def test_plain_http_goes_through_a_proxy(endpoint: AmazonMLLocalFixture) -> None:
    """The proxy is asked for the whole URL, at which nobody would answer."""
    hook = MachineLearningHook(config={"proxies": {"http": endpoint.url}})
    wire = Wire(hook, "ml-1", "http://localhost:1")
    assert predict(wire)["predictedLabel"] == "1"
