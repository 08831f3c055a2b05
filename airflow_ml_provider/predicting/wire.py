"""Call Predict without botocore's client, but with its signature, its error parser and a client's connections.

The client takes more than twice the CPU time (docs/predictions.md has the figures), which counts at 200 predictions a
second. Nothing else in the package bypasses the client.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, cast

from botocore.config import Config
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from airflow_ml_provider import errors, hints
from airflow_ml_provider.errors import RefusedRecord
from airflow_ml_provider.parsing import ParserFactory
from airflow_ml_provider.predicting.engine import MOST_IN_FLIGHT
from airflow_ml_provider.predicting.lane import Lane
from airflow_ml_provider.predicting.signing import Signer
from airflow_ml_provider.records import Record, encode
from airflow_ml_provider.service_model import operation_model, service_model
from airflow_ml_provider.transport import session_of

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from botocore.exceptions import _ClientErrorResponseTypeDef
    from botocore.model import StructureShape

    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import Prediction

MOST_RECORD_BYTES = 100 * 1024  # AWS's limit for an observation; we read it as counting names as well as values


def check_size(record: dict[str, str]) -> None:
    """Raise RefusedRecord when a record is larger than the service accepts."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in record.items())
    if size > MOST_RECORD_BYTES:
        raise RefusedRecord(f"it has {size} bytes; a record may have {MOST_RECORD_BYTES}")


class Wire:
    """Make calls of Predict to one endpoint, from any thread, one attempt each.

    :param hook: the hook whose connection has credentials, region, proxies, certificates and timeouts.
    :param ml_model_id: the model.
    :param endpoint_url: the URL of its endpoint; the hook has checked that records may go there.
    """

    def __init__(self, hook: MachineLearningClientHook, ml_model_id: str, endpoint_url: str) -> None:
        self._hook = hook
        self._model = ml_model_id
        self._endpoint = endpoint_url
        url = f"{endpoint_url.rstrip('/')}/"
        client = hook.get_client_type(config=hook.config.merge(Config(max_pool_connections=MOST_IN_FLIGHT)))
        self._region = client.meta.region_name
        self._lane = Lane(session_of(client), url)
        self._signer = Signer(url, self._region, _headers())
        self._renewing = threading.Lock()
        self._credentials: Credentials = self._read_credentials()

    def body(self, record: Record) -> bytes | RefusedRecord:
        """Return the body of a request for the record, or the reason why the record cannot be sent."""
        try:
            encoded = encode(record)
            check_size(encoded)
        except RefusedRecord as refused:
            return refused
        except ValueError as error:  # InvalidArgument of ``encode``, or text that is not Unicode
            return RefusedRecord(str(error))
        return json.dumps({"MLModelId": self._model, "Record": encoded, "PredictEndpoint": self._endpoint}).encode()

    def predict(self, body: bytes) -> Prediction:
        """Make one attempt.

        :raises ClientError: when the service refuses; the message has the same hints as with the hook's client.
        :raises BotoCoreError: when the connection failed, or the answer took too long.
        """
        credentials = self._credentials
        try:
            return self._send(body, credentials)
        except ClientError as error:
            if errors.code(error) in errors.EXPIRED:
                self._renew(credentials)
            raise

    def _send(self, body: bytes, credentials: Credentials) -> Prediction:
        status, headers, content = self._lane.send(self._signer.sign(body, credentials), body)
        if status != 200:
            raise self._client_error(status, headers, content)
        try:
            return cast("Prediction", json.loads(content)["Prediction"])
        except (ValueError, LookupError, TypeError, RecursionError):
            raise ResponseParserError("the answer to Predict is no prediction") from None

    def _client_error(self, status: int, headers: dict[str, str], body: bytes) -> ClientError:
        """Return the error that botocore's client raises for such an answer, with our hints."""
        model = operation_model("Predict")
        answer = {"status_code": status, "headers": headers, "body": body}
        parsed = ParserFactory().create_parser("json").parse(answer, cast("StructureShape", model.output_shape))
        hints.add_hint(parsed=parsed, model=model, region=self._region)
        return ClientError(cast("_ClientErrorResponseTypeDef", parsed), model.name)

    def _renew(self, expired: Credentials) -> None:
        """Read the credentials again, unless another thread has replaced the expired ones already."""
        with self._renewing:
            if self._credentials is expired:
                self._hook.forget_credentials()
                self._credentials = self._read_credentials()

    def _read_credentials(self) -> Credentials:
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
