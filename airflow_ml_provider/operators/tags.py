"""Add and delete tags of resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_ml_provider.operators.base import AWS_FIELDS
from airflow_ml_provider.operators.lifecycle import MachineLearningChangeOperator
from airflow_ml_provider.operators.shown import ShownTask
from airflow_ml_provider.resources import ResourceKind

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.lineage import Change


class ShownByTags(ShownTask):
    """Link to the resource that has the tags, by the task's ``resource_type`` and ``resource_id``."""

    resource_id: str
    resource_type: Literal["BatchPrediction", "DataSource", "Evaluation", "MLModel"]

    def resource_kind(self) -> ResourceKind:
        return self.resource_type

    def change(self) -> Change:
        return "ALTER"

    def find_resource_id(self, context: Context) -> str:
        return self.resource_id


class MachineLearningAddTagsOperator(ShownByTags, MachineLearningChangeOperator):
    """Add tags to a resource; a tag that it has already gets the new value.

    Returns its id.

    :param tags: a list of ``{"Key": …, "Value": …}`` (templated).
    :param resource_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param resource_type: ``BatchPrediction``, ``DataSource``, ``Evaluation`` or ``MLModel`` (templated).
    """

    operation = "AddTags"
    id_member = "ResourceId"
    template_fields: Sequence[str] = ("tags", "resource_id", "resource_type", *AWS_FIELDS)

    def __init__(
        self,
        *,
        tags: Sequence[Mapping[str, str]],
        resource_id: str,
        resource_type: Literal["BatchPrediction", "DataSource", "Evaluation", "MLModel"],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tags = tags
        self.resource_id = resource_id
        self.resource_type = resource_type


class MachineLearningDeleteTagsOperator(ShownByTags, MachineLearningChangeOperator):
    """Delete tags of a resource.

    Returns its id.

    :param tag_keys: the keys of the tags (templated).
    :param resource_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param resource_type: ``BatchPrediction``, ``DataSource``, ``Evaluation`` or ``MLModel`` (templated).
    """

    operation = "DeleteTags"
    id_member = "ResourceId"
    template_fields: Sequence[str] = ("tag_keys", "resource_id", "resource_type", *AWS_FIELDS)

    def __init__(
        self,
        *,
        tag_keys: Sequence[str],
        resource_id: str,
        resource_type: Literal["BatchPrediction", "DataSource", "Evaluation", "MLModel"],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tag_keys = tag_keys
        self.resource_id = resource_id
        self.resource_type = resource_type
