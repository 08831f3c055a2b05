"""Evaluate models, and let a Dag go on only with one that is good enough."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_ml_provider.operators.base import AWS_FIELDS
from airflow_ml_provider.operators.lifecycle import (
    MachineLearningChangeOperator,
    MachineLearningCreateOperator,
    MachineLearningDeleteOperator,
    MachineLearningGetOperator,
)
from airflow_ml_provider.resources import RESOURCES


class MachineLearningCreateEvaluationOperator(MachineLearningCreateOperator):
    """Evaluate a model on a data source, and wait until that is COMPLETED.

    Returns its id; what GetEvaluation says of it is in XCom too, each member under its own key.

    :param ml_model_id: the model; it may still be training (templated).
    :param evaluation_data_source_id: the data source, with the target and best with rows that the model has not
        seen (templated).
    :param evaluation_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]``, else one made of Dag, task, run and map index
        (templated).
    :param evaluation_name: a name for people, up to 1,024 characters (templated).
    """

    operation = "CreateEvaluation"
    waiter = "evaluation_completed"
    template_fields: Sequence[str] = (
        "ml_model_id",
        "evaluation_data_source_id",
        "evaluation_id",
        "evaluation_name",
        *AWS_FIELDS,
    )

    def __init__(
        self,
        *,
        ml_model_id: str,
        evaluation_data_source_id: str,
        evaluation_id: str | None = None,
        evaluation_name: str | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.ml_model_id = ml_model_id
        self.evaluation_data_source_id = evaluation_data_source_id
        self.evaluation_id = evaluation_id
        self.evaluation_name = evaluation_name


class MachineLearningUpdateEvaluationOperator(MachineLearningChangeOperator):
    """Rename an evaluation.

    Returns its id.

    :param evaluation_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param evaluation_name: the new name, up to 1,024 characters (templated).
    """

    operation = "UpdateEvaluation"
    id_member = "EvaluationId"
    template_fields: Sequence[str] = ("evaluation_id", "evaluation_name", *AWS_FIELDS)

    def __init__(self, *, evaluation_id: str, evaluation_name: str, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.evaluation_id = evaluation_id
        self.evaluation_name = evaluation_name


class MachineLearningGetEvaluationOperator(MachineLearningGetOperator):
    """Give the description of an evaluation.

    Returns what GetEvaluation says under AWS's names, times in ISO 8601, without ``LogUri``; each member is an XCom
    of its own too.

    :param evaluation_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    operation = "GetEvaluation"
    resource = RESOURCES["Evaluation"]
    template_fields: Sequence[str] = ("evaluation_id", *AWS_FIELDS)

    def __init__(self, *, evaluation_id: str, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.evaluation_id = evaluation_id


class MachineLearningDeleteEvaluationOperator(MachineLearningDeleteOperator):
    """Delete an evaluation; one that does not exist counts as deleted.

    Returns its id. GetEvaluation then says that it is DELETED. That cannot be undone.

    :param evaluation_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    operation = "DeleteEvaluation"
    id_member = "EvaluationId"
    template_fields: Sequence[str] = ("evaluation_id", *AWS_FIELDS)

    def __init__(self, *, evaluation_id: str, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.evaluation_id = evaluation_id
