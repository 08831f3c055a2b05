"""What crosses a process: values in XCom, the settings and events of triggers, the outcome of a wait."""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"
Description: TypeAlias = dict[str, JSON]
Format = Literal["CSV", "JSON_LINES"]  # of a file of records or predictions

TRIGGER_FAILED = "__fail__"  # Airflow's name for the method of a task whose trigger is lost


class RealtimeEndpoint(TypedDict):
    """The endpoint of a model, under AWS's names: what XCom holds."""

    MLModelId: str
    EndpointStatus: str
    PeakRequestsPerSecond: NotRequired[int]
    EndpointUrl: NotRequired[str]
    CreatedAt: NotRequired[str]


class BilledEndpoint(TypedDict):
    """An endpoint that costs money: ``Hours`` since it was created, US dollars an hour, US dollars so far.

    ``DagId``, ``TaskId``, ``RunId`` and ``MapIndex`` (-1 for a task that is not mapped) identify the task that made
    it, where its tag says so.
    """

    AwsConnId: str | None
    RegionName: str
    MLModelId: str
    Name: str
    EndpointStatus: str
    CreatedAt: str
    Hours: float
    HourlyPrice: float
    Cost: float
    DagId: NotRequired[str]
    TaskId: NotRequired[str]
    RunId: NotRequired[str]
    MapIndex: NotRequired[int]


class ReportedEndpoint(BilledEndpoint, total=False):
    """A billed endpoint in a report: whether it is older than ``max_age``, and what was done about it."""

    Forgotten: bool
    Action: Literal["kept", "to delete", "deleted", "not deleted"]
    Reason: str


class UnreachedRegion(TypedDict):
    """A connection and region that could not be asked, and why."""

    AwsConnId: str | None
    RegionName: str | None
    Message: str


class EndpointsReport(TypedDict):
    """The endpoints that cost money at a moment, over all connections and regions that were asked."""

    ReportedAt: str
    Endpoints: list[ReportedEndpoint]
    Unreached: list[UnreachedRegion]
    HourlyPrice: float
    Cost: float


class Prediction(TypedDict):
    """What Predict answers, under AWS's names: scores are float32, a class's or the value's members may be absent."""

    predictedLabel: NotRequired[str]
    predictedValue: NotRequired[float]
    predictedScores: NotRequired[dict[str, float]]
    details: NotRequired[dict[str, str]]


class AwsSettings(TypedDict):
    """The four AWS arguments, in plain JSON types: what makes a hook here and in the triggerer."""

    aws_conn_id: str | None
    region_name: str | None
    verify: bool | str | None
    botocore_config: dict[str, JSON] | None


class Outcome(TypedDict):
    """How a wait ended: what the synchronous wait returns, and what a trigger's event carries.

    ``description`` is what the last Get said of the thing, in plain JSON types; ``permanent`` is whether the service
    has refused the Get in a way that no retry changes.
    """

    kind: Literal["success", "failure", "timeout", "error"]
    message: str
    description: Description
    permanent: NotRequired[bool]


class Event(TypedDict):
    """What a trigger tells the task when a deferred wait has ended.

    ``wait`` is the wait as it stands then, ``carried`` what the task gave along when it deferred.
    """

    outcome: Outcome
    wait: Description
    carried: dict[str, JSON]
