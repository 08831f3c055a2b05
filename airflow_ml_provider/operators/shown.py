"""What Airflow shows of a task beside its log: links to its resource and output, extra of asset events, lineage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from airflow_ml_provider.compat import is_resumed
from airflow_ml_provider.links import MachineLearningLink, OutputLink, ResourceLink, object_url, resource_url
from airflow_ml_provider.resources import RESOURCES, ResourceKind

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import RunFacet

    from airflow_ml_provider.compat import BaseOperator, Context
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from airflow_ml_provider.lineage import Activity, Change
    from airflow_ml_provider.payloads import Description

    Mixin = BaseOperator
else:
    Mixin = object  # the classes that use it derive from BaseOperator themselves

Described = TypeVar("Described", bound=Mapping[str, object])
LINK_SECONDS = 5.0  # for the credentials of an assumed role, which the links are the first to need


class ShownTask(Mixin):
    """Show the resource that a task works on, and its output.

    A class declares ``operator_extra_links``, and overrides the methods below where they do not fit. A task passes
    each description that it gets of its resource to ``remember``.
    """

    remembered: Description = {}

    if TYPE_CHECKING:

        @cached_property
        def hook(self) -> MachineLearningHook: ...

        def resource_kind(self) -> ResourceKind:
            """Return the kind of resource that the task works on; every class with a ResourceLink has this method."""

    def find_resource_id(self, context: Context) -> str:
        """Return the id of the task's resource."""
        from airflow_ml_provider.service_model import argument_name

        return cast("str", getattr(self, argument_name(RESOURCES[self.resource_kind()].id_member)))

    def remember(self, described: Described) -> Described:
        """Keep a description of the task's resource for links, asset events and lineage, and return it."""
        self.remembered = {**self.remembered, **cast("Description", described)}
        return described

    def change(self) -> Change:
        """Return how the task changes its resource; empty when it only reads it."""
        return ""

    def source_locations(self) -> list[str]:
        """Return the URIs of the task's input in S3."""
        uri = getattr(self, "source_uri", None)
        return [uri] if uri else []

    def output_location(self) -> str | None:
        """Return the URI of the task's output in S3; None while it is not known."""
        return cast("str | None", self.remembered.get("OutputUri") or getattr(self, "output_uri", None))

    def pre_execute(self, context: Context) -> None:
        """Push the links first, so that they are there while the task waits, and when it fails.

        A task that resumes after a deferral has pushed them already.
        """
        super().pre_execute(context)
        self.remembered = {}
        if not is_resumed(context):
            self.push_links(context)

    def post_execute(self, context: Context, result: object = None) -> None:
        """Describe the outlets, and push the links again if the service has only now said where the output is."""
        super().post_execute(context, result)
        self.describe_outlets(context)
        if "OutputUri" in self.remembered:
            self.push_links(context)

    def describe_outlets(self, context: Context) -> None:
        """Put what the task remembers of its resource into the extra of its assets' events."""
        from airflow_ml_provider.compat import Asset

        if not self.remembered:
            return
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(self.remembered)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Dataset, RunFacet]:
        """Return the lineage of a task that succeeded; the OpenLineage provider calls this."""
        from airflow_ml_provider.lineage import lineage_of

        return lineage_of(self.activity(task_instance), self.hook)

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Dataset, RunFacet]:
        """Return the lineage of a task that failed, as far as it is known; the OpenLineage provider calls this."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def activity(self, task_instance: object) -> Activity:
        """Return what the task did; its arguments fill in the members that no description had."""
        from airflow_ml_provider.lineage import SOURCES, Activity
        from airflow_ml_provider.service_model import argument_name

        links = {type(link) for link in self.operator_extra_links}
        kind = self.resource_kind() if ResourceLink in links else None
        arguments = {member: getattr(self, argument_name(member), None) for member in SOURCES[kind]} if kind else {}
        change = self.change()
        # A task that only reads a batch prediction links to an output that another task has written.
        is_own_output = OutputLink in links and (kind != "BatchPrediction" or change)
        return Activity(
            kind=kind,
            id=self.find_resource_id(cast("Context", {"ti": task_instance})) if kind else "",
            change=change,
            known={**arguments, **self.remembered},
            inputs=self.source_locations(),
            output=self.output_location() if is_own_output else None,
        )

    def push_links(self, context: Context) -> None:
        """Push the URLs of the links, unless ``do_xcom_push`` is False; an error is logged and fails no task."""
        from airflow_ml_provider import transport

        if not self.do_xcom_push:
            return
        try:
            with transport.time_limit(LINK_SECONDS):
                for key, url in self.urls(context):
                    context["ti"].xcom_push(key=key, value=url)
        except Exception as error:
            self.log.debug("No link: %s", error)

    def urls(self, context: Context) -> Iterator[tuple[str, str]]:
        """Yield the key in XCom and the URL of each link that has one now."""
        for link in self.operator_extra_links:
            if isinstance(link, ResourceLink):
                meta = self.hook.one_attempt_client.meta
                url = resource_url(
                    self.resource_kind(), self.find_resource_id(context), meta.endpoint_url, meta.region_name
                )
                yield link.key, url
            elif isinstance(link, OutputLink) and (location := self.output_location()):
                meta = self.hook.s3.meta
                yield link.key, object_url(location, meta.endpoint_url, meta.region_name)


class ShownBatchPrediction(ShownTask):
    """Link to the results of a batch prediction, too."""

    operator_extra_links: Collection[MachineLearningLink] = (ResourceLink(), OutputLink())

    def output_location(self) -> str | None:
        """Return the folder below ``OutputUri`` in which AWS puts all results."""
        uri = super().output_location()
        return f"{uri.rstrip('/')}/batch-prediction/" if uri else None
