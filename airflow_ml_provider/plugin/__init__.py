"""A page in Airflow's UI (3.2 and newer) with the realtime endpoints that cost money."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_ml_provider.compat import VERSION

PREFIX = "/amazon-machine-learning"
HAS_PAGES = VERSION >= (3, 2)

log = logging.getLogger(__name__)


async def pages(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Serve the page's files as an ASGI application.

    The files hold no data: the browser gets that from Airflow's API with the user's own session. The import stands
    inside, so that only the api-server pays for it.
    """
    from starlette.staticfiles import StaticFiles

    await StaticFiles(directory=Path(__file__).parent / "static", html=True)(scope, receive, send)


class AmazonMachineLearningPlugin(AirflowPlugin):
    """Add the page to the menu "Browse"."""

    name = "amazon_machine_learning"
    if HAS_PAGES:
        fastapi_apps = [{"app": pages, "url_prefix": PREFIX, "name": "Amazon ML endpoints"}]
        external_views = [
            {
                "name": "Amazon ML endpoints",
                "href": f"{PREFIX}/",
                "destination": "nav",
                "category": "browse",
                "url_route": "amazon-ml-endpoints",
            }
        ]

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Log on an older Airflow that the page is not available."""
        if not HAS_PAGES:
            log.info("The page of Amazon ML endpoints is not available: it needs Airflow 3.2 or newer.")
