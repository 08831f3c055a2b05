"""Links on a task's page in Airflow, and the URLs that they open."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlsplit

from airflow_ml_provider.compat import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_ml_provider.compat import BaseOperator, TaskInstanceKey
    from airflow_ml_provider.resources import ResourceKind

CONSOLE = "https://console.aws.amazon.com/machinelearning/home?region={region}#/{page}"
# As two public programs link to them; AWS documents none. What has no page here opens the console's first page.
CONSOLE_PAGES: dict[ResourceKind, str] = {
    "DataSource": "insights/{id}/summary",
    "MLModel": "predictor-insight/{id}?tabId=summary",
    "RealtimeEndpoint": "predictor-insight/{id}?tabId=summary",
}
S3_CONSOLE = "https://s3.console.aws.amazon.com/s3/"
S3_OBJECT = S3_CONSOLE + "object/{bucket}?region={region}&prefix={key}"
S3_FOLDER = S3_CONSOLE + "buckets/{bucket}?region={region}&prefix={key}"


class MachineLearningLink(BaseOperatorLink):
    """Open the URL that a task has put into XCom; without one the link is not shown as active.

    A kind of link is a class with a ``name`` and a ``key``. It stands in ``LINKS``, which provider info lists: Airflow
    2.11 drops any other. On Airflow 3 the UI reads the XCom of that ``key`` too, so that the link is there from the
    moment when the task pushes it, whatever becomes of the task.
    """

    key: ClassVar[str]

    @property
    def xcom_key(self) -> str:
        """The XCom that Airflow 3's UI reads."""
        return self.key

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL, empty when the task has not got that far."""
        from airflow_ml_provider.compat import XCom

        return str(XCom.get_value(key=self.key, ti_key=ti_key) or "")


class ResourceLink(MachineLearningLink):
    """Open the page of what a task works at: in AWS's console, or of Amazon ML Local."""

    name = "Amazon Machine Learning"
    key = "ResourceUrl"


class OutputLink(MachineLearningLink):
    """Open what a task writes to S3: in AWS's console, or at the endpoint that stands in for S3."""

    name = "Output in S3"
    key = "OutputUrl"


class EvaluationReportLink(MachineLearningLink):
    """Open the page of an evaluation report."""

    name = "Evaluation report"
    key = "ReportUrl"


LINKS: tuple[type[MachineLearningLink], ...] = (ResourceLink, OutputLink, EvaluationReportLink)


def is_aws(endpoint_url: str) -> bool:
    """Return whether calls to an endpoint reach AWS, and not a service that stands in for it."""
    return (urlsplit(endpoint_url).hostname or "").endswith(".amazonaws.com")


def without_user(endpoint_url: str) -> str:
    """Return an endpoint's URL with no user, password, query or slash at its end: links are no place for secrets."""
    parts = urlsplit(endpoint_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def resource_url(kind: ResourceKind, resource_id: str, endpoint_url: str, region: str) -> str:
    """Return the URL of the page of a data source, model, evaluation, batch prediction or endpoint.

    :param kind: which of them; an endpoint has its model's page.
    :param resource_id: its id.
    :param endpoint_url: where the client of Amazon Machine Learning sends its calls.
    :param region: the client's region.
    """
    page_id = quote(resource_id, safe="")
    if is_aws(endpoint_url):
        return CONSOLE.format(region=region, page=CONSOLE_PAGES.get(kind, "").format(id=page_id))
    page = "MLModel" if kind == "RealtimeEndpoint" else kind
    return f"{without_user(endpoint_url)}/_local/{page}/{page_id}"


def object_url(uri: str, endpoint_url: str, region: str) -> str:
    """Return the URL that shows an object in S3, or what a folder holds.

    It is in AWS's console, or at the endpoint that stands in for AWS.

    :param uri: as ``s3://bucket/key``; with a slash at its end it is a folder.
    :param endpoint_url: where the client of S3 sends its calls.
    :param region: the client's region.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    is_folder = not key or key.endswith("/")
    if is_aws(endpoint_url):
        pattern = S3_FOLDER if is_folder else S3_OBJECT
        return pattern.format(bucket=bucket, region=region, key=quote(key, safe=""))
    path = f"?prefix={quote(key, safe='')}" if is_folder else f"/{quote(key)}"
    return f"{without_user(endpoint_url)}/{bucket}{path}"
