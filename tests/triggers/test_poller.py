"""One poll loop for many waits: what it asks, what it costs, and that it ends."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider import retrying, waiting
from airflow_ml_provider.clock import CLOCK
from airflow_ml_provider.payloads import AwsSettings
from airflow_ml_provider.triggers import poller as poller_module
from airflow_ml_provider.triggers.poller import GRACE, Poller, poller
from airflow_ml_provider.waiting import Wait
from tests.helpers.deferred import first_event, run_in_loop
from tests.helpers.endpoints import called

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.triggers.machine_learning import MachineLearningTrigger
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture


SETTINGS: AwsSettings = {
    "aws_conn_id": "aws_default",
    "region_name": "eu-west-1",
    "verify": False,
    "botocore_config": {"user_agent_extra": "mine"},
}


def outcomes(service_clock: Clock, triggers: Any) -> Any:
    """Run triggers side by side; return how each of their waits ended."""

    async def together() -> list[Any]:
        events = await asyncio.gather(*(first_event(trigger) for trigger in triggers))
        assert not poller_module._pollers[asyncio.get_running_loop()]
        return [event.payload["outcome"] for event in events]

    return run_in_loop(service_clock, together)


def operations(amazon_ml_local: AmazonMLLocalFixture) -> Counter[str]:
    """Return how often each operation was called."""
    return Counter(called(amazon_ml_local))


def test_many_waits_share_a_list(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """150 waits cost two pages an interval, and one Get each when they may have changed."""
    ids = endpoints(150)
    found = outcomes(service_clock, [trigger(model_id) for model_id in ids])
    assert {outcome["description"]["EndpointStatus"] for outcome in found} == {"READY"}
    assert [outcome["description"]["MLModelId"] for outcome in found] == ids
    # Looks at 30, 60 and 90 s see two pages each, the one at 120 s an empty page.
    assert operations(amazon_ml_local) == {"DescribeMLModels": 7, "GetMLModel": 150}


def test_few_waits_get_each(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """A list pays only from ten waits on."""
    outcomes(service_clock, [trigger(model_id) for model_id in endpoints(9)])
    assert operations(amazon_ml_local) == {"GetMLModel": 9 * 4}


def test_waits_that_begin_apart_share_their_rounds(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """Twenty waits that begin within an interval end in common rounds of one list."""
    ids = endpoints(20)

    async def one_after_another() -> None:
        async def late(place: Any, model_id: str) -> Any:
            await asyncio.sleep(place)
            return await first_event(trigger(model_id))

        await asyncio.gather(*(late(place, model_id) for place, model_id in enumerate(ids)))

    run_in_loop(service_clock, one_after_another)
    assert operations(amazon_ml_local)["DescribeMLModels"] <= 8
    assert operations(amazon_ml_local)["GetMLModel"] <= 30


def test_a_forbidden_list_costs_calls_only(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """Where Describe is denied, it is asked once, and then each wait by its Get."""
    ids = endpoints(12)
    amazon_ml_local.faults.add("error", operation="DescribeMLModels", code="AccessDeniedException", message="no")
    found = outcomes(service_clock, [trigger(model_id) for model_id in ids])
    assert {outcome["kind"] for outcome in found} == {"success"}
    assert operations(amazon_ml_local) == {"DescribeMLModels": 1, "GetMLModel": 12 * 4}


def test_a_list_that_lags_costs_time_only(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """The verdict is a Get's: a list of a minute ago delays it by no more than that minute and a look."""
    ids = endpoints(12)
    amazon_ml_local.faults.add("lag", seconds=60)
    began = service_clock.now()
    found = outcomes(service_clock, [trigger(model_id) for model_id in ids])
    assert {outcome["kind"] for outcome in found} == {"success"}
    assert service_clock.now() - began <= 100 + 60 + 30


