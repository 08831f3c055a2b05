"""Pages for a browser that show the entities of the service. They change nothing, and need no script."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from amazon_ml_local.entities import KINDS
from amazon_ml_local.learning import LearningError
from amazon_ml_local.learning.log import silent
from amazon_ml_local.processes import Processes
from amazon_ml_local.protocol import Response
from amazon_ml_local.serving.pages.entity import entity_page
from amazon_ml_local.serving.pages.evaluation import DRAWN, shown_threshold
from amazon_ml_local.serving.pages.index import index_page
from amazon_ml_local.serving.pages.markup import document, element
from amazon_ml_local.views import result

if TYPE_CHECKING:
    from amazon_ml_local.entities import Entity
    from amazon_ml_local.protocol import Request
    from amazon_ml_local.service import AmazonMLLocal

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
SIGNATURES = ("X-Amz-Signature", "Signature")  # of URLs that S3 clients have signed
CHARTS_KEPT = 64


class PageError(Exception):
    """Raised when a page does not exist; the message says what is missing."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.NOT_FOUND) -> None:
        super().__init__(message)
        self.status = status


class Pages:
    """Answer requests for pages."""

    def __init__(self, service: AmazonMLLocal) -> None:
        self.service = service
        self._drawing = Processes()  # its own, so that charts wait for no training
        self._chart = lru_cache(CHARTS_KEPT)(self._draw_chart)

    def handle(self, request: Request) -> Response | None:
        """Return the response to a request for a page; None for a request for anything else."""
        if request.method not in ("GET", "HEAD") or request.credential:  # a signed one is for S3
            return None
        url = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        steps = [unquote(step) for step in url.path.split("/")[1:]]
        try:
            return self._answer(request, steps, query)
        except PageError as error:
            page = document(error.status.phrase, element("p", str(error)))
            return _response(page, status=error.status)

    def _answer(self, request: Request, steps: list[str], query: dict[str, str]) -> Response | None:
        url = f"{request.scheme}://{request.header('host') or 'localhost'}"
        match steps:
            # S3's list of buckets is at "/" too: a page is for who accepts HTML and has not signed the URL.
            case [""] if "text/html" in request.header("accept") and not query.keys() & set(SIGNATURES):
                return _response(index_page(self.service, url))
            case ["_local", "page.css"]:
                return _response((files(__package__) / "page.css").read_bytes(), "text/css")
            case ["_local", kind, entity_id] if kind in KINDS:
                region, entity = self._entity(kind, entity_id, query.get("region"))
                return _response(entity_page(self.service, region, entity, url, _threshold(query)))
            case ["_local", "Evaluation", entity_id, "chart.svg"]:
                _, entity = self._entity("Evaluation", entity_id, query.get("region"))
                chart = self._chart(entity.sequence, shown_threshold(entity, _threshold(query)))
                return _response(chart, "image/svg+xml", SVG_POLICY)
        return None

    def _entity(self, kind: str, entity_id: str, wanted_region: str | None) -> tuple[str, Entity]:
        """Return the entity of that id, with the name of its region: the wanted one, or the first that has the id."""
        for name, region in self.service.state.regions():
            if wanted_region in (None, name) and (entity := region.find(kind, entity_id)):
                return name, entity
        where = f" in the region {wanted_region}" if wanted_region else ""
        raise PageError(f"There is no {kind} with the id {entity_id}{where}.")

    def _draw_chart(self, sequence: int, threshold: float) -> bytes:
        entity = self.service.state.numbered(sequence)
        evaluated = result(entity, self.service.clock.now()) if entity else None
        is_drawn = entity is not None and entity.inputs[0].parameters["MLModelType"] in DRAWN
        if not is_drawn or not evaluated or not evaluated.counts:
            raise PageError("This evaluation has nothing to draw.")
        try:
            owner = object()  # nobody kills a drawing
            chart: bytes = self._drawing.run(owner, "draw", (evaluated.counts, threshold), silent)
        except (LearningError, ModuleNotFoundError) as error:
            raise PageError(str(error), HTTPStatus.SERVICE_UNAVAILABLE) from error
        return chart


def _threshold(query: dict[str, str]) -> float | None:
    if "threshold" not in query:
        return None
    try:
        threshold = float(query["threshold"])
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 1:
        raise PageError(f"threshold must be a number in 0..1, not {query['threshold']!r}.", HTTPStatus.BAD_REQUEST)
    return threshold


def _response(
    body: bytes, content_type: str = "text/html", policy: str = POLICY, status: HTTPStatus = HTTPStatus.OK
) -> Response:
    headers = {
        "Content-Type": f"{content_type}; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Response(status, headers, body)
