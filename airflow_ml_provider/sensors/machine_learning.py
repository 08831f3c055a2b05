"""Sensors: wait for a resource that another task, Dag or person creates or deletes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.base import AWS_FIELDS
from airflow_ml_provider.operators.shown import ShownBatchPrediction
from airflow_ml_provider.resources import WaiterName
from airflow_ml_provider.sensors.base import MachineLearningSensor

ENDPOINT_WAITERS: dict[str, WaiterName] = {
    "READY": "realtime_endpoint_ready",
    "NONE": "realtime_endpoint_deleted",
}


class MachineLearningDataSourceSensor(MachineLearningSensor):
    """Wait until a data source is COMPLETED; fail at once if it is FAILED, DELETED or unknown.

    Returns GetDataSource's answer; each member is an XCom of its own too.

    :param data_source_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    waiter = "data_source_completed"
    id_argument = "data_source_id"
    template_fields: Sequence[str] = ("data_source_id", *AWS_FIELDS)

    def __init__(self, *, data_source_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_source_id = data_source_id


class MachineLearningMLModelSensor(MachineLearningSensor):
    """Wait until a model is COMPLETED; fail at once if it is FAILED, DELETED or unknown.

    Returns GetMLModel's answer; each member is an XCom of its own too.

    :param ml_model_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    waiter = "ml_model_completed"
    id_argument = "ml_model_id"
    template_fields: Sequence[str] = ("ml_model_id", *AWS_FIELDS)

    def __init__(self, *, ml_model_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ml_model_id = ml_model_id


class MachineLearningEvaluationSensor(MachineLearningSensor):
    """Wait until an evaluation is COMPLETED; fail at once if it is FAILED, DELETED or unknown.

    Returns GetEvaluation's answer; each member is an XCom of its own too, such as ``PerformanceMetrics``.

    :param evaluation_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    waiter = "evaluation_completed"
    id_argument = "evaluation_id"
    template_fields: Sequence[str] = ("evaluation_id", *AWS_FIELDS)

    def __init__(self, *, evaluation_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evaluation_id = evaluation_id


class MachineLearningBatchPredictionSensor(ShownBatchPrediction, MachineLearningSensor):
    """Wait until a batch prediction is COMPLETED; fail at once if it is FAILED, DELETED or unknown.

    Returns GetBatchPrediction's answer; each member is an XCom of its own too.

    :param batch_prediction_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    waiter = "batch_prediction_completed"
    id_argument = "batch_prediction_id"
    template_fields: Sequence[str] = ("batch_prediction_id", *AWS_FIELDS)

    def __init__(self, *, batch_prediction_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_prediction_id = batch_prediction_id


class MachineLearningRealtimeEndpointSensor(MachineLearningSensor):
    """Wait until the ``EndpointStatus`` of a model's realtime endpoint is READY, or NONE.

    ``EndpointStatus`` is NONE (there is no endpoint), UPDATING (AWS is creating it), READY or FAILED.

    - For READY the sensor waits through NONE and UPDATING. It fails at once when the endpoint is FAILED, or the model
      is unknown, FAILED or DELETED.
    - For NONE it waits through every other status. A model that is unknown or DELETED has no endpoint: success.

    Returns the endpoint's info: ``MLModelId``, ``EndpointUrl``, ``EndpointStatus``, ``PeakRequestsPerSecond``,
    ``CreatedAt`` (ISO 8601); each member is an XCom of its own too.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param target_status: the ``EndpointStatus`` to wait for, ``READY`` or ``NONE``.
    """

    id_argument = "ml_model_id"
    template_fields: Sequence[str] = ("ml_model_id", *AWS_FIELDS)

    def __init__(self, *, ml_model_id: str, target_status: Literal["READY", "NONE"] = "READY", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if target_status not in ENDPOINT_WAITERS:
            raise InvalidArgument(f"target_status: {target_status!r}; it must be 'READY' or 'NONE'")
        self.ml_model_id = ml_model_id
        self.target_status = target_status
        self.waiter = ENDPOINT_WAITERS[target_status]
