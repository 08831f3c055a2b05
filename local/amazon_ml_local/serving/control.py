"""The levers over HTTP: clock, durations, faults and the rest, as JSON under ``/_local``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from amazon_ml_local.data_folder import DataFolderError
from amazon_ml_local.protocol import Response
from amazon_ml_local.views import LOGS

if TYPE_CHECKING:
    from amazon_ml_local.protocol import Parameters, Request
    from amazon_ml_local.service import AmazonMLLocal

NUMBER = (int, float)
# The members that bodies may have, and the types of their values.
CLOCK = {"frozen": (bool,), "speed": NUMBER, "advance": NUMBER}
FAULT = {
    "kind": (str,), "operation": (str, type(None)), "count": (int, type(None)), "probability": NUMBER,
    "seed": (int,), "when": (str,), "seconds": NUMBER, "code": (str,), "message": (str,), "status": (int,),
}  # fmt: skip
SHOWN_OF_FAULTS = ("kind", "operation", "left", "when", "probability", "seconds")
FAILURE = {"kind": (str,), "id": (str,), "message": (str,)}


class ControlError(ValueError):
    """Raised for a request to the control API that is not allowed; the message says why."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """Answer requests to the control API."""

    def __init__(self, service: AmazonMLLocal, empty_s3: Callable[[], None]) -> None:
        self.service, self._empty_s3 = service, empty_s3
        self._routes: dict[tuple[str, str], Callable[[Parameters], Any]] = {
            ("GET", "/_local"): lambda _: state_of(service),
            ("GET", "/_local/health"): lambda _: {"status": "ok"},
            ("POST", "/_local/reset"): self._reset,
            ("POST", "/_local/clock"): self._clock,
            ("POST", "/_local/durations"): self._durations,
            ("POST", "/_local/schedule"): self._schedule,
            ("POST", "/_local/rate"): self._rate,
            ("POST", "/_local/failures"): self._fail,
            ("POST", "/_local/faults"): self._fault,
            ("DELETE", "/_local/faults"): lambda _: self.service.faults.clear(),
            ("GET", "/_local/requests"): lambda _: [asdict(received) for received in self.service.requests],
            ("DELETE", "/_local/requests"): lambda _: self.service.requests.clear(),
        }

    def handle(self, request: Request) -> Response:
        """Return the response: what a GET asks for, the state after a change, or an error with the reason."""
        try:
            if request.method == "GET" and request.path.startswith(LOGS):
                return self._job_log(request.path.removeprefix(LOGS))
            route = self._route(request)
            body = _body(request) if request.method == "POST" else {}
            result = route(body)
            if request.method != "GET":
                self.service.save()
        except ControlError as error:
            return _json(error.status, {"error": str(error)})
        except DataFolderError as error:
            return _json(HTTPStatus.INSUFFICIENT_STORAGE, {"error": str(error)})
        except (ValueError, OverflowError) as error:  # what a lever refuses; an integer that no float can hold
            return _json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        return _json(HTTPStatus.OK, state_of(self.service) if result is None else result)

    def _job_log(self, number: str) -> Response:
        """Return the log of a job, which is what its entity's LogUri opens."""
        entity = self.service.state.numbered(int(number)) if number.isdecimal() else None
        if entity is None:
            raise ControlError(f"no job {number}: its entity is not there any more", HTTPStatus.NOT_FOUND)
        lines = [f"{entity.kind.name} {entity.id}", *entity.log.lines]
        return Response(HTTPStatus.OK, {"Content-Type": "text/plain; charset=utf-8"}, "\n".join([*lines, ""]).encode())

    def _route(self, request: Request) -> Callable[[Parameters], Any]:
        path = request.path.rstrip("/")
        if route := self._routes.get((request.method, path)):
            return route
        known = ", ".join(f"{method} {known}" for method, known in self._routes)
        raise ControlError(f"no {request.method} {path}; there are {known}", HTTPStatus.NOT_FOUND)

    def _reset(self, body: Parameters) -> None:
        _check(body, {})
        self.service.reset()
        self._empty_s3()

    def _clock(self, body: Parameters) -> None:
        _check(body, CLOCK)
        clock = self.service.clock
        if "frozen" in body:
            clock.freeze() if body["frozen"] else clock.resume()
        if "speed" in body:
            clock.set_speed(body["speed"])
        if "advance" in body:
            clock.advance(body["advance"])

    def _durations(self, body: Parameters) -> None:
        self.service.durations.set(**body)

    def _schedule(self, body: Parameters) -> None:
        _check(body, {"ready_after_polls": (int, type(None))}, required=("ready_after_polls",))
        self.service.ready_after_polls(body["ready_after_polls"])

    def _rate(self, body: Parameters) -> None:
        _check(body, {"peak_requests_per_second": (int,)}, required=("peak_requests_per_second",))
        self.service.peak_requests_per_second = body["peak_requests_per_second"]

    def _fail(self, body: Parameters) -> None:
        _check(body, FAILURE, required=("kind", "id"))
        self.service.fail(body["kind"], body["id"], **({"message": body["message"]} if "message" in body else {}))

    def _fault(self, body: Parameters) -> None:
        _check(body, FAULT, required=("kind",))
        self.service.faults.add(**body)


def state_of(service: AmazonMLLocal) -> Parameters:
    """Return the settings of all levers, and the number of logged requests."""
    clock = {"now": service.clock.now(), "frozen": service.clock.frozen, "speed": service.clock.speed}
    faults = [{name: getattr(fault, name) for name in SHOWN_OF_FAULTS} for fault in service.faults]
    failures = [
        {"kind": kind, "id": id, "message": message} for (kind, id), message in service.state.failures().items()
    ]
    return {
        "clock": clock,
        "durations": asdict(service.durations),
        "ready_after_polls": service.state.polls_needed,
        "peak_requests_per_second": service.peak_requests_per_second,
        "faults": faults,
        "failures": failures,
        "requests": len(service.requests),
    }


def _body(request: Request) -> Parameters:
    # A page in a browser can post other content types to this machine without asking, but not this one.
    if request.header("content-type").partition(";")[0].strip() != "application/json":
        raise ControlError("the content type must be application/json", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ControlError("the body must be a JSON object")
    return body


def _check(body: Parameters, allowed: Mapping[str, tuple[type, ...]], required: tuple[str, ...] = ()) -> None:
    """Raise ControlError for a member that is unknown, missing or of a type that is not allowed."""
    for name, value in body.items():
        if name not in allowed:
            raise ControlError(f"no member {name!r}; there are {', '.join(allowed)}")
        if not isinstance(value, allowed[name]) or (isinstance(value, bool) and bool not in allowed[name]):
            raise ControlError(f"{name} cannot be {value!r}")
    if missing := [name for name in required if name not in body]:
        raise ControlError(f"{missing[0]} is missing")


def _json(status: HTTPStatus, body: Any) -> Response:
    return Response(status, {"Content-Type": "application/json"}, json.dumps(body).encode())
