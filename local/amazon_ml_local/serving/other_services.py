"""The rest of AWS on the same port: moto, loaded by the first request that needs it."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import cache, cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from amazon_ml_local.data_folder import DataFolderError
from amazon_ml_local.errors import ServiceError
from amazon_ml_local.protocol import Request, Response
from amazon_ml_local.serving.buckets import BucketStore
from amazon_ml_local.serving.chunks import without_chunks
from amazon_ml_local.serving.conditions import send_s3, writing
from amazon_ml_local.serving.refusal import refusal
from amazon_ml_local.storage import S3Storage, StorageError, split

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from botocore.client import BaseClient

    from amazon_ml_local.data_folder import DataFolder

logger = logging.getLogger(__name__)

NO_MOTO = (
    "Amazon ML Local serves S3, STS and the rest of AWS by moto, which is not installed: "
    "pip install 'amazon-ml-local[s3]'. For S3 alone, start it with --s3-endpoint-url."
)
# Not 503, which SDKs would retry.
NOT_IMPLEMENTED = 501
# moto's page fetches its scripts from other hosts.
MOTO_PAGES = ("/moto-api", "/moto-api/lib.js", "/moto-api/data.json")
NO_PAGES = "The pages of moto are not served here. An AWS SDK or the aws CLI tells what is in its services."


class OtherServices:
    """Answer the requests that are not for Amazon ML.

    :param s3_endpoint_url: where S3 is instead, if not here
    :param buckets: S3 buckets that are there from the start
    :param objects: S3 objects that are there from the start, by their URIs
    :param data_folder: where buckets and objects are stored; those that are there already are loaded
    :ivar loading: the lock that is held while moto is loaded and filled
    :ivar loaded: whether moto is loaded and filled, as the first request for it does
    """

    def __init__(
        self,
        s3_endpoint_url: str | None = None,
        buckets: Sequence[str] = (),
        objects: dict[str, bytes] | None = None,
        data_folder: DataFolder | None = None,
    ) -> None:
        self._elsewhere = s3_endpoint_url
        self._store = BucketStore(data_folder) if data_folder and not s3_endpoint_url else None
        # No copy: the fixture adds objects until moto is loaded, and a reset empties them.
        self._buckets, self._objects = buckets, {} if objects is None else objects
        self.loading, self.loaded = threading.RLock(), False
        self._app: Any = None
        if s3_endpoint_url:  # at once, as no request for it comes here
            self._fill()

    def handle(self, request: Request) -> Response:
        """Return the response to a request."""
        name = request.credential.service if request.credential else "?"  # unsigned, which may be one for S3
        if self._elsewhere and name == "s3":
            return _not_implemented(request, f"S3 is at {self._elsewhere}: set AWS_ENDPOINT_URL_S3 to it.")
        if unquote(urlsplit(request.path).path).rstrip("/") in MOTO_PAGES:
            return refusal(request, ServiceError("NotFound", NO_PAGES, 404))
        try:
            request = without_chunks(request)
        except ValueError as error:
            return refusal(request, ServiceError("IncompleteBody", f"The body's chunks are broken: {error}", 400))
        try:
            self._load()  # outside send_s3, whose lock is needed to fill S3: who holds it must not wait for the filling
            send = self._send_and_save if name in ("s3", "?") else self._send
            response = send_s3(request, send) if name == "s3" else send(request)
        except DataFolderError as error:
            response = refusal(request, ServiceError("InsufficientStorage", f"Nothing of this is kept: {error}", 507))
        except ModuleNotFoundError as error:
            response = _not_implemented(request, f"{NO_MOTO} ({error})")
        except StorageError as error:
            response = _not_implemented(request, str(error))
        logger.info("%s %s %s %s", name, request.method, urlsplit(request.path).path, response.status)
        return response

    def _send(self, request: Request) -> Response:
        return _call(self._app, request)

    def _send_and_save(self, request: Request) -> Response:
        """Send a request to moto, and commit what it has changed in S3, if that is stored, before it is answered."""
        response = self._send(request)
        if self._store and request.method not in ("GET", "HEAD") and response.status < 300:
            self._store.save(request)
        return response

    def s3_client(self) -> BaseClient:
        """Return a boto3 client of the S3 on this port, or of the one that was configured instead: always the same."""
        return self._s3_client

    @cached_property
    def _s3_client(self) -> BaseClient:
        if self._elsewhere is None:
            from amazon_ml_local.client import in_process_client

            return in_process_client(self.handle, "s3")
        import boto3

        region = boto3.session.Session().region_name or "us-east-1"
        client: BaseClient = boto3.client("s3", endpoint_url=self._elsewhere, region_name=region)
        return client

    def reset(self) -> None:
        """Empty moto and what is stored of it; another S3 stays as it is.

        :raises DataFolderError: when what is stored cannot be changed
        """
        with self.loading:
            self._buckets = ()
            self._objects.clear()
            self._empty()
            if self._store:
                self._store.clear()

    def close(self) -> None:
        """Empty moto, whose state belongs to the whole process, and refuse every later request."""
        with self.loading, writing:
            self._empty()
            self._app, self.loaded = _ended, True

    def _empty(self) -> None:
        if self._app:
            self._send(Request("POST", "/moto-api/reset", {"Host": "localhost"}, b""))

    def put(self, objects: Mapping[str, bytes], buckets: Sequence[str] = ()) -> None:
        """Put objects into S3, and create their buckets and the given ones.

        :raises StorageError: when S3 refuses one
        """
        client = self.s3_client()
        for bucket in dict.fromkeys([*buckets, *(split(uri)[0] for uri in objects)]):
            _make_bucket(client, bucket)
        storage = S3Storage(lambda: client)
        for uri, body in objects.items():
            storage.write(uri, body)

    def _load(self) -> None:
        """Load and fill moto at the first call; others wait until that is done."""
        if self.loaded:
            return
        with self.loading:
            if self._app is None:
                self._app = _moto()  # first, since filling it sends requests that come here again
                self._fill_or_unload()
                self.loaded = True

    def _fill_or_unload(self) -> None:
        """Fill moto with what is there from the start; if that fails, the next request loads and fills it again."""
        try:
            if self._store:
                self._store.load()
            self._fill()
        except Exception:
            with suppress(Exception):  # moto may be what fails
                self._empty()  # what is half full
            self._app = None
            raise

    def _fill(self) -> None:
        if self._buckets or self._objects:
            self.put(self._objects, self._buckets)


def _make_bucket(client: Any, name: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name)
    except (BotoCoreError, ClientError) as error:
        raise StorageError(f"bucket {name} cannot be made: {error}") from None


def _ended(*_: object) -> NoReturn:
    """Refuse a request in place of moto, which may be another service's by now."""
    raise StorageError("The service has ended")


