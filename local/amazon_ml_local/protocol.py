"""AWS's JSON protocol: parse requests and write responses, by botocore's service model."""

from __future__ import annotations

import json
import re
import struct
import uuid
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

from amazon_ml_local.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

Parameters = dict[str, Any]  # the members of a request or an answer, as the service model types them

CONTENT_TYPE = "application/x-amz-json-1.1"
MOST_BYTES = 1024 * 1024
MOST_CHARACTERS = 2048  # of an error's message, by the service model
CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")


@dataclass(frozen=True)
class Request:
    """One HTTP request; ``path`` includes the query string."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    scheme: str = "http"

    def header(self, name: str) -> str:
        """Return a header's value by its name in any case; ``""`` if there is none."""
        return self._headers.get(name.lower(), "")

    @cached_property
    def credential(self) -> Credential | None:
        """The credential of the signature, or None if the request is not signed."""
        found = CREDENTIAL.search(self.header("authorization"))
        return Credential(*found.groups()) if found else None

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}


@dataclass(frozen=True)
class Response:
    """One HTTP response; with ``reset`` the connection is reset instead."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    reset: bool = False


@dataclass(frozen=True)
class Credential:
    """The access key of a signature, and the region and service that it is for."""

    access_key: str
    region: str
    service: str


@cache
def service_model() -> ServiceModel:
    """Load botocore's model of Amazon Machine Learning."""
    from botocore.loaders import create_loader
    from botocore.model import ServiceModel

    return ServiceModel(create_loader().load_service_model("machinelearning", "service-2"), "machinelearning")


@cache
def operation_model(name: str) -> OperationModel | None:
    """Return the model of the operation ``name``, or None if the service has no such operation."""
    model = service_model()
    return model.operation_model(name) if name in model.operation_names else None


def input_of(operation: OperationModel) -> Shape:
    """Return the shape of an operation's request."""
    assert operation.input_shape, f"{operation.name} takes nothing"
    return operation.input_shape


def output_of(operation: OperationModel) -> Shape:
    """Return the shape of an operation's answer."""
    assert operation.output_shape, f"{operation.name} answers nothing"
    return operation.output_shape


def operation_of(request: Request) -> OperationModel:
    """Return the operation in the ``X-Amz-Target`` of ``request``.

    :raises ServiceError: UnknownOperationException
    """
    prefix, _, name = request.header("x-amz-target").partition(".")
    operation = operation_model(name) if prefix == service_model().metadata["targetPrefix"] else None
    if request.method != "POST" or operation is None:
        raise ServiceError("UnknownOperationException", "The requested operation is not known to the service.")
    return operation


def check_envelope(request: Request) -> Credential:
    """Check content type, size and signature header of ``request``, and return its credential.

    Signatures are not verified.

    :raises ServiceError: MissingAuthenticationTokenException, IncompleteSignatureException, SerializationException,
        RequestEntityTooLargeException
    """
    if not request.header("authorization"):
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
    credential = request.credential
    if credential is None:
        raise ServiceError(
            "IncompleteSignatureException", "Authorization header has no Signature Version 4 credential.", 403
        )
    if request.header("content-type").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise ServiceError("SerializationException", f"The content type must be {CONTENT_TYPE}")
    if len(request.body) > MOST_BYTES:
        raise ServiceError("RequestEntityTooLargeException", f"The body is larger than {MOST_BYTES} bytes", 413)
    return credential


def parameters_of(request: Request) -> Parameters:
    """Return the members in the body of ``request``.

    :raises ServiceError: SerializationException
    """
    try:
        parameters = json.loads(request.body or b"{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ServiceError("SerializationException", "The body is not a JSON document") from None
    if not isinstance(parameters, dict):
        raise ServiceError("SerializationException", "The body must be a JSON object")
    return parameters


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def without_secrets(shape: Shape, value: Any) -> Any:
    """Return the members of ``value`` that ``shape`` has, with sensitive ones masked."""
    if shape.metadata.get("sensitive"):
        return "****"
    if shape.type_name == "structure" and isinstance(value, dict):
        members = cast("StructureShape", shape).members
        return {k: without_secrets(members[k], v) for k, v in value.items() if k in members and v is not None}
    return value


def serialise(shape: Shape, value: Any) -> Any:
    """Return ``value`` as JSON types, without members that ``shape`` does not have or that are None."""
    of_type = SERIALISED.get(shape.type_name, _as_it_is)
    return SERIALISED.get(shape.name, of_type)(shape, value)


def _structure(shape: StructureShape, value: Parameters) -> Parameters:
    members = shape.members
    return {k: serialise(members[k], v) for k, v in value.items() if v is not None and k in members}


def _list(shape: ListShape, value: list[Any]) -> list[Any]:
    return [serialise(shape.member, item) for item in value]


def _map(shape: MapShape, value: Parameters) -> Parameters:
    return {k: serialise(shape.value, v) for k, v in value.items()}


def _shortest_float32(shape: Shape, value: float) -> float:
    """Return the float with the fewest digits that rounds to the same 32-bit number."""
    wanted = struct.pack("f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in range(6, 9))
    return next((c for c in candidates if struct.pack("f", c) == wanted), float(f"{value:.9g}"))  # 9 always suffice


def _widened_float32(shape: Shape, value: float) -> float:
    """Return the nearest 32-bit number as a double, as AWS's Predict was seen to answer: 0.47380468249320984."""
    widened: float = struct.unpack("f", struct.pack("f", value))[0]
    return widened


def _milliseconds(shape: Shape, value: float) -> float:
    return round(value, 3)


def _as_it_is(shape: Any, value: Any) -> Any:
    return value


# By the name of a shape, or else by its type.
SERIALISED: dict[str, Callable[[Any, Any], Any]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "float": _shortest_float32,
    "timestamp": _milliseconds,
    "ScoreValue": _widened_float32,
    "floatLabel": _widened_float32,
}


def answer(status: int, body: Parameters) -> Response:
    """Return a response with ``body`` as JSON."""
    return raw_answer(status, json.dumps(body, separators=(",", ":")).encode())


def raw_answer(status: int, body: bytes, reset: bool = False) -> Response:
    """Return a response with any bytes as its body; with ``reset`` the connection is reset instead."""
    headers = {"x-amzn-RequestId": str(uuid.uuid4()), "Content-Type": CONTENT_TYPE}
    return Response(status, headers, body, reset)


def error_answer(error: ServiceError) -> Response:
    """Return the response for ``error``."""
    return answer(error.status, {"__type": error.code, "message": error.message[:MOST_CHARACTERS]})
