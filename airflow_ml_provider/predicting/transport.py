"""Predict below botocore's client: its signer, its error parser, and a pool of connections.

The client takes more than twice the processor's time that this does (docs/predictions.md has the figures), and at 200
predictions a second that counts. Nothing else in the package goes below the client.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, cast

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError, HTTPClientError, NoCredentialsError
from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.parsers import ResponseParserError, create_parser
from botocore.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool, PoolManager, ProxyManager, Timeout
from urllib3.exceptions import HTTPError

from airflow_ml_provider import errors
from airflow_ml_provider.client import settings_of
from airflow_ml_provider.errors import RefusedRecord
from airflow_ml_provider.predicting.engine import MOST_IN_FLIGHT
from airflow_ml_provider.records import Record, encode
from airflow_ml_provider.service_model import operation_model, service_model

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.model import StructureShape

    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import Prediction

MOST_BYTES = 100 * 1024  # AWS's limit of an observation; that names count as well as values is our reading of it
NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def check_size(record: dict[str, str]) -> None:
    """Raise RefusedRecord when a record is larger than the service takes."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in record.items())
    if size > MOST_BYTES:
        raise RefusedRecord(f"it has {size} bytes; a record may have {MOST_BYTES}")


class Wire:
    """Ask one endpoint for predictions, from any thread, one attempt a call.

    :param hook: whose connection gives credentials, region, proxies, certificates and timeouts.
    :param ml_model_id: the model.
    :param endpoint_url: where its endpoint is; the hook has checked that records may go there.
    """

    def __init__(self, hook: MachineLearningClientHook, ml_model_id: str, endpoint_url: str) -> None:
        self._hook = hook
        self._model = ml_model_id
        self._endpoint = endpoint_url
        self._region = hook.conn.meta.region_name
        self._url = f"{endpoint_url.rstrip('/')}/"
        self._pool, self._target = _pool(self._url, hook.conn.meta.config, _verify(hook))
        self._headers = _headers()
        self._renewing = threading.Lock()
        self._credentials: Credentials = self._found_credentials()

    def body(self, record: Record) -> bytes | RefusedRecord:
        """Give the body of a request, or why there can be none."""
        try:
            sent = encode(record)
            check_size(sent)
        except (ValueError, RefusedRecord) as error:
            return error if isinstance(error, RefusedRecord) else RefusedRecord(str(error))
        return json.dumps({"MLModelId": self._model, "Record": sent, "PredictEndpoint": self._endpoint}).encode()

    def predict(self, body: bytes) -> Prediction:
        """Make one attempt.

        :raises ClientError: what the service said, explained as the hook's client does.
        :raises HTTPClientError: when the connection failed.
        """
        credentials = self._credentials
        try:
            return self._send(body, credentials)
        except ClientError as error:
            if errors.code(error) in errors.EXPIRED:
                self._renew(credentials)
            raise

    def _send(self, body: bytes, credentials: Credentials) -> Prediction:
        request = AWSRequest("POST", self._url, dict(self._headers), body)
        SigV4Auth(credentials.get_frozen_credentials(), "machinelearning", self._region).add_auth(request)
        try:
            answer = self._pool.urlopen(
                "POST",
                self._target,
                body=body,
                headers=dict(request.headers.items()),
                redirect=False,
                retries=False,
                assert_same_host=False,
            )
        except HTTPError as error:
            raise HTTPClientError(error=error) from error
        if answer.status != 200:
            raise self._error(answer.status, dict(answer.headers), answer.data)
        try:
            return cast("Prediction", json.loads(answer.data)["Prediction"])
        except (ValueError, LookupError, TypeError):
            raise ResponseParserError("the answer to Predict is no prediction") from None

    def _error(self, status: int, headers: dict[str, str], body: bytes) -> ClientError:
        model = operation_model("Predict")
        answer = {"status_code": status, "headers": headers, "body": body}
        try:
            parsed = create_parser("json").parse(answer, cast("StructureShape", model.output_shape))
        except errors.MISREAD:
            raise ResponseParserError(
                f"Predict: status {status}, and an answer that is none of the service's"
            ) from None
        errors.explain(parsed=parsed, model=model, region=self._region)
        return ClientError(parsed, model.name)

    def _renew(self, expired: Credentials) -> None:
        with self._renewing:
            if self._credentials is expired:
                self._hook.forget_credentials()
                self._credentials = self._found_credentials()

    def _found_credentials(self) -> Credentials:
        credentials = self._hook.get_session().get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return credentials


def _headers() -> dict[str, str]:
    metadata = service_model().metadata
    return {
        "X-Amz-Target": f"{metadata['targetPrefix']}.Predict",
        "Content-Type": f"application/x-amz-json-{metadata['jsonVersion']}",
        "User-Agent": "airflow-ml-provider",
    }


def _verify(hook: MachineLearningClientHook) -> bool | str:
    found: bool | str | None = hook.verify
    if found is None:
        found = hook.ca_bundle or os.environ.get("REQUESTS_CA_BUNDLE")
    return True if found is None else found


def _pool(url: str, config: Config, verify: bool | str) -> tuple[HTTPConnectionPool, str]:
    """Make the connections to a URL, and say what they are asked for: a proxy of plain HTTP wants the whole URL."""
    scheme = url.partition(":")[0]
    settings = settings_of(config)
    proxies = ProxyConfiguration(settings.proxies or get_environ_proxies(url))
    proxy = proxies.proxy_url_for(url)
    certificate = settings.client_cert or (None, None)
    certificate_file, key_file = (certificate, None) if isinstance(certificate, str) else certificate
    make = partial(ProxyManager, proxy, proxy_headers=proxies.proxy_headers_for(proxy)) if proxy else PoolManager
    manager = make(
        maxsize=MOST_IN_FLIGHT,
        timeout=Timeout(connect=settings.connect_timeout, read=settings.read_timeout),
        socket_options=[NO_DELAY],
        cert_reqs="CERT_REQUIRED" if verify else "CERT_NONE",
        ca_certs=verify if isinstance(verify, str) else get_cert_path(verify),
        cert_file=certificate_file,
        key_file=key_file,
    )
    return manager.connection_from_url(url), url if proxy and scheme == "http" else "/"
