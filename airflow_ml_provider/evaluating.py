"""Judge evaluations: is a model good enough, is it better than another. Pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast

from airflow_ml_provider.errors import InvalidArgument

# The metrics of the service → whether more is better.
METRICS = {"BinaryAUC": True, "MulticlassAvgFScore": True, "RegressionRMSE": False}


class Metric(NamedTuple):
    """What an evaluation has measured."""

    name: str
    value: float

    @property
    def more_is_better(self) -> bool:
        return METRICS[self.name]

    def beats(self, other: Metric) -> bool:
        """Return whether it is better than another; the same is not better.

        :raises InvalidArgument: when the other is a metric of another type of model.
        """
        if self.name != other.name:
            raise InvalidArgument(
                f"better_than_ml_model_id: its metric is {other.name}, and cannot be compared with {self.name}"
            )
        return self.value > other.value if self.more_is_better else self.value < other.value


def metric(evaluation: Mapping[str, object]) -> Metric:
    """Read the metric of an evaluation, as GetEvaluation and DescribeEvaluations give it.

    :raises ValueError: when it has none, as long as it is not COMPLETED: a later try may find one.
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
    """Yield a sentence for each bar that is not passed.

    :raises InvalidArgument: when a bar does not fit the metric.
    """
    if found.more_is_better and at_most is not None:
        raise InvalidArgument(f"at_most: more {found.name} is better, so the bar is at_least")
    if not found.more_is_better and at_least is not None:
        raise InvalidArgument(f"at_least: less {found.name} is better, so the bar is at_most")
    if at_least is not None and not found.value >= at_least:  # as NaN is not
        yield f"{found.name} {found.value} is not at least {at_least}"
    if at_most is not None and not found.value <= at_most:
        yield f"{found.name} {found.value} is not at most {at_most}"
    if deployed is not None and not found.beats(deployed):
        yield f"{found.name} {found.value} is no better than the deployed model's {deployed.value}"


def to_compare(evaluations: Iterable[Mapping[str, object]], data_source_id: object) -> Mapping[str, object] | None:
    """Choose the evaluation of a deployed model to compare with: the latest on that data source, else the latest.

    :param evaluations: all that the model has, the latest first.
    :param data_source_id: the data source on which the other model was evaluated.
    """
    completed = [one for one in evaluations if one.get("Status") == "COMPLETED"]
    same = [one for one in completed if one.get("EvaluationDataSourceId") == data_source_id]
    return next(iter(same + completed), None)