@cache
def _moto() -> Any:
    """Return moto's application: one for the process, as its state is, since each compiles all routes anew."""
    from moto.server import DomainDispatcherApplication  # type: ignore[attr-defined] # as below

    return DomainDispatcherApplication(_backend_app)


def _backend_app(service: Any) -> Any:
    """Return moto's application of a service, without Flask's debug mode, which keeps bodies in reference cycles."""
    from moto.server import create_backend_app  # type: ignore[attr-defined] # it imports it without naming it in __all__

    app = create_backend_app(service)
    app.debug, app.config["PROPAGATE_EXCEPTIONS"] = False, True
    return app


def _not_implemented(request: Request, message: str) -> Response:
    code = "NotImplementedException" if request.header("x-amz-target") else "NotImplemented"
    return refusal(request, ServiceError(code, message, NOT_IMPLEMENTED))


def _call(app: Callable[..., Any], request: Request) -> Response:
    from werkzeug.wrappers import Response as Answer

    answer = Answer.from_app(app, _environ(request), buffered=True)
    return Response(answer.status_code, dict(answer.headers.items()), answer.get_data())


def _environ(request: Request) -> dict[str, Any]:
    """Return the request as a WSGI environment."""
    url = urlsplit(request.path)
    host, _, port = (request.header("host") or "localhost").partition(":")
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    return {
        **headers,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
        "QUERY_STRING": url.query,
        "RAW_URI": request.path,
        "REQUEST_URI": request.path,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": request.header("content-type"),
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
