"""Report the realtime endpoints that cost money now, and delete the forgotten ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from airflow_ml_provider.compat import AirflowException, is_run_active
from airflow_ml_provider.operators.base import AWS_FIELDS, MachineLearningBase
from airflow_ml_provider.prices import PRICE_PER_10_MB

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from airflow_ml_provider.payloads import EndpointClaim, EndpointsReport, ReportedEndpoint, UnreachedRegion

COLUMNS = ("AwsConnId", "RegionName", "MLModelId", "EndpointStatus", "Hours", "Cost", "Task", "Action")


class MachineLearningEndpointsReportOperator(MachineLearningBase):
    """Report every realtime endpoint that costs money now, and delete the forgotten ones if asked to.

    Logs the report as a table, and returns it: ``ReportedAt``, ``Endpoints`` (each with its connection, region, model,
    status, hours, price, cost so far, the Dag, task and run that created it where its tag says so, and the ``Claims``
    of all tasks that use it), ``Unreached`` (the connections and regions that failed, and why), and the totals
    ``HourlyPrice`` and ``Cost`` in US dollars. A connection that fails does not stop the others.

    :param aws_conn_ids: the Airflow connections to list with; default is ``aws_conn_id`` alone (templated).
    :param region_names: the AWS regions to list; default is ``region_name``, else the connection's (templated).
    :param max_age: the age from which an endpoint is marked as forgotten; None marks none.
    :param delete_older_than: the age from which an endpoint is deleted; None deletes none. An endpoint whose tag names
        a run that is queued or running in this Airflow is kept, and so is one whose tag has the names only in part; a
        run that this Airflow does not know counts as ended.
    :param keep_ml_model_ids: models whose endpoints are never deleted (templated).
    :param is_dry_run: whether to report what ``delete_older_than`` would delete, and delete nothing.
    :param price_per_10_mb: US dollars an hour for each 10 MB of a model. The default is a third party's figure.
    :raises AirflowException: when every connection failed, or an endpoint could not be deleted.
    """

    template_fields: Sequence[str] = ("aws_conn_ids", "region_names", "keep_ml_model_ids", *AWS_FIELDS)

    def __init__(
        self,
        *,
        aws_conn_ids: Sequence[str] | None = None,
        region_names: Sequence[str] | None = None,
        max_age: timedelta | None = None,
        delete_older_than: timedelta | None = None,
        keep_ml_model_ids: Collection[str] = (),
        is_dry_run: bool = True,
        price_per_10_mb: float = PRICE_PER_10_MB,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.aws_conn_ids = aws_conn_ids
        self.region_names = region_names
        self.max_age = max_age
        self.delete_older_than = delete_older_than
        self.keep_ml_model_ids = keep_ml_model_ids
        self.is_dry_run = is_dry_run
        self.price_per_10_mb = price_per_10_mb

    def execute(self, context: Context) -> EndpointsReport:
        endpoints: list[ReportedEndpoint] = []
        unreached: list[UnreachedRegion] = []
        pairs = self.connections_and_regions()
        for pair in pairs:
            try:
                hook = self.hook_for(*pair)
                for endpoint in self.list_endpoints(hook):
                    reported = self.keep_or_delete(context, hook, endpoint)
                    endpoints.append(reported)  # one by one, so that an error leaves those before it in the report
            except Exception as error:
                unreached.append(self.unreached(*pair, error))
        report: EndpointsReport = {
            "ReportedAt": datetime.now(UTC).isoformat(timespec="seconds"),
            "Endpoints": endpoints,
            "Unreached": unreached,
            "HourlyPrice": round(sum(one["HourlyPrice"] for one in endpoints), 6),
            "Cost": round(sum(one["Cost"] for one in endpoints), 4),
        }
        self.log_table(report)
        self.raise_for_failures(report, len(pairs))
        return report

    def connections_and_regions(self) -> list[tuple[str | None, str | None]]:
        """Return every pair of a connection and a region."""
        aws_conn_ids: Sequence[str | None] = self.aws_conn_ids or [self.aws_conn_id]
        region_names: Sequence[str | None] = self.region_names or [self.region_name]
        return list(product(aws_conn_ids, region_names))

    def hook_for(self, aws_conn_id: str | None, region_name: str | None) -> MachineLearningHook:
        """Return the hook for a connection and region."""
        from airflow_ml_provider.hooks.machine_learning import MachineLearningHook

        config = cast("dict[str, object] | None", self.botocore_config)
        return MachineLearningHook(aws_conn_id, region_name, self.verify, config)

    def list_endpoints(self, hook: MachineLearningHook) -> list[ReportedEndpoint]:
        """Return the endpoints of one connection and region, with the forgotten ones marked."""
        found = cast("list[ReportedEndpoint]", hook.realtime_endpoints(price_per_10_mb=self.price_per_10_mb))
        for endpoint in found:
            endpoint["Forgotten"] = _is_older(endpoint, self.max_age)
        return found

    def keep_or_delete(
        self, context: Context, hook: MachineLearningHook, endpoint: ReportedEndpoint
    ) -> ReportedEndpoint:
        """Delete the endpoint if it is old enough, unless ``keep_ml_model_ids`` names it or its run is not over.

        :returns: the endpoint with ``Action`` and, where it is old enough, ``Reason``.
        """
        endpoint["Action"] = "kept"
        if not _is_older(endpoint, self.delete_older_than):
            return endpoint
        if endpoint["MLModelId"] in self.keep_ml_model_ids:
            return {**endpoint, "Reason": "keep_ml_model_ids names it"}
        for claim in endpoint["Claims"]:
            if reason := _reason_to_keep(context, claim):
                return {**endpoint, "Reason": reason}
        if self.is_dry_run:
            return {**endpoint, "Action": "to delete", "Reason": "is_dry_run"}
        return self.delete(hook, endpoint)

    def delete(self, hook: MachineLearningHook, endpoint: ReportedEndpoint) -> ReportedEndpoint:
        """Delete the endpoint, unless another one has been created in its place since it was listed."""
        try:
            now = hook.get_realtime_endpoint(endpoint["MLModelId"])
            if now.get("CreatedAt", "") != endpoint["CreatedAt"]:
                return {**endpoint, "Reason": "another endpoint has been created in its place"}
            hook.delete_realtime_endpoint(endpoint["MLModelId"])
        except Exception as error:
            return {**endpoint, "Action": "not deleted", "Reason": f"{type(error).__name__}: {error}"}
        return {**endpoint, "Action": "deleted", "Reason": f"older than {self.delete_older_than}"}

    def unreached(self, aws_conn_id: str | None, region_name: str | None, error: Exception) -> UnreachedRegion:
        """Log why a connection and region failed, and return it for the report."""
        self.log.warning("Connection %s, region %s: %s", aws_conn_id, region_name or "default", error)
        return {"AwsConnId": aws_conn_id, "RegionName": region_name, "Message": f"{type(error).__name__}: {error}"}

    def log_table(self, report: EndpointsReport) -> None:
        """Log the report as a table."""
        rows = [COLUMNS, *(_row(endpoint) for endpoint in report["Endpoints"])]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        self.log.info(
            "%d realtime endpoint(s) cost $%.3f an hour, $%.2f so far (a third party's prices)\n%s",
            len(report["Endpoints"]),
            report["HourlyPrice"],
            report["Cost"],
            "\n".join(lines),
        )

    def raise_for_failures(self, report: EndpointsReport, pair_count: int) -> None:
        """Raise AirflowException when every connection and region failed, or an endpoint could not be deleted."""
        if len(report["Unreached"]) == pair_count:
            raise AirflowException("; ".join(one["Message"] for one in report["Unreached"]))
        left = [one for one in report["Endpoints"] if one.get("Action") == "not deleted"]
        if left:
            named = "; ".join(f"{one['MLModelId']} in {one['RegionName']}: {one['Reason']}" for one in left)
            raise AirflowException(f"Not deleted, and still costing money: {named}")


def _reason_to_keep(context: Context, claim: EndpointClaim) -> str:
    """Return why the endpoint must be kept for a task that has created it or uses it; empty if its run is over."""
    run = f"run {claim['RunId']} of Dag {claim['DagId']}"
    if not claim["NamesAreWhole"]:
        return f"its tag has the names of {run} only in part, so Airflow cannot say whether that is over"
    return f"{run} is not over" if is_run_active(context, claim["DagId"], claim["RunId"]) else ""


def _is_older(endpoint: ReportedEndpoint, age: timedelta | None) -> bool:
    return age is not None and endpoint["Hours"] * 3600 >= age.total_seconds()


def _row(endpoint: ReportedEndpoint) -> tuple[str, ...]:
    task = f"{endpoint['DagId']}.{endpoint['TaskId']} {endpoint['RunId']}" if "DagId" in endpoint else "unknown"
    action: str = endpoint.get("Action", "kept")
    if endpoint.get("Forgotten"):
        action = f"{action}, forgotten"
    if reason := endpoint.get("Reason"):
        action = f"{action}: {reason}"
    return (
        endpoint["AwsConnId"] or "(boto3's own)",
        endpoint["RegionName"],
        endpoint["MLModelId"],
        endpoint["EndpointStatus"],
        f"{endpoint['Hours']:.1f}",
        f"${endpoint['Cost']:.2f}",
        task,
        action,
    )
