"""Create, rename, read and delete batch predictions: predictions for all rows of a data source, written to S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.operators.base import AWS_FIELDS
from airflow_ml_provider.operators.lifecycle import (
    MachineLearningChangeOperator,
    MachineLearningCreateOperator,
    MachineLearningDeleteOperator,
    MachineLearningGetOperator,
)
from airflow_ml_provider.operators.shown import ShownBatchPrediction
from airflow_ml_provider.resources import RESOURCES

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import Description, Outcome
    from airflow_ml_provider.waiting import Wait


class MachineLearningCreateBatchPredictionOperator(ShownBatchPrediction, MachineLearningCreateOperator):
    """Create a batch prediction for all rows of a data source, and wait until it is COMPLETED.

    Returns its id. In XCom are also each member of GetBatchPrediction's answer, under its own key, ``ManifestUri``, and
    ``ResultUris``, which maps the URI of each input file to that of its results.

    :param ml_model_id: the model; it may still be training (templated).
    :param batch_prediction_data_source_id: the data source with the rows to predict for (templated).
    :param output_uri: where in S3 to put the results, as ``s3://bucket/prefix/`` (templated).
    :param batch_prediction_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]``, else one made of Dag, task, run and map index
        (templated).
    :param batch_prediction_name: a name for people, up to 1,024 characters (templated).
    """

    operation = "CreateBatchPrediction"
    waiter = "batch_prediction_completed"
    template_fields: Sequence[str] = (
        "ml_model_id",
        "batch_prediction_data_source_id",
        "output_uri",
        "batch_prediction_id",
        "batch_prediction_name",
        *AWS_FIELDS,
    )

    def __init__(
        self,
        *,
        ml_model_id: str,
        batch_prediction_data_source_id: str,
        output_uri: str,
        batch_prediction_id: str | None = None,
        batch_prediction_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ml_model_id = ml_model_id
        self.batch_prediction_data_source_id = batch_prediction_data_source_id
        self.output_uri = output_uri
        self.batch_prediction_id = batch_prediction_id
        self.batch_prediction_name = batch_prediction_name

    def push_result(self, context: Context, wait: Wait, outcome: Outcome | None) -> str:
        """Push the results' URIs too; an unreadable manifest is only logged, since the batch prediction succeeded."""
        from airflow_ml_provider.scoring.manifest import read_manifest

        batch_prediction_id = super().push_result(context, wait, outcome)
        if outcome:
            try:
                found = read_manifest(self.hook, str(outcome["description"]["OutputUri"]), batch_prediction_id)
            except (AirflowException, ValueError) as error:  # ValueError: it is damaged
                self.log.warning("%s: its manifest cannot be read: %s", wait, error)
            else:
                self.push_members(context, self.remember(cast("Description", found)))
        return batch_prediction_id


class MachineLearningUpdateBatchPredictionOperator(MachineLearningChangeOperator):
    """Rename a batch prediction.

    Returns its id.

    :param batch_prediction_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param batch_prediction_name: the new name, up to 1,024 characters (templated).
    """

    operation = "UpdateBatchPrediction"
    id_member = "BatchPredictionId"
    template_fields: Sequence[str] = ("batch_prediction_id", "batch_prediction_name", *AWS_FIELDS)

    def __init__(self, *, batch_prediction_id: str, batch_prediction_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_prediction_id = batch_prediction_id
        self.batch_prediction_name = batch_prediction_name


class MachineLearningGetBatchPredictionOperator(ShownBatchPrediction, MachineLearningGetOperator):
    """Return the description of a batch prediction.

    Returns GetBatchPrediction's answer under AWS's names, times in ISO 8601, without ``LogUri``; each member is an
    XCom of its own too.

    :param batch_prediction_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    operation = "GetBatchPrediction"
    resource = RESOURCES["BatchPrediction"]
    template_fields: Sequence[str] = ("batch_prediction_id", *AWS_FIELDS)

    def __init__(self, *, batch_prediction_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_prediction_id = batch_prediction_id


class MachineLearningDeleteBatchPredictionOperator(MachineLearningDeleteOperator):
    """Delete a batch prediction; one that does not exist counts as deleted.

    Returns its id. GetBatchPrediction then says that it is DELETED. That cannot be undone.

    :param batch_prediction_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    operation = "DeleteBatchPrediction"
    id_member = "BatchPredictionId"
    template_fields: Sequence[str] = ("batch_prediction_id", *AWS_FIELDS)

    def __init__(self, *, batch_prediction_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_prediction_id = batch_prediction_id
