"""Links on a task's page in Airflow, and the URLs that they open."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, urlsplit

from airflow_ml_provider.compat import BaseOperatorLink

if TYPE_CHECKING:
    from airflow_ml_provider.compat import BaseOperator, TaskInstanceKey

S3_CONSOLE = "https://s3.console.aws.amazon.com/s3/object/{bucket}?region={region}&prefix={key}"


class MachineLearningLink(BaseOperatorLink):
    """Open the URL that a task has put into XCom; without one the link is not shown as active.

    A kind of link is a class with a ``name`` and a ``key``. It stands in ``LINKS``, which provider info lists: Airflow
    2.11 drops any other.
    """

    key: ClassVar[str]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL, empty when the task has not got that far."""
        from airflow_ml_provider.compat import XCom

        return str(XCom.get_value(key=self.key, ti_key=ti_key) or "")


class EvaluationReportLink(MachineLearningLink):
    """Open the page of an evaluation report."""

    name = "Evaluation report"
    key = "ReportUrl"


LINKS: tuple[type[MachineLearningLink], ...] = (EvaluationReportLink,)


def object_url(uri: str, endpoint_url: str, region: str) -> str:
    """Return the URL that shows an object in S3: in AWS's console, or at the endpoint that stands in for AWS.

    :param uri: of the object, as ``s3://bucket/key``.
    :param endpoint_url: where the client of S3 sends its calls.
    :param region: the client's region.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    host = urlsplit(endpoint_url).hostname or ""
    if host.endswith(".amazonaws.com"):
        return S3_CONSOLE.format(bucket=bucket, region=region, key=quote(key, safe=""))
    return f"{endpoint_url.rstrip('/')}/{bucket}/{quote(key)}"