def test_waits_without_a_status_are_in_no_list(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """If the first poll of each failed there is no status to select by, and AWS does not have ours."""
    ids = endpoints(12)
    service_clock.advance(200)
    outcomes(service_clock, [trigger(model_id, status=waiting.NOT_SEEN) for model_id in ids])
    assert operations(amazon_ml_local) == {"GetMLModel": 12}


def test_a_full_account_costs_one_list_more_at_most(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """Where a state is that of many others too, paging stops before it costs as much as a Get for each."""
    endpoints(0)
    client = amazon_ml_local.client()
    for number in range(205):
        client.create_ml_model(MLModelId=f"other-{number}", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    amazon_ml_local.requests.clear()
    found = outcomes(service_clock, [trigger(f"other-{n}", status="NONE", seconds=60) for n in range(180, 192)])
    assert {outcome["kind"] for outcome in found} == {"timeout"}
    assert operations(amazon_ml_local) == {"DescribeMLModels": 1, "GetMLModel": 12 * 2}


def test_throttling_costs_few_calls_for_however_many_waits(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """An error that passes stops the round: the service in trouble is not asked for each of a hundred waits."""
    ids = endpoints(100)
    amazon_ml_local.faults.add("throttling")
    began = service_clock.now()
    found = outcomes(service_clock, [trigger(model_id) for model_id in ids])
    assert {outcome["kind"] for outcome in found} == {"timeout"}
    assert all("ThrottlingException: " in outcome["message"] for outcome in found)
    assert service_clock.now() - began <= 600 + GRACE
    assert len(amazon_ml_local.requests) <= 15


def test_a_deadline_hurries_only_its_own_wait(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """Under throttling each deadline costs one last look, and the others go on backing off."""
    ids = endpoints(30)
    amazon_ml_local.faults.add("throttling")
    waits = [trigger(model_id, seconds=600 + 20 * place) for place, model_id in enumerate(ids)]
    assert {outcome["kind"] for outcome in outcomes(service_clock, waits)} == {"timeout"}
    assert len(amazon_ml_local.requests) <= 60


def test_backing_off_outlasts_an_outage_of_days() -> None:
    """An event trigger never gives up, so its errors are without number."""
    wait = waiting.Wait("realtime_endpoint_ready", "ml-1", "", float("inf"), 60.0, 0, failures=2000)
    assert 150 <= retrying.next_pause(wait) <= 300


def test_a_cancelled_wait_is_forgotten(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """Nobody asks for it any more; with the last wait loop and thread end."""
    kept, dropped = endpoints(2)

    async def drop_one() -> None:
        waits = [asyncio.create_task(first_event(trigger(model_id))) for model_id in (kept, dropped)]
        await asyncio.sleep(40)
        waits[1].cancel()
        await asyncio.sleep(40)
        waits[0].cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        assert not poller_module._pollers[asyncio.get_running_loop()]
        amazon_ml_local.requests.clear()
        await asyncio.sleep(1000)

    run_in_loop(service_clock, drop_one)
    assert not list(amazon_ml_local.requests)
    for thread in threading.enumerate():
        if thread.name == "machine-learning-call":
            thread.join(60)
            assert not thread.is_alive()


def test_the_deadline_outlives_the_triggerer(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """It is absolute: a trigger that another triggerer takes over ends when the first would have."""
    amazon_ml_local.service.durations.set(realtime_endpoint=100_000)
    (model_id,) = endpoints(1)
    amazon_ml_local.client().delete_realtime_endpoint(MLModelId=model_id)
    began, waits = service_clock.now(), trigger(model_id)

    async def killed() -> None:
        task = asyncio.create_task(first_event(waits))
        await asyncio.sleep(400)
        task.cancel()

    run_in_loop(service_clock, killed)
    (outcome,) = outcomes(service_clock, [waits])
    assert outcome["kind"] == "timeout"
    assert outcome["message"].startswith(f"RealtimeEndpoint {model_id} in us-east-1: status NONE after 600 s and ")
    assert service_clock.now() - began == pytest.approx(600, abs=1)


@pytest.mark.parametrize("hours", [-1, 1])
def test_setting_the_clock_loses_no_look_and_times_nothing_out(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
) -> None:
    """The deadline is held to the time that really passes while the process lives."""
    (model_id,), waits = endpoints(1), []
    amazon_ml_local.client().delete_realtime_endpoint(MLModelId=model_id)

    async def set_meanwhile() -> Any:
        waits.append(asyncio.create_task(first_event(trigger(model_id))))
        await asyncio.sleep(100)
        monkeypatch.setattr(CLOCK, "wall", lambda: service_clock.now() + hours * 3600)
        return await waits[0]

    began = service_clock.now()
    outcome = run_in_loop(service_clock, set_meanwhile).payload["outcome"]
    assert outcome["kind"] == "timeout"
    assert service_clock.now() - began == pytest.approx(600, abs=1)
    assert operations(amazon_ml_local)["GetMLModel"] == 20


def test_a_deadline_that_passed_while_no_triggerer_ran_gets_a_last_look(
    service_clock: Clock, endpoints: Callable[[int], list[str]], trigger: Callable[..., MachineLearningTrigger]
) -> None:
    """What was READY in time counts as READY, however late somebody looks."""
    (model_id,) = endpoints(1)
    late = trigger(model_id)
    service_clock.advance(10_000)
    (outcome,) = outcomes(service_clock, [late])
    assert outcome["kind"] == "success"


def test_a_look_under_way_does_not_outlast_the_deadline(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """An answer that does not come holds up the poller's thread, and no wait."""
    (model_id,) = endpoints(1)
    amazon_ml_local.faults.add("slow", seconds=1000)
    service_clock.set_speed(100)
    service_clock.resume()
    began = service_clock.now()
    (outcome,) = outcomes(service_clock, [trigger(model_id, seconds=60)])
    assert outcome["kind"] == "timeout"
    assert service_clock.now() - began <= 60 + GRACE + 300  # three real seconds; the answer would take ten


def test_a_connection_that_is_missing_is_an_error(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """Nothing goes on with whatever credentials it finds."""
    (model_id,) = endpoints(1)
    (outcome,) = outcomes(service_clock, [trigger(model_id, aws_conn_id="nowhere")])
    assert outcome["kind"] == "error"
    assert "aws_conn_id: the connection 'nowhere' does not exist" in outcome["message"]
    assert not list(amazon_ml_local.requests)


@pytest.mark.parametrize("conn_id", ["aws_default", None])
def test_boto3s_own_chain_serves_without_a_connection(
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
    monkeypatch: pytest.MonkeyPatch,
    conn_id: str | None,
) -> None:
    """aws_default may be missing, and None asks for none."""
    (model_id,) = endpoints(1)
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    (outcome,) = outcomes(service_clock, [trigger(model_id, aws_conn_id=conn_id)])
    assert outcome["kind"] == "success"


def test_expired_credentials_are_read_anew(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection is looked up again, so that whoever renews it there need not restart the triggerer."""
    (model_id,) = endpoints(1)
    amazon_ml_local.faults.add("expired_token", count=1)

    async def renewed() -> Any:
        task = asyncio.create_task(first_event(trigger(model_id)))
        await asyncio.sleep(20)
        fresh = {"conn_type": "aws", "login": "fresh-key", "password": "fresh-secret"}
        await asyncio.sleep(20)
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(fresh | {"extra": {"region_name": "us-east-1"}}))
        return await task

    event = run_in_loop(service_clock, renewed)
    assert event.payload["outcome"]["kind"] == "success"
    keys = [request.access_key for request in amazon_ml_local.requests]
    assert keys[0] != "fresh-key"
    assert set(keys[1:]) == {"fresh-key"}


def test_settings_reach_the_client(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
) -> None:
    """Region, verify and botocore config are the task's own; each call is one attempt."""
    seen: dict[str, Any] = {}

    async def asked() -> None:
        def look(hook: MachineLearningClientHook) -> Any:
            client: Any = hook.one_attempt_client
            seen.update(region=client.meta.region_name, agent=client.meta.config.user_agent, verify=hook.verify)
            return client.meta.config.retries["total_max_attempts"]

        assert await poller(SETTINGS).call_with_hook(look) == 1

    run_in_loop(service_clock, asked)
    assert seen["region"] == "eu-west-1"
    assert seen["verify"] is False
    assert "mine" in seen["agent"]


def test_settings_that_differ_share_no_client(service_clock: Clock) -> None:
    """The same settings share one."""

    async def pollers() -> list[Poller]:
        return [poller(SETTINGS), poller({**SETTINGS}), poller({**SETTINGS, "verify": None})]

    own, same, other = run_in_loop(service_clock, pollers)
    assert own is same
    assert own is not other


def test_what_blocks_finds_the_triggerers_event_loop(service_clock: Clock) -> None:
    """Airflow 3.0 to 3.2 talk to their supervisor by the loop that asgiref finds for the thread; no other will do."""
    from asgiref.sync import async_to_sync

    from airflow_ml_provider.triggers.threads import in_thread

    async def running_loop() -> Any:
        return asyncio.get_running_loop()

    async def loops() -> tuple[Any, ...]:
        return asyncio.get_running_loop(), await in_thread(async_to_sync(running_loop))

    ours, theirs = asyncio.run(loops())
    assert theirs is ours


def test_waits_with_a_role_assume_it_once(
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    endpoints: Callable[[int], list[str]],
    trigger: Callable[..., MachineLearningTrigger],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All of a poller's waits, lists and Gets share one session."""
    extra = {"region_name": "us-east-1", "role_arn": "arn:aws:iam::123456789012:role/ml"}
    connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    ids = endpoints(20)
    with caplog.at_level("INFO", "amazon_ml_local.serving.other_services"):
        found = outcomes(service_clock, [trigger(model_id) for model_id in ids])
    assert [outcome["kind"] for outcome in found] == ["success"] * 20
    assert [text for text in caplog.messages if text.startswith("sts ")] == ["sts POST / 200"]


def test_a_wait_that_is_cancelled_in_mid_look_holds_up_no_other(
    service_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that is cleared while it is looked at ends its own look, and not the loop that looks for all."""
    looking, answer = asyncio.Event(), {"kind": "success", "message": "", "description": {}}

    async def poll(self: Any, wait: Any) -> Any:
        if wait.resource_id == "cancelled":
            looking.set()
            await asyncio.Event().wait()
        return answer

    async def main() -> Any:
        now = CLOCK.now()
        waits = [Wait("realtime_endpoint_ready", name, "", now + 600, 0.1, now) for name in ("cancelled", "other")]
        settings = AwsSettings(aws_conn_id=None, region_name="us-east-1", verify=None, botocore_config=None)
        cancelled = asyncio.create_task(poller(settings).outcome(waits[0]))
        await looking.wait()
        other = asyncio.create_task(poller(settings).outcome(waits[1]))
        await asyncio.sleep(0)
        cancelled.cancel()
        return await asyncio.wait_for(other, 20)

    service_clock.resume()
    monkeypatch.setattr(Poller, "poll", poll)
    assert asyncio.run(main()) == answer
