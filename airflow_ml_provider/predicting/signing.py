"""Sign many requests that differ only in their bodies: botocore signs once a second, and the bodies follow here."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials

SERVICE = "machinelearning"


@dataclass(frozen=True, slots=True, repr=False)
class _Template:
    """What the signatures of all requests in one second with the same credentials have in common.

    The last line of ``canonical_request`` is missing: the digest of the body; that of ``string_to_sign``: the digest
    of the canonical request; and from ``authorization`` the signature after the last ``=``.
    """

    timestamp: str
    credentials: ReadOnlyCredentials
    headers: Mapping[str, str]
    canonical_request: str
    string_to_sign: str
    key: bytes
    authorization: str


def _template(url: str, region: str, headers: Mapping[str, str], credentials: ReadOnlyCredentials) -> _Template:
    """Return botocore's signature of an empty request without the parts that depend on the body."""
    auth = SigV4Auth(credentials, SERVICE, region)
    request = AWSRequest("POST", url, dict(headers))
    auth.add_auth(request)
    authorization = request.headers["Authorization"]
    del request.headers["Authorization"]
    canonical_request = auth.canonical_request(request)
    return _Template(
        timestamp=request.context["timestamp"],
        credentials=credentials,
        headers={**dict(request.headers.items()), "Host": auth.headers_to_sign(request)["host"]},
        canonical_request=canonical_request.rpartition("\n")[0],
        string_to_sign=auth.string_to_sign(request, canonical_request).rpartition("\n")[0],
        key=_signing_key(f"AWS4{credentials.secret_key}", auth.credential_scope(request)),
        authorization=authorization.rpartition("=")[0],
    )


def _signing_key(secret: str, scope: str) -> bytes:
    """Return the key for the signatures in a scope, ``date/region/service/aws4_request``."""
    key = secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


class Signer:
    """Sign requests to one URL.

    :param url: the URL of all requests.
    :param region: the region for the signature.
    :param headers: the headers that all requests have.
    """

    def __init__(self, url: str, region: str, headers: Mapping[str, str]) -> None:
        self._url, self._region, self._headers = url, region, headers
        self._last: _Template | None = None

    def sign(self, body: bytes, credentials: Credentials) -> dict[str, str]:
        """Return the headers of a request with this body; safe to call from any thread."""
        template = self._current_template(credentials.get_frozen_credentials())
        canonical_request = f"{template.canonical_request}\n{sha256(body).hexdigest()}"
        string_to_sign = f"{template.string_to_sign}\n{sha256(canonical_request.encode()).hexdigest()}"
        signature = hmac.digest(template.key, string_to_sign.encode(), "sha256").hex()
        return {**template.headers, "Authorization": f"{template.authorization}={signature}"}

    def _current_template(self, credentials: ReadOnlyCredentials) -> _Template:
        timestamp = time.strftime(SIGV4_TIMESTAMP, time.gmtime())
        last = self._last
        if last is None or (last.timestamp, last.credentials) != (timestamp, credentials):
            self._last = last = _template(self._url, self._region, self._headers, credentials)
        return last
