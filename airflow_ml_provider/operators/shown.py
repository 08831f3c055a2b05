"""What Airflow shows of a task beside its log: links to what it works at, the extra of asset events, lineage."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from airflow_ml_provider.compat import is_resumed
from airflow_ml_provider.links import MachineLearningLink, OutputLink, ResourceLink, object_url, resource_url
from airflow_ml_provider.resources import RESOURCES, ResourceName

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset
    from openlineage.client.facet_v2 import RunFacet

    from airflow_ml_provider.compat import BaseOperator, Context
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from airflow_ml_provider.lineage import Change, Worked
    from airflow_ml_provider.payloads import Description

    Mixin = BaseOperator
else:
    Mixin = object  # the classes that use it derive from BaseOperator themselves

Described = TypeVar("Described", bound=Mapping[str, object])
LINK_SECONDS = 5.0  # for the credentials of an assumed role, which the links are the first to need


class ShownTask(Mixin):
    """Show what a task works at.

    A class states ``operator_extra_links``, and where the rules below do not fit it: the kind of thing, its id, its
    output. A task states what the service said of it by ``saw``.
    """

    seen: Description = {}

    if TYPE_CHECKING:

        @cached_property
        def hook(self) -> MachineLearningHook: ...

        def thing(self) -> ResourceName:
            """Return the kind of thing that the task works at; a class with a ResourceLink has one."""

    def thing_id(self, context: Context) -> str:
        """Return the id of what the task works at."""
        from airflow_ml_provider.service_model import argument_name

        return cast("str", getattr(self, argument_name(RESOURCES[self.thing()].id_member)))

    def saw(self, described: Described) -> Described:
        """Record what is known of what the task works at, and return it."""
        self.seen = {**self.seen, **cast("Description", described)}
        return described

    def change(self) -> Change:
        """Return what the task does to the thing; empty when it only reads it."""
        return ""

    def source_locations(self) -> list[str]:
        """Return where in S3 the task's input is."""
        uri = getattr(self, "source_uri", None)
        return [uri] if uri else []

    def output_location(self) -> str | None:
        """Return where in S3 the task's output is; None while that is not known."""
        return cast("str | None", self.seen.get("OutputUri") or getattr(self, "output_uri", None))

    def pre_execute(self, context: Context) -> None:
        """Push the links before anything else happens, so that they are there while a task waits, and if it fails."""
        super().pre_execute(context)
        self.seen = {}
        if not is_resumed(context):
            self.push_links(context)

    def post_execute(self, context: Context, result: object = None) -> None:
        """Describe the outlets, and push the links once more when only the service knew where the output is."""
        super().post_execute(context, result)
        self.describe_outlets(context)
        if "OutputUri" in self.seen:
            self.push_links(context)

    def describe_outlets(self, context: Context) -> None:
        """Put what is known of what the task works at into the extra of its assets' events."""
        from airflow_ml_provider.compat import Asset

        for outlet in self.outlets if self.seen else ():
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(self.seen)

    def get_openlineage_facets_on_complete(self, task_instance: object) -> OperatorLineage[Dataset, RunFacet]:
        """Return what the OpenLineage provider asks for after a success."""
        from airflow_ml_provider.lineage import lineage_of

        return lineage_of(self.worked(task_instance), self.hook)

    def get_openlineage_facets_on_failure(self, task_instance: object) -> OperatorLineage[Dataset, RunFacet]:
        """Return what the OpenLineage provider asks for after a failure: what is known then."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def worked(self, task_instance: object) -> Worked:
        """Return what the task has worked at; of the arguments what they say, where the service has said nothing."""
        from airflow_ml_provider.lineage import SOURCES, Worked
        from airflow_ml_provider.service_model import argument_name

        links, change = {type(link) for link in self.operator_extra_links}, self.change()
        kind = self.thing() if ResourceLink in links else None
        arguments = {member: getattr(self, argument_name(member), None) for member in SOURCES[kind]} if kind else {}
        is_written = OutputLink in links and (change or kind != "BatchPrediction")
        return Worked(
            kind=kind,
            id=self.thing_id(cast("Context", {"ti": task_instance})) if kind else "",
            change=change,
            known={**arguments, **self.seen},
            read=self.source_locations(),
            written=self.output_location() if is_written else None,
        )

    def push_links(self, context: Context) -> None:
        """Push the URLs of the links, unless ``do_xcom_push`` is False; what goes wrong with one fails no task."""
        from airflow_ml_provider import transport

        try:
            with transport.time_limit(LINK_SECONDS):
                for key, url in self.urls(context) if self.do_xcom_push else ():
                    context["ti"].xcom_push(key=key, value=url)
        except Exception as error:
            self.log.debug("No link: %s", error)

    def urls(self, context: Context) -> Iterator[tuple[str, str]]:
        """Return the URL of each link by its key in XCom, as far as it is known."""
        for link in self.operator_extra_links:
            if isinstance(link, ResourceLink):
                meta = self.hook.one_attempt_client.meta
                url = resource_url(self.thing(), self.thing_id(context), meta.endpoint_url, meta.region_name)
                yield link.key, url
            elif isinstance(link, OutputLink) and (location := self.output_location()):
                meta = self.hook.s3.meta
                yield link.key, object_url(location, meta.endpoint_url, meta.region_name)


class ShownBatchPrediction(ShownTask):
    """Link to the folder with the results of a batch prediction, too."""

    operator_extra_links: Collection[MachineLearningLink] = (ResourceLink(), OutputLink())

    def output_location(self) -> str | None:
        uri = super().output_location()
        return f"{uri.rstrip('/')}/batch-prediction/" if uri else None
