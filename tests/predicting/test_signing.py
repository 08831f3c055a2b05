"""What is signed for many requests together is signed as botocore signs each."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from airflow_ml_provider.predicting.signing import Signer

HEADERS = {"X-Amz-Target": "AmazonML_20141212.Predict", "Content-Type": "application/x-amz-json-1.1"}
URLS = [
    "https://realtime.machinelearning.us-east-1.amazonaws.com/",
    "http://localhost:8080/",
    "http://[::1]:8080/",
    "https://localhost:443/below/",
]


def authorization_by_botocore(url: str, body: Any, credentials: Any, signed: Any) -> str:
    """Return what botocore signs with the date of a request that is signed already."""
    request = AWSRequest("POST", url, dict(HEADERS), body)
    auth = SigV4Auth(credentials.get_frozen_credentials(), "machinelearning", "us-east-1")
    request.context["timestamp"] = signed["X-Amz-Date"]
    request.headers["X-Amz-Date"] = signed["X-Amz-Date"]
    if credentials.token:
        request.headers["X-Amz-Security-Token"] = credentials.token
    canonical_request = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical_request), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"


@pytest.mark.parametrize("token", [None, "token"])
@pytest.mark.parametrize("url", URLS)
def test_each_signature_is_botocores(url: str, token: str | None) -> None:
    """Whatever the URL, the body and the credentials are."""
    signer, credentials = Signer(url, "us-east-1", HEADERS), Credentials("key", "secret", token)
    for body in (b"", b"{}", "ö".encode() * 1000):
        signed = signer.sign(body, credentials)
        assert signed["Authorization"] == authorization_by_botocore(url, body, credentials, signed)
        assert signed.get("X-Amz-Security-Token") == token


def test_new_credentials_sign_at_once() -> None:
    """Those of a session that was refreshed, or another one, also in the same second."""
    signer, url = Signer(URLS[0], "us-east-1", HEADERS), URLS[0]
    for number in range(3):
        credentials = Credentials(f"key{number}", f"secret{number}", "token")
        signed = signer.sign(b"{}", credentials)
        assert signed["Authorization"] == authorization_by_botocore(url, b"{}", credentials, signed)


def test_a_signature_is_of_its_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of the next second, or of the next day, bears its own date."""
    import botocore.auth

    signer, credentials = Signer(URLS[0], "us-east-1", HEADERS), Credentials("key", "secret")
    seen = set()
    for timestamp in ("20261124T235959Z", "20261125T000000Z"):
        monkeypatch.setattr("airflow_ml_provider.predicting.signing.time.strftime", lambda *_, now=timestamp: now)
        monkeypatch.setattr(botocore.auth, "SIGV4_TIMESTAMP", timestamp)  # a format that is its own result
        signed = signer.sign(b"{}", credentials)
        assert signed["X-Amz-Date"] == timestamp
        assert signed["Authorization"] == authorization_by_botocore(URLS[0], b"{}", credentials, signed)
        seen.add(signed["Authorization"])
    assert len(seen) == 2
