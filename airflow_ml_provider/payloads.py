"""The types of what passes from one process to another: XComs, settings and events of triggers, outcomes of waits."""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"
JSONObject: TypeAlias = dict[str, JSON]
Description: TypeAlias = JSONObject  # of a resource, under AWS's names
Format = Literal["CSV", "JSON_LINES"]  # of a file of records or predictions

TRIGGER_FAILED = "__fail__"  # the method name with which Airflow resumes a task whose trigger failed or timed out


class RealtimeEndpoint(TypedDict):
    """The info of a model's endpoint under AWS's names, as XCom holds it."""

    MLModelId: str
    EndpointStatus: str
    PeakRequestsPerSecond: NotRequired[int]
    EndpointUrl: NotRequired[str]
    CreatedAt: NotRequired[str]


class EndpointClaim(TypedDict):
    """A task that has created an endpoint or uses it; ``MapIndex`` is -1 if it is not mapped.

    ``NamesAreWhole`` is whether the names are those in Airflow: in the tag long ones are cut, and characters that a tag
    may not hold are replaced.
    """

    DagId: str
    TaskId: str
    RunId: str
    MapIndex: int
    NamesAreWhole: bool


class BilledEndpoint(TypedDict):
    """An endpoint that costs money: its ``Hours`` so far, and in US dollars its ``HourlyPrice`` and ``Cost`` so far.

    ``DagId``, ``TaskId``, ``RunId`` and ``MapIndex`` identify the task that created it, if a tag names it. ``Claims``
    are that task and those that use the endpoint.
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
    Claims: list[EndpointClaim]


class ReportedEndpoint(BilledEndpoint, total=False):
    """A billed endpoint in a report: whether it is older than ``max_age``, and what was done about it."""

    Forgotten: bool
    Action: Literal["kept", "to delete", "deleted", "not deleted"]
    Reason: str


class UnreachedRegion(TypedDict):
    """A connection and region whose endpoints could not be listed, and why."""

    AwsConnId: str | None
    RegionName: str | None
    Message: str


class EndpointsReport(TypedDict):
    """The endpoints that cost money at ``ReportedAt``, over all connections and regions, and the sums over them all."""

    ReportedAt: str
    Endpoints: list[ReportedEndpoint]
    Unreached: list[UnreachedRegion]
    HourlyPrice: float
    Cost: float


class Prediction(TypedDict):
    """The prediction in Predict's answer, under AWS's names; which members it has depends on the type of the model."""

    predictedLabel: NotRequired[str]
    predictedValue: NotRequired[float]
    predictedScores: NotRequired[dict[str, float]]
    details: NotRequired[dict[str, str]]


class AwsSettings(TypedDict):
    """The four AWS arguments in plain JSON types, with which the task and the triggerer create the same hook."""

    aws_conn_id: str | None
    region_name: str | None
    verify: bool | str | None
    botocore_config: JSONObject | None


class Outcome(TypedDict):
    """How a wait ended: the result of a synchronous wait, and a part of a trigger's event.

    ``kind`` is ``failure`` when the resource has reached a state that excludes the one waited for, ``error`` when the
    Get failed. ``description`` is the resource's description by the last Get. ``permanent`` is whether the service has
    refused the Get for good, so that a retry would fail too.
    """

    kind: Literal["success", "failure", "timeout", "error"]
    message: str
    description: Description
    permanent: NotRequired[bool]


class Event(TypedDict):
    """The event with which a trigger resumes the task when a deferred wait has ended.

    ``wait`` is the wait as it ended (``Wait.to_json``), ``carried`` what the task passed to the trigger when it
    deferred.
    """

    outcome: Outcome
    wait: JSONObject
    carried: JSONObject
