"""Create, rename, read and delete evaluations, and gate a Dag by the metric of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_ml_provider.compat import AirflowException, BaseBranchOperator
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.evaluating import Metric, evaluation_to_compare, metric, shortfalls
from airflow_ml_provider.links import ResourceLink
from airflow_ml_provider.operators.base import AWS_FIELDS, MachineLearningBase, to_number
from airflow_ml_provider.operators.lifecycle import (
    MachineLearningChangeOperator,
    MachineLearningCreateOperator,
    MachineLearningDeleteOperator,
    MachineLearningGetOperator,
)
from airflow_ml_provider.operators.operation import translate_errors
from airflow_ml_provider.resources import RESOURCES, ResourceKind

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import Description


class MachineLearningCreateEvaluationOperator(MachineLearningCreateOperator):
    """Create an evaluation of a model on a data source, and wait until it is COMPLETED.

    Returns its id; each member of GetEvaluation's answer is in XCom too, under its own key.

    :param ml_model_id: the model; it may still be training (templated).
    :param evaluation_data_source_id: the data source; it needs the target, and its rows should be others than those of
        the training (templated).
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
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

    def __init__(self, *, evaluation_id: str, evaluation_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evaluation_id = evaluation_id
        self.evaluation_name = evaluation_name


class MachineLearningGetEvaluationOperator(MachineLearningGetOperator):
    """Return the description of an evaluation.

    Returns GetEvaluation's answer under AWS's names, times in ISO 8601, without ``LogUri``; each member is an XCom
    of its own too.

    :param evaluation_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    operation = "GetEvaluation"
    resource = RESOURCES["Evaluation"]
    template_fields: Sequence[str] = ("evaluation_id", *AWS_FIELDS)

    def __init__(self, *, evaluation_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evaluation_id = evaluation_id


class MachineLearningDeleteEvaluationOperator(MachineLearningDeleteOperator):
    """Delete an evaluation; one that does not exist counts as deleted.

    Returns its id. GetEvaluation then says that it is DELETED. That cannot be undone.

    :param evaluation_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    operation = "DeleteEvaluation"
    id_member = "EvaluationId"
    template_fields: Sequence[str] = ("evaluation_id", *AWS_FIELDS)

    def __init__(self, *, evaluation_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evaluation_id = evaluation_id


class MachineLearningEvaluationGateOperator(MachineLearningBase, BaseBranchOperator):
    """Continue the Dag only if a model's evaluation is good enough, and better than the deployed model's.

    Every condition that is given must hold. Without task ids the gate short-circuits: it runs or skips all tasks
    directly downstream. With task ids it branches.

    Returns the ids of the tasks that it follows. In XCom are also ``Passed``, ``Metric``, ``Value`` and, after a
    comparison with a deployed model, ``DeployedValue``.

    :param evaluation_id: the COMPLETED evaluation of the new model (templated).
    :param at_least: the lowest BinaryAUC or MulticlassAvgFScore that passes (templated).
    :param at_most: the highest RegressionRMSE that passes (templated).
    :param better_than_ml_model_id: the deployed model, whose metric must be beaten (templated). None, also as the text
        that a template renders, or empty means that no model is deployed yet, and passes. The deployed model's latest
        evaluation on the same data source counts, or else, with a warning, its latest on any.
    :param follow_task_ids_if_true: the tasks to follow if it passes, directly downstream; by default all that
        ``follow_task_ids_if_false`` does not name.
    :param follow_task_ids_if_false: the tasks to follow if it does not pass; none by default.
    """

    operator_extra_links = (ResourceLink(),)
    template_fields: Sequence[str] = (
        "evaluation_id",
        "at_least",
        "at_most",
        "better_than_ml_model_id",
        *AWS_FIELDS,
    )

    def __init__(
        self,
        *,
        evaluation_id: str,
        at_least: float | str | None = None,
        at_most: float | str | None = None,
        better_than_ml_model_id: str | None = None,
        follow_task_ids_if_true: str | Sequence[str] | None = None,
        follow_task_ids_if_false: str | Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if at_least is None and at_most is None and better_than_ml_model_id is None:
            raise InvalidArgument("at_least, at_most, better_than_ml_model_id: at least one of them must be given")
        self.evaluation_id = evaluation_id
        self.at_least = at_least
        self.at_most = at_most
        self.better_than_ml_model_id = better_than_ml_model_id
        self.follow_task_ids_if_true = follow_task_ids_if_true
        self.follow_task_ids_if_false = follow_task_ids_if_false

    def resource_kind(self) -> ResourceKind:
        return "Evaluation"

    def choose_branch(self, context: Context) -> list[str]:
        evaluation_id = self.check_id("evaluation_id")
        at_least, at_most = to_number("at_least", self.at_least), to_number("at_most", self.at_most)
        nothing_deployed = self.better_than_ml_model_id in (None, "", "None")  # "None" is what a template makes of None
        deployed_id = None if nothing_deployed else self.check_id("better_than_ml_model_id")
        client = self.hook.conn
        with translate_errors(f"The evaluation gate in {client.meta.region_name}"):
            evaluation = client.get_evaluation(EvaluationId=evaluation_id)
            deployed = self.deployed_metric(deployed_id, evaluation) if deployed_id else None
        found = metric(evaluation)
        missed = list(shortfalls(found, at_least, at_most, deployed))
        self.log.info("Evaluation %s: %s", evaluation_id, "; ".join(missed) or f"{found.name} {found.value} passes")
        members: Description = {"Passed": not missed, "Metric": found.name, "Value": found.value}
        if deployed:  # else the key is left out: Airflow 3.0 cannot push None
            members["DeployedValue"] = deployed.value
        self.push_members(context, self.remember(members))
        return self.followed_task_ids(not missed)

    def deployed_metric(self, ml_model_id: str, evaluation: Mapping[str, object]) -> Metric:
        """Return the metric of the deployed model, if possible on the data source of the given evaluation.

        :raises AirflowException: when the deployed model has no COMPLETED evaluation.
        """
        pages = self.hook.conn.get_paginator("describe_evaluations").paginate(
            FilterVariable="MLModelId", EQ=ml_model_id, SortOrder="dsc"
        )
        latest_first = (one for page in pages for one in page["Results"])
        data_source_id = evaluation["EvaluationDataSourceId"]
        deployed_evaluation = evaluation_to_compare(latest_first, data_source_id)
        if deployed_evaluation is None:
            raise AirflowException(
                f"MLModel {ml_model_id} in {self.hook.conn_region_name} has no COMPLETED evaluation to compare with: "
                f"evaluate it, best on DataSource {data_source_id}"
            )
        if deployed_evaluation["EvaluationDataSourceId"] != data_source_id:
            self.log.warning(
                "MLModel %s was evaluated on DataSource %s and not on %s: the metrics may not compare",
                ml_model_id,
                deployed_evaluation["EvaluationDataSourceId"],
                data_source_id,
            )
        return metric(deployed_evaluation)

    def followed_task_ids(self, passed: bool) -> list[str]:
        """Return the ids of the tasks to follow."""
        if_false = as_list(self.follow_task_ids_if_false)
        if not passed:
            return if_false
        if self.follow_task_ids_if_true is None:
            return sorted(self.downstream_task_ids - set(if_false))
        return as_list(self.follow_task_ids_if_true)


def as_list(task_ids: str | Sequence[str]) -> list[str]:
    """Return one id or several as a list."""
    return [task_ids] if isinstance(task_ids, str) else list(task_ids)
