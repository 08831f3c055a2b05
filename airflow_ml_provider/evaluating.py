"""Judge by evaluations whether a model is good enough, and better than another. Pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast

from airflow_ml_provider.errors import InvalidArgument

# The metrics of the service → whether more is better.
METRICS = {"BinaryAUC": True, "MulticlassAvgFScore": True, "RegressionRMSE": False}


class Metric(NamedTuple):
    """The one metric of an evaluation, which the type of its model determines."""

    name: str
    value: float

    @property
    def more_is_better(self) -> bool:
        return METRICS[self.name]

    def beats(self, other: Metric) -> bool:
        """Return whether this metric is better than another; an equal one is not.

        :raises InvalidArgument: when the other metric is of another type of model.
        """
        if self.name != other.name:
            raise InvalidArgument(
                f"better_than_ml_model_id: its metric is {other.name}, and cannot be compared with {self.name}"
            )
        return self.value > other.value if self.more_is_better else self.value < other.value


def metric(evaluation: Mapping[str, object]) -> Metric:
    """Return the metric of an evaluation, an answer of GetEvaluation or an item of DescribeEvaluations.

    :raises ValueError: when it has none, as before it is COMPLETED; not InvalidArgument, since a later try may succeed.
    """
    performance = cast("Mapping[str, Mapping[str, str]]", evaluation.get("PerformanceMetrics") or {})
    properties = performance.get("Properties") or {}
    for name in METRICS:
        if name in properties:
            return Metric(name, float(properties[name]))
    message = evaluation.get("Message")
    raise ValueError(
        f"evaluation_id: Evaluation {evaluation.get('EvaluationId')} has status {evaluation.get('Status')} and none of "
        f"{', '.join(METRICS)}" + (f": {message}" if message else "")
    )


def shortfalls(found: Metric, at_least: float | None, at_most: float | None, deployed: Metric | None) -> Iterator[str]:
    """Yield a sentence for each bar that the metric does not pass; a bar that is None is passed.

    :param deployed: the metric of the deployed model, which must be beaten.
    :raises InvalidArgument: when a bar does not fit the metric.
    """
    if found.more_is_better and at_most is not None:
        raise InvalidArgument(f"at_most: more {found.name} is better, so the bar is at_least")
    if not found.more_is_better and at_least is not None:
        raise InvalidArgument(f"at_least: less {found.name} is better, so the bar is at_most")
    if at_least is not None and not found.value >= at_least:  # not <, so that NaN does not pass
        yield f"{found.name} {found.value} is not at least {at_least}"
    if at_most is not None and not found.value <= at_most:
        yield f"{found.name} {found.value} is not at most {at_most}"
    if deployed is not None and not found.beats(deployed):
        yield f"{found.name} {found.value} is no better than the deployed model's {deployed.value}"


def evaluation_to_compare(
    evaluations: Iterable[Mapping[str, object]], data_source_id: object
) -> Mapping[str, object] | None:
    """Return the deployed model's latest COMPLETED evaluation on the data source, else its latest on any.

    :param evaluations: all evaluations of the deployed model, the latest first.
    :param data_source_id: the data source on which the new model was evaluated.
    """
    completed = [one for one in evaluations if one.get("Status") == "COMPLETED"]
    same = [one for one in completed if one.get("EvaluationDataSourceId") == data_source_id]
    return next(iter(same or completed), None)
