"""Create, change, read and delete models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from airflow_ml_provider.operators.base import AWS_FIELDS
from airflow_ml_provider.operators.lifecycle import (
    MachineLearningChangeOperator,
    MachineLearningCreateOperator,
    MachineLearningDeleteOperator,
    MachineLearningGetOperator,
)
from airflow_ml_provider.resources import RESOURCES
from airflow_ml_provider.values import JSONText


class MachineLearningCreateMLModelOperator(MachineLearningCreateOperator):
    """Create a model, which trains it, and wait until it is COMPLETED.

    Returns its id; each member of GetMLModel's answer is in XCom too, under its own key.

    :param ml_model_type: ``REGRESSION`` (a number), ``BINARY`` (one of two) or ``MULTICLASS`` (one of up to 100)
        (templated).
    :param training_data_source_id: the data source to learn from, one with statistics; it may still be PENDING
        (templated).
    :param parameters: sgd.* parameters of the training, numbers or text (templated).
    :param recipe: how to make features of the data, a mapping or JSON text; AWS has a default (templated).
    :param recipe_uri: the URI of the recipe in S3; at most one of it and ``recipe`` (templated).
    :param ml_model_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]``, else one made of Dag, task, run and map index
        (templated).
    :param ml_model_name: a name for people, up to 1,024 characters (templated).
    """

    operation = "CreateMLModel"
    waiter = "ml_model_completed"
    template_fields: Sequence[str] = (
        "ml_model_type",
        "training_data_source_id",
        "parameters",
        "recipe",
        "recipe_uri",
        "ml_model_id",
        "ml_model_name",
        *AWS_FIELDS,
    )

    def __init__(
        self,
        *,
        ml_model_type: Literal["REGRESSION", "BINARY", "MULTICLASS"],
        training_data_source_id: str,
        parameters: Mapping[str, str | int | float] | None = None,
        recipe: JSONText | None = None,
        recipe_uri: str | None = None,
        ml_model_id: str | None = None,
        ml_model_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ml_model_type = ml_model_type
        self.training_data_source_id = training_data_source_id
        self.parameters = parameters
        self.recipe = recipe
        self.recipe_uri = recipe_uri
        self.ml_model_id = ml_model_id
        self.ml_model_name = ml_model_name


class MachineLearningUpdateMLModelOperator(MachineLearningChangeOperator):
    """Change the name or the score threshold of a model.

    Returns its id.

    :param ml_model_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param ml_model_name: the new name, up to 1,024 characters (templated).
    :param score_threshold: the score from which a BINARY model predicts 1, from 0 to 1; it changes realtime
        predictions at once (templated).
    """

    operation = "UpdateMLModel"
    id_member = "MLModelId"
    template_fields: Sequence[str] = ("ml_model_id", "ml_model_name", "score_threshold", *AWS_FIELDS)

    def __init__(
        self,
        *,
        ml_model_id: str,
        ml_model_name: str | None = None,
        score_threshold: float | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ml_model_id = ml_model_id
        self.ml_model_name = ml_model_name
        self.score_threshold = score_threshold


class MachineLearningGetMLModelOperator(MachineLearningGetOperator):
    """Return the description of a model.

    Returns GetMLModel's answer under AWS's names, times in ISO 8601, without ``LogUri``; each member is an XCom of
    its own too.

    :param ml_model_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param verbose: whether to include ``Recipe`` and ``Schema`` (templated).
    """

    operation = "GetMLModel"
    resource = RESOURCES["MLModel"]
    template_fields: Sequence[str] = ("ml_model_id", "verbose", *AWS_FIELDS)

    def __init__(self, *, ml_model_id: str, verbose: bool | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ml_model_id = ml_model_id
        self.verbose = verbose


class MachineLearningDeleteMLModelOperator(MachineLearningDeleteOperator):
    """Delete a model; one that does not exist counts as deleted.

    Returns its id. GetMLModel then says that it is DELETED. That cannot be undone.

    :param ml_model_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    operation = "DeleteMLModel"
    id_member = "MLModelId"
    template_fields: Sequence[str] = ("ml_model_id", *AWS_FIELDS)

    def __init__(self, *, ml_model_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ml_model_id = ml_model_id
