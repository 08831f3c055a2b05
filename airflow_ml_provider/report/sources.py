"""Find a model's results in S3, of a batch prediction or of PredictS3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from airflow_ml_provider.compat import AirflowException, AirflowFailException
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.report.columns import Model, ResultSource
from airflow_ml_provider.scoring import manifest
from airflow_ml_provider.scoring.objects import split

if TYPE_CHECKING:
    from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
    from airflow_ml_provider.payloads import Format
    from airflow_ml_provider.report.columns import ModelType


class Origin(NamedTuple):
    """The arguments that identify a model's results; ``prefix`` is the beginning of their names."""

    prefix: str
    batch_prediction_id: str | None
    predictions_uri: str | None
    ml_model_id: str | None

    def check(self) -> Origin:
        """Return the origin after checking that it has either a batch prediction, or predictions and their model.

        :raises InvalidArgument: when it has not.
        """
        batch, uri, model = (
            f"{self.prefix}{name}" for name in ("batch_prediction_id", "predictions_uri", "ml_model_id")
        )
        if (self.batch_prediction_id is None) == (self.predictions_uri is None):
            raise InvalidArgument(f"{batch}, {uri}: exactly one of them must be given")
        if (self.predictions_uri is None) != (self.ml_model_id is None):
            raise InvalidArgument(f"{model}: it must be given with {uri}, and with it only")
        if self.predictions_uri is not None:
            split(uri, self.predictions_uri)
        return self


def find_source(
    hook: MachineLearningHook, origin: Origin, true_label_column: str, predictions_format: Format | None
) -> ResultSource:
    """Get the model and the batch prediction from the service, and return where the results are.

    :raises AirflowException: when the batch prediction is not COMPLETED.
    :raises AirflowFailException: when its manifest is gone or cut.
    """
    if origin.batch_prediction_id is not None:
        return _batch_source(hook, f"{origin.prefix}batch_prediction_id", origin.batch_prediction_id)
    return ResultSource(
        argument=f"{origin.prefix}predictions_uri",
        model=_model(hook, str(origin.ml_model_id)),
        uris=[str(origin.predictions_uri)],
        format=predictions_format,
        is_batch=False,
        true_label_column=true_label_column,
    )


def _batch_source(hook: MachineLearningHook, argument: str, batch_prediction_id: str) -> ResultSource:
    found = hook.conn.get_batch_prediction(BatchPredictionId=batch_prediction_id)
    what = f"{argument}: BatchPrediction {batch_prediction_id} in {hook.conn_region_name}"
    if found["Status"] != "COMPLETED":
        raise AirflowException(f"{what} is {found['Status']}; it has results when it is COMPLETED")
    return ResultSource(
        argument=argument,
        model=_model(hook, found["MLModelId"]),
        uris=_result_uris(hook, what, found["OutputUri"], batch_prediction_id),
        format="CSV",
        is_batch=True,
        true_label_column="trueLabel",
        record_count=found.get("TotalRecordCount"),
    )


def _result_uris(hook: MachineLearningHook, what: str, output_uri: str, batch_prediction_id: str) -> list[str]:
    uri = manifest.manifest_uri(output_uri, batch_prediction_id)
    try:
        found = manifest.read_manifest(hook, output_uri, batch_prediction_id)["ResultUris"]
    except ValueError as error:
        raise AirflowFailException(f"{what}: its manifest {uri} is cut or damaged: {error}") from None
    except AirflowException as error:
        raise AirflowException(f"{what}: its manifest {uri} is gone, or cannot be read: {error}") from None
    if not found:
        raise AirflowFailException(f"{what}: its manifest {uri} names no results")
    return list(map(str, found.values()))


def _model(hook: MachineLearningHook, ml_model_id: str) -> Model:
    found = cast("Mapping[str, object]", hook.conn.get_ml_model(MLModelId=ml_model_id))
    threshold = found.get("ScoreThreshold")
    return Model(
        ml_model_id=ml_model_id,
        name=str(found.get("Name") or ""),
        type=cast("ModelType", found["MLModelType"]),
        score_threshold=0.5 if threshold is None else float(cast("float", threshold)),  # 0.5 is AWS's default
    )
