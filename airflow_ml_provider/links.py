"""Links on a task's page in Airflow, and the URLs that they open."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlsplit

from airflow_ml_provider.compat import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_ml_provider.compat import BaseOperator, TaskInstanceKey
    from airflow_ml_provider.resources import ResourceKind

CONSOLE = "https://console.aws.amazon.com/machinelearning/home?region={region}#/{page}"
# As two public programs link to them; AWS documents no such URLs. Other kinds open the console's first page.
CONSOLE_PAGES: dict[ResourceKind, str] = {
    "DataSource": "insights/{id}/summary",
    "MLModel": "predictor-insight/{id}?tabId=summary",
    "RealtimeEndpoint": "predictor-insight/{id}?tabId=summary",
}
S3_CONSOLE = "https://s3.console.aws.amazon.com/s3/"
S3_OBJECT = S3_CONSOLE + "object/{bucket}?region={region}&prefix={key}"
S3_FOLDER = S3_CONSOLE + "buckets/{bucket}?region={region}&prefix={key}"


class MachineLearningLink(BaseOperatorLink):
    """Open the URL that a task has pushed to XCom; without one the link is inactive.

    Each subclass has a ``name`` and a ``key``, and is in ``LINKS`` and in the provider's description, since Airflow
    2.11 drops all other links. Airflow 3's UI reads the XCom itself, so the link is active as soon as the task has
    pushed it, and stays so if the task fails.
    """

    key: ClassVar[str]

    @property
    def xcom_key(self) -> str:
        """The XCom that Airflow 3's UI reads."""
        return self.key

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL; empty before the task has pushed it."""
        from airflow_ml_provider.compat import XCom

        return str(XCom.get_value(key=self.key, ti_key=ti_key) or "")


class ResourceLink(MachineLearningLink):
    """Open the page of the task's resource, in AWS's console or in Amazon ML Local."""

    name = "Amazon Machine Learning"
    key = "ResourceUrl"


class OutputLink(MachineLearningLink):
    """Open the task's output in S3, in AWS's console or at the configured endpoint override."""

    name = "Output in S3"
    key = "OutputUrl"


class EvaluationReportLink(MachineLearningLink):
    """Open the page of an evaluation report."""

    name = "Evaluation report"
    key = "ReportUrl"


LINKS: tuple[type[MachineLearningLink], ...] = (ResourceLink, OutputLink, EvaluationReportLink)


def is_aws(endpoint_url: str) -> bool:
    """Return whether an endpoint URL leads to AWS, and not to a local service."""
    return (urlsplit(endpoint_url).hostname or "").endswith(".amazonaws.com")


def without_secrets(endpoint_url: str) -> str:
    """Return an endpoint's URL without user, password, query and trailing slash: a link must hold no secret."""
    parts = urlsplit(endpoint_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def resource_url(kind: ResourceKind, resource_id: str, endpoint_url: str, region: str) -> str:
    """Return the URL of a resource's page, in AWS's console or in Amazon ML Local.

    :param kind: the kind of resource; an endpoint has its model's page.
    :param resource_id: the resource's id, for an endpoint its model's.
    :param endpoint_url: where the client of Amazon Machine Learning sends its calls.
    :param region: the client's region.
    """
    page_id = quote(resource_id, safe="")
    if is_aws(endpoint_url):
        return CONSOLE.format(region=region, page=CONSOLE_PAGES.get(kind, "").format(id=page_id))
    page = "MLModel" if kind == "RealtimeEndpoint" else kind
    return f"{without_secrets(endpoint_url)}/_local/{page}/{page_id}"


def object_url(uri: str, endpoint_url: str, region: str) -> str:
    """Return the URL that shows an object or a folder in S3, in AWS's console or at the endpoint override.

    :param uri: as ``s3://bucket/key``; with a slash at its end it is a folder.
    :param endpoint_url: where the client of S3 sends its calls.
    :param region: the client's region.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    is_folder = not key or key.endswith("/")
    if is_aws(endpoint_url):
        page = S3_FOLDER if is_folder else S3_OBJECT
        return page.format(bucket=bucket, region=region, key=quote(key, safe=""))
    path = f"?prefix={quote(key, safe='')}" if is_folder else f"/{quote(key)}"
    return f"{without_secrets(endpoint_url)}/{bucket}{path}"
