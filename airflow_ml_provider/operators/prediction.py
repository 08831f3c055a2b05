"""Predict for a few records at a realtime endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_ml_provider.operators.base import MachineLearningOperator, failures

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_ml_provider.hooks.machine_learning import Prediction
    from airflow_ml_provider.records import Record


class MachineLearningPredictOperator(MachineLearningOperator):
    """Predict for one record, or for each of a few, at the realtime endpoint of a model.

    Returns AWS's Prediction (``predictedLabel`` or ``predictedValue``, ``predictedScores``, ``details``), for
    ``records`` a list of them in the same order.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param record: variable → value without the target (templated). Numbers and booleans become text, None is left out.
    :param records: a list of such records (templated); exactly one of ``record`` and ``records``.
    :param endpoint_url: the endpoint's URL with its scheme, else that of the endpoint's own info (templated).
    :param mount_timeout: seconds to go on asking while the READY endpoint's predictor is not mounted yet.
    """

    operation = "Predict"
    template_fields: Sequence[str] = (
        "ml_model_id",
        "record",
        "records",
        "endpoint_url",
        "aws_conn_id",
        "region_name",
        "verify",
    )

    def __init__(
        self,
        *,
        ml_model_id: str,
        record: Record | None = None,
        records: Sequence[Record] | None = None,
        endpoint_url: str | None = None,
        mount_timeout: float = 300,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.ml_model_id = ml_model_id
        self.record = record
        self.records = records
        self.endpoint_url = endpoint_url
        self.mount_timeout = mount_timeout

    def execute(self, context: Context) -> Prediction | list[Prediction]:
        ml_model_id, records = self.check_id("ml_model_id"), self.checked_records()
        with failures(f"Predict with MLModel {ml_model_id} in {self.hook.conn_region_name}"):
            url = self.endpoint_url or self.hook.realtime_endpoint_url(ml_model_id)
            found = [
                self.hook.predict(ml_model_id, record, url, mount_timeout=self.mount_timeout) for record in records
            ]
        self.log.info("Predicted %d records with MLModel %s", len(found), ml_model_id)
        return found if self.record is None else found[0]

    def checked_records(self) -> Sequence[Record]:
        """Return the records, each of them a flat mapping.

        :raises ValueError: naming the argument and the record's place.
        """
        from airflow_ml_provider.records import encode

        if (self.record is None) == (self.records is None):
            raise ValueError("record, records: exactly one of them must be given")
        if self.record is not None:
            encode(self.record)
            return [self.record]
        if isinstance(self.records, str) or not isinstance(self.records, Sequence):
            raise ValueError(f"records: it is {type(self.records).__name__}; it must be a list of mappings")
        for place, record in enumerate(self.records):
            try:
                encode(record)
            except ValueError as error:
                raise ValueError(f"records[{place}]: {error}") from None
        return self.records
