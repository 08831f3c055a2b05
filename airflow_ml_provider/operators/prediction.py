"""Predict at a realtime endpoint: for a few records, or for files of them in S3, with one worker or many.

Long and in one module, as most of it is the arguments of four operators, and the module that defines a class is its
public path: serialized Dags and the reference name it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_ml_provider import errors
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.links import OutputLink, ResourceLink
from airflow_ml_provider.operators.base import AWS_FIELDS, MachineLearningBase
from airflow_ml_provider.operators.operation import MachineLearningOperator, translate_errors
from airflow_ml_provider.resources import ResourceKind

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from airflow_ml_provider.payloads import Format, JSONObject, Prediction
    from airflow_ml_provider.records import Record
    from airflow_ml_provider.scoring.plan import RowRange
    from airflow_ml_provider.scoring.settings import Settings
    from airflow_ml_provider.scoring.sharing import Share
    from airflow_ml_provider.scoring.summary import Summary

log = logging.getLogger(__name__)


class MachineLearningPredictOperator(MachineLearningOperator):
    """Predict for one record, or for each of a few, at the realtime endpoint of a model.

    Returns AWS's Prediction (``predictedLabel`` or ``predictedValue``, ``predictedScores``, ``details``), for
    ``records`` a list of them in the same order.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param record: variable → value without the target (templated). Numbers and booleans become text, None is left out.
    :param records: a list of such records (templated); exactly one of ``record`` and ``records``.
    :param endpoint_url: the endpoint's URL with its scheme, else that of the endpoint's own info (templated).
    :param mount_timeout: seconds during which Predict is retried while the READY endpoint's predictor is not mounted.
    :param refuse_unknown_variables: whether the task fails, before the first prediction, when a record has a variable
        that the model does not know. False only logs a warning, if the task may read the schema
        (``machinelearning:GetMLModel``, ``GetDataSource``).
    """

    operation = "Predict"
    template_fields: Sequence[str] = (
        "ml_model_id",
        "record",
        "records",
        "endpoint_url",
        *AWS_FIELDS,
    )

    def __init__(
        self,
        *,
        ml_model_id: str,
        record: Record | None = None,
        records: Sequence[Record] | None = None,
        endpoint_url: str | None = None,
        mount_timeout: float = 300,
        refuse_unknown_variables: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ml_model_id = ml_model_id
        self.record = record
        self.records = records
        self.endpoint_url = endpoint_url
        self.mount_timeout = mount_timeout
        self.refuse_unknown_variables = refuse_unknown_variables

    def resource_kind(self) -> ResourceKind:
        return "RealtimeEndpoint"

    def execute(self, context: Context) -> Prediction | list[Prediction]:
        ml_model_id, records = self.check_id("ml_model_id"), self.checked_records()
        with translate_errors(f"Predict with MLModel {ml_model_id} in {self.hook.conn_region_name}"):
            self.check_variables(ml_model_id, records)
            url = self.endpoint_url or self.hook.realtime_endpoint_url(ml_model_id)
            found = [self.predict(ml_model_id, place, record, url) for place, record in enumerate(records)]
        self.log.info("Predicted %d records with MLModel %s", len(found), ml_model_id)
        return found if self.record is None else found[0]

    def predict(self, ml_model_id: str, place: int, record: Record, url: str) -> Prediction:
        """Return the prediction for one record.

        :raises RequestRefused: when the service refuses the record; AWS's message may quote it, and is left out.
        """
        from botocore.exceptions import ClientError

        from airflow_ml_provider.predicting.engine import REFUSALS

        try:
            return self.hook.predict(ml_model_id, record, url, mount_timeout=self.mount_timeout)
        except ClientError as error:
            if (code := errors.code(error)) not in REFUSALS:
                raise
            log.debug("Predict: %s", error)
            which = f"records[{place}]" if self.record is None else "record"
            raise errors.RequestRefused(
                f"Predict with MLModel {ml_model_id} in {self.hook.conn_region_name}: {which} was refused with {code}; "
                f"compare it with the schema of the model's training data. AWS's message, which may quote the record, "
                f"is in the log at DEBUG.",
                code,
            ) from None

    def check_variables(self, ml_model_id: str, records: Sequence[Record]) -> None:
        """Log a warning of variables that the model does not know, or with ``refuse_unknown_variables`` fail.

        :raises AirflowFailException: when there are unknown variables to refuse, or the schema cannot be read.
        """
        from airflow_ml_provider.compat import AirflowFailException
        from airflow_ml_provider.scoring.variables import log, unknown_variables

        names = {name for record in records for name in record}
        # The schema may take as long as the mount, for which the user has allowed that time.
        unknown = unknown_variables(self.hook, ml_model_id, names, self.mount_timeout) if names else []
        if unknown is None:
            problem = f"cannot read the schema of MLModel {ml_model_id}: GetMLModel and GetDataSource must be allowed"
        elif unknown:
            problem = f"MLModel {ml_model_id} knows no variable {', '.join(unknown)}"
        else:
            return
        if self.refuse_unknown_variables:
            raise AirflowFailException(f"refuse_unknown_variables: {problem}")
        if unknown:
            log.warning(problem)

    def checked_records(self) -> Sequence[Record]:
        """Return the records after checking that each of them is a flat mapping.

        :raises InvalidArgument: naming the argument and the record's place.
        """
        from airflow_ml_provider.records import encode

        if (self.record is None) == (self.records is None):
            raise InvalidArgument("record, records: exactly one of them must be given")
        if self.record is not None:
            encode(self.record)
            return [self.record]
        if isinstance(self.records, str) or not isinstance(self.records, Sequence):
            raise InvalidArgument(f"records: it is {type(self.records).__name__}; it must be a list of mappings")
        for place, record in enumerate(self.records):
            try:
                encode(record)
            except ValueError as error:
                raise InvalidArgument(f"records[{place}]: {error}") from None
        return self.records


class MachineLearningPredictS3Operator(MachineLearningBase):
    """Predict for every row of a file in S3, at the full rate of the model's realtime endpoint.

    The predictions have the order of the input. The output appears when it is complete. A retry continues after the
    last finished part; if the source, the model's ``ScoreThreshold`` or the endpoint has changed since, it starts
    again. An output that was made of the same rows, model, endpoint and arguments is complete, and costs no prediction.
    The model's target, and key columns that are no variables of the model, are not sent.

    Returns a summary: ``output_uri``, ``output_format``, ``etag``, ``errors_uri`` and ``errors_etag`` (None without
    errors), ``rows``, ``errors``, ``parts``, ``seconds``, ``rate``. When another try or task claims the same output,
    this one stops with TakenOver and has damaged nothing.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param source_uri: an object in S3, or with a slash at its end the folder of several; UTF-8, compressed with gzip
        where the name ends in ``.gz`` (templated).
    :param row_ranges: instead of ``source_uri``, one worker's share of the rows, as returned by
        MachineLearningPlanPredictS3Operator (templated).
    :param output_uri: the object to write, compressed with gzip if it ends in ``.gz``. Refused rows go to
        ``<output_uri>.errors.csv``, parts to ``<output_uri>.parts/`` (templated).
    :param input_format: ``CSV`` or ``JSON_LINES``; default by the name: .jsonl, .ndjson and .json are JSON Lines.
    :param output_format: the same for the output.
    :param column_names: the names of a CSV file's columns when it has no header (templated).
    :param key_columns: columns to write beside the predictions, none named like theirs (templated).
    :param excluded_attribute_names: columns not to send to the model (templated).
    :param max_errors: how many rows may be refused; with one more the task fails without a retry, and so it does when
        all rows are refused (of several workers, the join).
    :param max_predictions: with more rows the task fails before the first prediction.
    :param max_requests_per_second: a whole number from 1 on; default is the endpoint's own ``PeakRequestsPerSecond``.
    :param rows_per_part: the number of rows after which the work is saved.
    :param timeout: seconds during which transient errors are retried for one record.
    """

    operator_extra_links = (ResourceLink(), OutputLink())
    template_fields: Sequence[str] = (
        "ml_model_id",
        "source_uri",
        "row_ranges",
        "output_uri",
        "column_names",
        "key_columns",
        "excluded_attribute_names",
        *AWS_FIELDS,
    )

    def __init__(
        self,
        *,
        ml_model_id: str,
        output_uri: str,
        source_uri: str | None = None,
        row_ranges: Sequence[JSONObject] | None = None,
        input_format: Format | None = None,
        output_format: Format | None = None,
        column_names: Sequence[str] | None = None,
        key_columns: Sequence[str] = (),
        excluded_attribute_names: Sequence[str] = (),
        max_errors: int = 0,
        max_predictions: int | None = None,
        max_requests_per_second: int | None = None,
        rows_per_part: int = 2000,
        timeout: float = 300,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ml_model_id = ml_model_id
        self.output_uri = output_uri
        self.source_uri = source_uri
        self.row_ranges = row_ranges
        self.input_format = input_format
        self.output_format = output_format
        self.column_names = column_names
        self.key_columns = key_columns
        self.excluded_attribute_names = excluded_attribute_names
        self.max_errors = max_errors
        self.max_predictions = max_predictions
        self.max_requests_per_second = max_requests_per_second
        self.rows_per_part = rows_per_part
        self.timeout = timeout

    def resource_kind(self) -> ResourceKind:
        return "RealtimeEndpoint"

    def source_locations(self) -> list[str]:
        uris = dict.fromkeys(str(row_range["uri"]) for row_range in self.row_ranges or ())
        return super().source_locations() or list(uris)

    def execute(self, context: Context) -> Summary:
        from airflow_ml_provider.scoring.worker import Scoring

        ml_model_id, settings = self.check_id("ml_model_id"), self.settings()
        with translate_errors(f"Predict with MLModel {ml_model_id} in {self.hook.conn_region_name}"):
            self.remember({"MLModelId": ml_model_id})
            scoring = Scoring(self.hook, ml_model_id, self.rows(), settings, is_share=self.row_ranges is not None)
            return self.remember(scoring.run())

    def settings(self) -> Settings:
        """Return the settings for reading the source and writing its predictions.

        :raises InvalidArgument: naming the argument and what is allowed.
        """
        from airflow_ml_provider.scoring.settings import Settings

        return Settings.checked(
            source_uri=self.source_uri,
            output_uri=self.output_uri,
            input_format=self.input_format,
            output_format=self.output_format,
            key_columns=self.key_columns,
            excluded_attribute_names=self.excluded_attribute_names,
            max_errors=self.max_errors,
            max_requests_per_second=self.max_requests_per_second,
            rows_per_part=self.rows_per_part,
            timeout=self.timeout,
        )

    def rows(self) -> list[RowRange]:
        """Return the rows to predict for: one worker's share of a plan, or all rows of the source.

        :raises InvalidArgument: when both or neither of ``source_uri`` and ``row_ranges`` are given.
        """
        from airflow_ml_provider.scoring.settings import Input, share_of

        if (self.source_uri is None) == (self.row_ranges is None):
            raise InvalidArgument("source_uri, row_ranges: exactly one of them must be given")
        if self.row_ranges is not None:
            return share_of(self.row_ranges, self.output_uri, self.max_predictions)
        source = Input.checked(
            source_uri=cast("str", self.source_uri),
            output_uri=self.output_uri,
            input_format=self.input_format,
            column_names=self.column_names,
            max_predictions=self.max_predictions,
        )
        (all_rows,) = source.shares(self.hook.s3, workers=1)
        return all_rows


class MachineLearningPlanPredictS3Operator(MachineLearningBase):
    """Divide the rows of files in S3, and the endpoint's rate, between several workers.

    Returns a list of arguments for ``MachineLearningPredictS3Operator.partial(…).expand_kwargs(plan.output)``, one
    item for each worker: ``row_ranges``, ``output_uri``, ``input_format``, ``max_requests_per_second``.

    :param ml_model_id: the id of the MLModel, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param source_uri: an object in S3, or with a slash at its end the folder of several (templated). An object that is
        compressed with gzip goes to one worker as a whole.
    :param output_uri: the object that gets all predictions in the end; each worker writes its own below
        ``<output_uri>.shares/`` (templated).
    :param workers: the highest number of workers, at least 1; small files are divided between fewer.
    :param input_format: ``CSV`` or ``JSON_LINES``; default by the name of ``source_uri``.
    :param column_names: the names of a CSV file's columns when it has no header (templated).
    :param max_predictions: with more rows the task fails.
    :param max_requests_per_second: the rate of all workers together; default is the endpoint's own
        ``PeakRequestsPerSecond``.
    """

    operator_extra_links = (ResourceLink(),)
    template_fields: Sequence[str] = ("ml_model_id", "source_uri", "output_uri", "column_names", *AWS_FIELDS)

    def __init__(
        self,
        *,
        ml_model_id: str,
        source_uri: str,
        output_uri: str,
        workers: int,
        input_format: Format | None = None,
        column_names: Sequence[str] | None = None,
        max_predictions: int | None = None,
        max_requests_per_second: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ml_model_id = ml_model_id
        self.source_uri = source_uri
        self.output_uri = output_uri
        self.workers = workers
        self.input_format = input_format
        self.column_names = column_names
        self.max_predictions = max_predictions
        self.max_requests_per_second = max_requests_per_second

    def resource_kind(self) -> ResourceKind:
        return "RealtimeEndpoint"

    def execute(self, context: Context) -> list[Share]:
        from airflow_ml_provider.scoring.settings import Input
        from airflow_ml_provider.scoring.sharing import divide

        ml_model_id = self.check_id("ml_model_id")
        source = Input.checked(
            source_uri=self.source_uri,
            output_uri=self.output_uri,
            input_format=self.input_format,
            column_names=self.column_names,
            max_predictions=self.max_predictions,
        )
        with translate_errors(f"Planning predictions with MLModel {ml_model_id} in {self.hook.conn_region_name}"):
            return divide(
                self.hook,
                ml_model_id,
                source,
                output_uri=self.output_uri,
                workers=self.workers,
                max_requests_per_second=self.max_requests_per_second,
            )


class MachineLearningJoinPredictS3Operator(MachineLearningBase):
    """Join the outputs of several workers into one, in the order of the input, and delete theirs.

    Returns a summary as MachineLearningPredictS3Operator does; ``seconds`` are the slowest worker's.

    :param output_uri: the object that gets all predictions (templated).
    :param summaries: what the workers returned: ``predict.output`` of the mapped task (templated).
    """

    operator_extra_links = (OutputLink(),)
    template_fields: Sequence[str] = ("output_uri", "summaries", *AWS_FIELDS)

    def __init__(self, *, output_uri: str, summaries: Sequence[Summary], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_uri = output_uri
        self.summaries = summaries

    def source_locations(self) -> list[str]:
        return [summary["output_uri"] for summary in self.summaries]

    def execute(self, context: Context) -> Summary:
        from airflow_ml_provider.scoring.sharing import join

        with translate_errors(f"Joining {self.output_uri}"):
            return self.remember(join(self.hook.s3, self.output_uri, list(self.summaries)))
