"""One task's claim on an endpoint, as it is written into a tag of the MLModel.

A claim says that a task creates, has created or uses the endpoint, so that no other task deletes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from airflow_ml_provider.payloads import RealtimeEndpoint

KEY = "airflow-endpoint"
VALUE_LENGTH = 256  # characters, the most that AWS takes
LONGEST_CALL = 60.0  # seconds after which a Create whose answer was lost has created its endpoint, or never will

State = Literal["creating", "created", "using"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class ClaimTag:
    """One task's claim on the endpoint of a model.

    ``key`` identifies the try of the task. The three ids are for people: in the tag long ones are cut, and characters
    that a tag may not hold are replaced.

    ``state`` is ``creating`` from before Create until its answer. Then it is ``created``, or ``using`` if another task
    has created the endpoint. ``at`` is the endpoint's ``CreatedAt``. While ``creating``, ``at`` is the service's time
    before Create, empty if the service did not send it, ``again`` is the seconds from then until the last attempt at
    Create, and ``earlier`` is the ``CreatedAt`` of the endpoint that the task had before, which may still exist.
    ``leaving`` is whether the task is about to delete the endpoint.
    """

    key: str = ""
    dag_id: str = ""
    task_id: str = ""
    run_id: str = ""
    map_index: int = -1
    state: State = "creating"
    at: str = ""
    again: int = 0
    earlier: str = ""
    leaving: bool = False

    def __str__(self) -> str:
        place = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"task {self.task_id}{place} of Dag {self.dag_id} in run {self.run_id}"

    @property
    def instance(self) -> str:
        """The part of the key that all tries of a task instance have."""
        return self.key.partition("/")[0]

    @property
    def try_number(self) -> int:
        """The number of the try, from 1; 0 if the key has none."""
        number = self.key.partition("/")[2]
        return int(number) if number.isdecimal() else 0

    @property
    def has_whole_names(self) -> bool:
        """Whether the three ids are those of the task, neither cut nor with other characters."""
        return key_of(self.dag_id, self.task_id, self.run_id) in (self.instance, self.instance.rpartition(":")[0])

    def belongs_to(self, claim: ClaimTag) -> bool:
        """Return whether this is the claim of the same try, or of an earlier try of the same task instance."""
        return self.instance == claim.instance and self.try_number <= claim.try_number

    def with_state_of(self, claim: ClaimTag) -> ClaimTag:
        """Return this claim in the state of another one."""
        return replace(claim, key=self.key, dag_id=self.dag_id, task_id=self.task_id, run_id=self.run_id)

    def covers(self, endpoint: RealtimeEndpoint, within: float = LONGEST_CALL) -> bool:
        """Return whether the claim is on this endpoint, and not on an earlier or later one of the same model.

        While ``creating``, a claim without ``at`` covers every endpoint.

        :param within: while ``creating``, the seconds after ``at`` in which the endpoint may have been created.
        """
        created_at = endpoint.get("CreatedAt")
        if not created_at:
            return False
        if self.state != "creating":
            return _seconds(self.at, created_at) == 0
        if self.earlier and _seconds(self.earlier, created_at) == 0:
            return True
        return not self.at or 0 <= _seconds(self.at, created_at) <= within + self.again

    def seconds_until(self, time: str) -> float:
        """Return the seconds from ``at`` to a time of the service; 0 if one of them is unknown."""
        return _seconds(self.at, time) if self.at and time else 0.0

    def is_create_over(self, time: str) -> bool:
        """Return whether at this time of the service no Create that the claim announced can still be running."""
        return self.state != "creating" or self.seconds_until(time) > LONGEST_CALL + self.again

    def to_tag(self) -> dict[str, str]:
        """Return the claim as a tag, with a value such as ``created=2026-11-30T09:00:00+00:00 dag=d task=t run=r``."""
        pairs = {self.state: self.at, "dag": self.dag_id, "task": self.task_id, "run": self.run_id}
        if self.map_index >= 0:
            pairs["map"] = str(self.map_index)
        if self.again:
            pairs["again"] = str(self.again)
        if self.earlier:
            pairs["earlier"] = self.earlier
        if self.leaving:
            pairs["leaving"] = "yes"
        while len(value := " ".join(f"{name}={text}" for name, text in pairs.items())) > VALUE_LENGTH:
            longest = max(("dag", "task", "run"), key=lambda name: len(pairs[name]))
            pairs[longest] = pairs[longest][:-1]
        return {"Key": self.key, "Value": value}


def parse(tag: Mapping[str, str]) -> ClaimTag | None:
    """Return the claim in a tag, or None if it is another tag.

    :param tag: an item of DescribeTags' ``Tags``.
    """
    key = tag["Key"]
    pairs = dict(pair.split("=", 1) for pair in (tag.get("Value") or "").split(" ") if "=" in pair)
    state = next((state for state in STATES if state in pairs), None)
    if state is None or not key.startswith(f"{KEY}:") or not _is_time(pairs[state]):
        return None
    map_index, again, earlier = (pairs.get(name, "") for name in ("map", "again", "earlier"))
    return ClaimTag(
        key,
        pairs.get("dag", ""),
        pairs.get("task", ""),
        pairs.get("run", ""),
        map_index=int(map_index) if map_index.isdecimal() else -1,
        state=state,
        at=pairs[state],
        again=int(again) if again.isdecimal() else 0,
        earlier=earlier if _is_time(earlier) else "",
        leaving="leaving" in pairs,
    )


def new_claim_tag(dag_id: str, task_id: str, run_id: str, map_index: int = -1, try_number: int = 1) -> ClaimTag:
    """Return a new claim of a try of a task instance."""
    instance = key_of(dag_id, task_id, run_id) + (f":{map_index}" if map_index >= 0 else "")
    names = [_as_tag_text(name) for name in (dag_id, task_id, run_id)]
    return ClaimTag(f"{instance}/{try_number}", names[0], names[1], names[2], map_index)


def key_of(dag_id: str, task_id: str, run_id: str) -> str:
    """Return what the keys of a task's tags in a run begin with.

    After it come a colon and the map index of a mapped task, and then a slash and the number of the try.
    """
    digest = hashlib.sha256(json.dumps([dag_id, task_id, run_id]).encode()).hexdigest()
    return f"{KEY}:{digest[:16]}"


def in_utc(time: str, after: float = 0) -> str:
    """Return a time in UTC, as tags hold it, plus some seconds.

    :param time: in ISO 8601 with any offset; botocore's times have the worker's.
    """
    return (datetime.fromisoformat(time).astimezone(UTC) + timedelta(seconds=after)).isoformat()


def _seconds(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def _is_time(text: str) -> bool:
    """Return whether a text is a time with an offset, or empty, as where the service sent no ``Date``."""
    try:
        return not text or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _as_tag_text(name: str) -> str:
    """Return a name with a dash for each character that a tag may not hold, or that separates the pairs."""
    return "".join(letter if letter.isalnum() or letter in "_.:/+-@" else "-" for letter in name)
