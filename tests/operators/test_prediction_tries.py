"""Two tries at one output, whatever comes between their steps; and what damage costs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from airflow_ml_provider.compat import AirflowException
from airflow_ml_provider.scoring.record import TakenOver
from tests.helpers.files import OUTPUT, SOURCE, predict

if TYPE_CHECKING:
    from tests.helpers.files import Bucket

ERRORS, PARTS, RECORD = f"{OUTPUT}.errors.csv", f"{OUTPUT}.parts/", f"{OUTPUT}.parts/progress.json"
SMALL = "id,x\n" + "".join(f"k{number},{30 + number}\n" for number in range(4)) + "ragged\n"
OTHER = "id,x\n" + "".join(f"other{number},{number}\n" for number in range(3))


class S3Calls:
    """The calls of S3 that this process makes, and what happens at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, self.at = 0, -1
        self.event: Callable[[], object] = lambda: None
        self.when = "before"
        original = vars(BaseClient)["_make_api_call"]

        def call(client: Any, operation: str, parameters: Any) -> Any:
            if client.meta.service_model.service_name != "s3":
                return original(client, operation, parameters)
            self.count += 1
            here = self.count == self.at
            if here and self.when == "before":
                self.event()
            try:
                return original(client, operation, parameters)
            finally:  # an object that is not there is an error, too
                if here and self.when == "after":
                    self.event()

        monkeypatch.setattr(BaseClient, "_make_api_call", call)

    def let(self, event: Any, at: Any, when: str = "before") -> None:
        """Arrange an event at a call, once, counted from now."""
        self.count, self.at, self.event, self.when = 0, at, event, when


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> S3Calls:
    """Levers for the calls of S3."""
    return S3Calls(monkeypatch)


def small(**arguments: Any) -> Any:
    return predict(**{"rows_per_part": 2, "max_errors": 1} | arguments)


def clear(bucket: Bucket) -> None:
    for uri in bucket.uris():
        bucket.client.delete_object(Bucket="bucket", Key=uri.removeprefix("s3://bucket/"))
    bucket.put(SOURCE, SMALL)


def leftovers(bucket: Bucket) -> Any:
    """Return what no finished run leaves."""
    uploads = bucket.client.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
    return {uri for uri in bucket.uris() if uri.startswith(PARTS)} | {item["Key"] for item in uploads}


def undisturbed(bucket: Bucket, calls: Any, source: Any = SMALL) -> tuple[Any, ...]:
    """Return the bytes of output and errors file, and how many calls of S3 a try makes."""
    clear(bucket)
    bucket.put(SOURCE, source)
    calls.let(lambda: None, 0)
    small()
    count = calls.count
    found = {uri: bucket.get(uri) for uri in bucket.uris() if uri != SOURCE}
    clear(bucket)
    return found, count


def another_try() -> None:
    small()


def two_more_tries() -> None:
    """The next try dies, unless nothing is left to predict, and the one after it finishes."""
    with suppress(AirflowException):
        small(max_errors=0)
    small()


@pytest.mark.system
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("meanwhile", [another_try, two_more_tries])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_try_that_sleeps_at_any_call_spoils_nothing(
    bucket: Bucket, calls: S3Calls, meanwhile: Callable[..., Any], when: str
) -> None:
    """While it sleeps another try finishes; then it stops, or does the same, and nothing but the output is left."""
    files, count = undisturbed(bucket, calls)
    outcomes = {}
    for at in range(1, count + 1):
        clear(bucket)
        calls.let(meanwhile, at, when)
        try:
            small()
        except AirflowException as error:
            outcomes[at] = error
        assert {uri: bucket.get(uri) for uri in bucket.uris() if uri != SOURCE} == files, f"call {at}"
        assert not leftovers(bucket), f"call {at}"
    strange = [(at, repr(error)) for at, error in outcomes.items() if not isinstance(error, TakenOver)]
    assert strange == []


@pytest.mark.system
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("old", [None, SMALL, OTHER], ids=["nothing", "the same", "another"])
def test_a_try_that_wakes_after_a_run_of_another_source_spoils_nothing(
    bucket: Bucket, calls: S3Calls, old: str | None
) -> None:
    """Whatever was there before: the output is of the last source, and a try that was taken over leaves nothing.

    One that claims the output later than that run fails on the source that has changed, and leaves its record to the
    next try.
    """
    _, count = undisturbed(bucket, calls)
    other, _ = undisturbed(bucket, calls, OTHER)

    def changed() -> None:
        bucket.put(SOURCE, OTHER)
        predict(rows_per_part=2)

    for at in range(1, count + 1):
        clear(bucket)
        if old:
            bucket.put(SOURCE, old)
            small()
            bucket.put(SOURCE, SMALL)
        calls.let(changed, at)
        try:
            small()
        except TakenOver:
            pass
        except AirflowException:
            predict(rows_per_part=2)
        if calls.count < at:
            break  # the old output is complete, so that this try makes fewer calls
        assert {uri: bucket.get(uri) for uri in bucket.uris() if uri != SOURCE} == other, f"call {at}"
        assert not leftovers(bucket), f"call {at}"


@pytest.mark.system
@pytest.mark.timeout(1800)
def test_a_kill_at_any_call_costs_nothing_but_time(bucket: Bucket, calls: S3Calls) -> None:
    """The next try makes the same bytes, and clears what the dead one left."""

    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    files, count = undisturbed(bucket, calls)
    for at, when in itertools.product(range(1, count + 1), ("before", "after")):
        clear(bucket)
        calls.let(kill, at, when)
        with pytest.raises(Killed):
            small()
        small()
        assert {uri: bucket.get(uri) for uri in bucket.uris() if uri != SOURCE} == files, f"{when} call {at}"
        assert not leftovers(bucket), f"{when} call {at}"
