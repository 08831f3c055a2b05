"""An endpoint that a task made is deleted when the task fails or is given up; any other is never touched."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import (
    AIRFLOW_3,
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor
from airflow_ml_provider.triggers import machine_learning as trigger_module
from tests.helpers import endpoints
from tests.helpers.deferred import finish, reloaded, resume, run_in_loop
from tests.helpers.endpoints import TAG_OPERATIONS, claims, deny, replace, status
from tests.helpers.task_instances import TaskInstance, context_of

if TYPE_CHECKING:
    from airflow_ml_provider.compat import Context
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture

# How SIGTERM ends a task: by our on_kill, or by Airflow 2 itself.
TERMINATED = SystemExit if AIRFLOW_3 else importlib.import_module("airflow.exceptions").AirflowTaskTerminated

TASK = {"dag_id": "dag", "task_id": "create", "run_id": "run", "map_index": -1}


class Store(dict[str, Any]):
    """Airflow 3.3's task state store: it outlives the tries of a task."""

    set = dict.__setitem__

    def delete(self, key: str) -> None:
        self.pop(key, None)


class NoXComs(dict[Any, Any]):
    """XComs that are lost, as at the start of the next try."""

    def __setitem__(self, key: str, value: Any) -> None:
        pass


@pytest.fixture
def task_state(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make Airflow answer that the task is in this state, or is no more."""

    def airflow_3(states: Any, **_: Any) -> None:
        from airflow.sdk.execution_time import task_runner

        answer = SimpleNamespace(task_states={"run": states} if states else {})
        comms = SimpleNamespace(send=lambda message: answer)
        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", comms, raising=False)

    def airflow_2(states: Any, **more: Any) -> None:
        from airflow.models import import_all_models
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils import session as airflow_session
        from sqlalchemy import create_engine, insert
        from sqlalchemy.orm import Session
        from sqlalchemy.pool import StaticPool

        import_all_models()  # type: ignore[no-untyped-call] # task_instance has keys into other tables
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        TaskInstance.__table__.create(engine)
        with Session(engine) as session:
            for state in states.values():
                session.execute(
                    insert(TaskInstance.__table__).values(**TASK, state=state, pool="p", pool_slots=1, **more)
                )
            session.commit()
        monkeypatch.setattr(airflow_session, "create_session", lambda: Session(engine))

    def say(state: str, **more: Any) -> None:
        if isinstance(state, Exception):
            monkeypatch.setattr(trigger_module, "is_given_up", partial(fail_with, state))
            return
        states = {} if state == "gone" else {"create": state}
        (airflow_3 if AIRFLOW_3 else airflow_2)(states, **more)

    return say


async def fail_with(error: Any, _: Any) -> None:
    raise error


def interrupt() -> None:
    raise KeyboardInterrupt


create = partial(endpoints.create, deferrable=True)


def deferred(task: Any, context: Context) -> Any:
    """Execute a task until it defers."""
    with pytest.raises(TaskDeferred) as caught:
        task.execute(context)
    return caught.value


def stop(service_clock: Clock, trigger: Any) -> None:
    """Run a trigger for a while, then stop it as Airflow does when the task is no longer deferred."""

    async def stopped() -> None:
        one: Any = reloaded(trigger)
        one.task_instance = SimpleNamespace(**TASK)
        task = asyncio.ensure_future(anext(one.run()))
        await asyncio.sleep(10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if AIRFLOW_3:
            await one.on_kill()

    run_in_loop(service_clock, stopped)


@pytest.mark.parametrize("state", ["failed", "skipped", "upstream_failed", "removed", "gone"])
def test_a_task_given_up_while_deferred_leaves_nothing(
    service: AmazonMLLocalFixture, service_clock: Clock, task_state: Callable[..., None], state: str
) -> None:
    """Marked failed, its run timed out (Airflow skips the task then) or deleted: the endpoint is deleted."""
    task_state(state)
    stop(service_clock, deferred(create(), {}).trigger)
    assert status(service) == "NONE"


def test_a_clean_up_that_failed_is_left_to_the_next_try(service: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """It is still known to be the task's own, so that the next try takes it over, and deletes it should it fail too."""
    context, times = context_of(TaskInstance()), {"waiter_delay": 10, "waiter_max_attempts": 3}
    service.faults.add("server_error", operation="DeleteRealtimeEndpoint")
    for left in ("UPDATING", "NONE"):
        with pytest.raises(AirflowException, match="the deadline of 30 s has passed"):
            create(deferrable=False, **times).execute(context)
        assert status(service) == left
        service.faults.clear()
    assert not claims(service)


def test_a_task_past_its_execution_timeout_leaves_nothing(
    service: AmazonMLLocalFixture, service_clock: Clock, task_state: Callable[..., None]
) -> None:
    """Airflow 2 fails it before it resumes, so the trigger cleans up; on Airflow 3 the resumed task does."""
    task_state("scheduled", next_method="__fail__")
    stop(service_clock, deferred(create(), {}).trigger)
    assert status(service) == ("UPDATING" if AIRFLOW_3 else "NONE")


def test_a_clean_up_that_airflow_interrupts_goes_on(
    service: AmazonMLLocalFixture, service_clock: Clock, task_state: Callable[..., None]
) -> None:
    """Airflow cancels a trigger again, every second or so, until it has ended."""
    task_state("failed")
    trigger = deferred(create(), {}).trigger

    async def interrupted() -> None:
        one: Any = reloaded(trigger)
        one.task_instance = SimpleNamespace(**TASK)
        killing = asyncio.create_task(one.on_kill())
        await asyncio.sleep(0)
        killing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killing
        await asyncio.sleep(100)

    run_in_loop(service_clock, interrupted)
    assert status(service) == "NONE"


def test_where_airflow_does_not_tell_the_state_nothing_is_deleted(
    service: AmazonMLLocalFixture,
    service_clock: Clock,
    task_state: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says that the endpoint is left."""
    trigger = deferred(create(), {}).trigger
    task_state(ConnectionError("no answer"))
    stop(service_clock, trigger)
    assert status(service) == "UPDATING"
    assert (
        "RealtimeEndpoint ml-1 in us-east-1: kept after an error; it costs money until somebody deletes it"
        in caplog.text
    )


@pytest.mark.parametrize("state", ["success", "deferred", None, "scheduled", "queued", "running", "up_for_retry"])
def test_a_task_that_succeeded_or_runs_again_keeps_its_endpoint(
    service: AmazonMLLocalFixture, service_clock: Clock, task_state: Callable[..., None], state: str | None
) -> None:
    """Marked success, or cleared and about to take it over; and a triggerer that is stopped deletes nothing."""
    task_state(state)
    stop(service_clock, deferred(create(), {}).trigger)
    assert status(service) == "UPDATING"


@pytest.mark.parametrize("arguments", [{}, {"delete_on_failure": False}])
def test_an_endpoint_that_is_not_to_be_deleted_outlives_the_task(
    service: AmazonMLLocalFixture, service_clock: Clock, task_state: Callable[..., None], arguments: dict[str, Any]
) -> None:
    """It was there before, or the user wants it kept."""
    task_state("failed")
    if not arguments:
        service.client().create_realtime_endpoint(MLModelId="ml-1")
    stop(service_clock, deferred(create(**arguments), {}).trigger)
    assert status(service) == "UPDATING"


@pytest.mark.parametrize("kept", ["tags", "store", "xcom"])
@pytest.mark.parametrize("end", ["failed", "deadline", "trigger lost", "trigger timed out"])
def test_a_deferred_failure_deletes_what_the_task_made(
    service: AmazonMLLocalFixture, service_clock: Clock, end: str, kept: str
) -> None:
    """However the deferred wait ends badly, the clean-up is that of the wait in the worker; where tags are denied,
    the task state store or an XCom tells that there is one."""
    task = create(waiter_delay=10, waiter_max_attempts=6)
    if kept != "tags":
        deny(service, *TAG_OPERATIONS)
    if kept == "store":
        context = context_of(TaskInstance(xcoms=NoXComs()), task_state_store=Store())
    else:
        context = context_of(TaskInstance())
    wait = deferred(task, context)
    if end == "failed":
        service.service.fail("RealtimeEndpoint", "ml-1")
        service_clock.advance(100)
    go_on = partial(resume, task, service_clock, context, wait)
    if end.startswith("trigger"):
        go_on = partial(task.resume_execution, "__fail__", {"error": end}, context)
    with pytest.raises(AirflowException, match="RealtimeEndpoint ml-1 in us-east-1|Airflow ended the deferred wait"):
        go_on()
    assert status(service) == "NONE"
    service.faults.clear()
    assert not claims(service)


def test_execution_timeout_bounds_a_deferred_wait(service: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """Airflow 3 does not count the time in the triggerer for it, so the wait's own deadline does. Airflow 2 ends such a
    wait itself, and would not let the task go on after an event that came first."""
    wait = deferred(create(waiter_delay=10, execution_timeout=timedelta(seconds=30)), {}).trigger.wait
    assert wait.deadline - wait.started == (30 if AIRFLOW_3 else 600)


def test_a_lost_trigger_deletes_nothing_that_was_there_before(service: AmazonMLLocalFixture) -> None:
    """Nor what nobody can tell to be ours."""
    service.client().create_realtime_endpoint(MLModelId="ml-1")
    with_store = context_of(TaskInstance(), task_state_store=Store())
    contexts: list[Context] = [{}, with_store, context_of(TaskInstance())]
    for context in contexts:
        with pytest.raises(AirflowException, match="Airflow ended the deferred wait: Trigger failure"):
            create().resume_execution("__fail__", {"error": "Trigger failure", "traceback": ["a\n", "b\n"]}, context)
    assert status(service) == "UPDATING"


def test_a_new_try_takes_over_what_a_killed_one_made(service: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """It goes on waiting for the same endpoint, which is its own: made once, and deleted when it fails."""
    context = context_of(TaskInstance())
    deferred(create(), context)
    made = service.client().get_ml_model(MLModelId="ml-1")["EndpointInfo"]["CreatedAt"]
    service_clock.advance(50)
    again = deferred(create(), context)
    assert again.trigger.carried["claim"]["inherited"]
    info = resume(create(), service_clock, context, again)
    assert info["CreatedAt"] == made.isoformat()
    assert [claim.at for claim in claims(service)] == [made.isoformat()]


def test_a_try_killed_before_its_create_was_answered_made_the_endpoint(
    service: AmazonMLLocalFixture, service_clock: Clock, at_next_sleep: Callable[[Callable[[], object]], None]
) -> None:
    """It was written down before Create that the endpoint would be ours, so a new try deletes it on failure."""
    context = context_of(TaskInstance())
    service.faults.add("reset", operation="CreateRealtimeEndpoint")
    at_next_sleep(interrupt)
    with pytest.raises(KeyboardInterrupt):
        create(delete_on_failure=False, waiter_delay=5).execute(context)
    service.faults.clear()
    service.client().create_realtime_endpoint(MLModelId="ml-1")
    service.service.fail("RealtimeEndpoint", "ml-1")
    with pytest.raises(AirflowException, match="status FAILED"):
        finish(create(), service_clock, context)
    assert status(service) == "NONE"


def test_a_try_killed_in_a_late_attempt_at_create_made_the_endpoint(
    service: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Create may be asked for again and again for minutes, so each further attempt is written down before it."""
    context, attempts = context_of(TaskInstance()), []
    task = create(delete_on_failure=False, waiter_delay=60, deferrable=False)
    call_once = task.hook.call_once

    def killed_in_the_third(operation: str, deadline: Any, **request: Any) -> Any:
        if operation == "CreateRealtimeEndpoint":
            attempts.append(service_clock.now())
            if len(attempts) == 3:
                call_once(operation, deadline, **request)
                raise KeyboardInterrupt
            raise ConnectionResetError
        return call_once(operation, deadline, **request)

    monkeypatch.setattr(task.hook, "call_once", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        task.execute(context)
    assert attempts[2] - attempts[0] > 120
    service.service.fail("RealtimeEndpoint", "ml-1")
    with pytest.raises(AirflowException, match="status FAILED"):
        finish(create(), service_clock, context)
    assert status(service) == "NONE"


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_new_try_creates_once_more_what_the_old_one_deleted(
    service: AmazonMLLocalFixture,
    service_clock: Clock,
    deferrable: bool,
    at_next_sleep: Callable[[Callable[[], object]], None],
) -> None:
    """The clean-up of a stopped try may come when the new one has already taken the endpoint over."""
    context = context_of(TaskInstance())
    deferred(create(), context)
    task = create(deferrable=deferrable)
    delete = partial(service.client().delete_realtime_endpoint, MLModelId="ml-1")
    if deferrable:
        wait = deferred(task, context)
        delete()
        info = resume(task, service_clock, context, wait)
    else:
        at_next_sleep(delete)
        info = task.execute(context)
    assert info["EndpointStatus"] == "READY"
    assert service.requests.count("CreateRealtimeEndpoint") == 3


def test_an_endpoint_made_anew_by_somebody_else_is_not_taken_for_ours(
    service: AmazonMLLocalFixture, service_clock: Clock
) -> None:
    """CreatedAt tells it from the one that an earlier try made."""
    context = context_of(TaskInstance())
    deferred(create(), context)
    replace(service)
    service.service.fail("RealtimeEndpoint", "ml-1")
    with pytest.raises(AirflowException, match="status FAILED"):
        finish(create(), service_clock, context)
    assert status(service) == "FAILED"


@pytest.mark.parametrize("deferrable", [False, True])
def test_what_somebody_made_in_its_place_is_not_deleted(
    service: AmazonMLLocalFixture,
    service_clock: Clock,
    at_next_sleep: Callable[[Callable[[], object]], None],
    deferrable: bool,
) -> None:
    """Made between two looks, it is not seen to be another one until the deadline; then it is, and it is kept."""
    task = create(deferrable=deferrable, waiter_delay=10, waiter_max_attempts=6)
    if deferrable:
        wait = deferred(task, {})
        replace(service)
        end = partial(resume, task, service_clock, {}, wait)
    else:
        at_next_sleep(partial(replace, service))
        end = partial(task.execute, {})
    with pytest.raises(AirflowException, match="the deadline of 60 s has passed"):
        end()
    assert status(service) == "UPDATING"
    assert service.requests.count("DeleteRealtimeEndpoint") == 1


def test_on_kill_keeps_what_somebody_made_in_its_place(
    service: AmazonMLLocalFixture, service_clock: Clock, task_state: Callable[..., None]
) -> None:
    """The trigger looks at CreatedAt too."""
    task_state("failed")
    wait = deferred(create(), {})
    replace(service)
    stop(service_clock, wait.trigger)
    assert status(service) == "UPDATING"


def test_what_is_gone_is_not_deleted_again(service: AmazonMLLocalFixture, service_clock: Clock) -> None:
    """A deleted endpoint ends the wait, and there is nothing to clean up."""
    wait = deferred(create(), {})
    service.client().delete_realtime_endpoint(MLModelId="ml-1")
    with pytest.raises(AirflowException, match="somebody deleted it"):
        resume(create(), service_clock, {}, wait)
    assert service.requests.count("DeleteRealtimeEndpoint") == 1


@pytest.mark.parametrize(("code", "error"), [("ThrottlingException", "deadline"), ("AccessDeniedException", "no")])
def test_a_create_that_was_only_ever_refused_owns_nothing(
    service: AmazonMLLocalFixture,
    service_clock: Clock,
    at_next_sleep: Callable[[Callable[[], object]], None],
    code: str,
    error: str,
) -> None:
    """What somebody else made meanwhile is kept, and no record calls a later one ours."""
    context = context_of(TaskInstance())
    refuse = partial(
        service.faults.add, "error", operation="CreateRealtimeEndpoint", code=code, message="no", status=400
    )

    def somebody() -> None:
        service.faults.clear()
        service.client().create_realtime_endpoint(MLModelId="ml-1")
        refuse()

    refuse()
    at_next_sleep(somebody)
    with pytest.raises(AirflowException, match=error):
        create(deferrable=False, waiter_delay=10, waiter_max_attempts=6).execute(context)
    assert service.requests.count("DeleteRealtimeEndpoint") == 0
    service.faults.clear()
    assert not claims(service)


def test_what_was_taken_over_is_deleted_although_create_is_refused(
    service: AmazonMLLocalFixture, service_clock: Clock
) -> None:
    """It is there since an earlier try; that this one is throttled for ever does not make it anybody else's."""
    context = context_of(TaskInstance())
    deferred(create(), context)
    service.faults.add("throttling", operation="CreateRealtimeEndpoint")
    with pytest.raises(AirflowException, match="deadline"):
        create(deferrable=False, waiter_delay=10, waiter_max_attempts=6).execute(context)
    assert status(service) == "NONE"
    service.faults.clear()
    assert not claims(service)


def test_a_create_that_may_have_succeeded_is_undone(
    service: AmazonMLLocalFixture, at_next_sleep: Callable[[Callable[[], object]], None]
) -> None:
    """After an error that leaves open what came of it, the endpoint counts as made."""
    service.faults.add("server_error", operation="CreateRealtimeEndpoint", when="after", count=1)
    at_next_sleep(lambda: service.faults.add("throttling", operation="CreateRealtimeEndpoint"))
    with pytest.raises(AirflowException, match="deadline"):
        create(deferrable=False, waiter_delay=10, waiter_max_attempts=6).execute({})
    assert service.requests.count("DeleteRealtimeEndpoint") == 1
    assert status(service) == "NONE"


@pytest.fixture
def kill_at_next_sleep(at_next_sleep: Callable[[Callable[[], object]], None]) -> Iterator[Callable[[Any], None]]:
    """Let a task get SIGTERM when it sleeps next; only Airflow 2's handler ends it by itself."""
    before = signal.getsignal(signal.SIGTERM)

    def kill(task: Any) -> None:
        def handle(*_: Any) -> None:
            task.on_kill()
            if not AIRFLOW_3:
                raise TERMINATED

        signal.signal(signal.SIGTERM, handle)
        at_next_sleep(lambda: os.kill(os.getpid(), signal.SIGTERM))

    yield kill
    signal.signal(signal.SIGTERM, before)


def test_sigterm_ends_the_wait_for_an_endpoint_of_its_own(
    service: AmazonMLLocalFixture, kill_at_next_sleep: Callable[[Any], None]
) -> None:
    """By an error that Airflow may retry; the endpoint is deleted."""
    task = create(deferrable=False)
    kill_at_next_sleep(task)
    with pytest.raises(TERMINATED):
        task.execute({})
    assert status(service) == "NONE"


@pytest.mark.parametrize("is_theirs", [True, False])
def test_sigterm_keeps_an_endpoint_that_is_not_to_be_deleted(
    service: AmazonMLLocalFixture, kill_at_next_sleep: Callable[[Any], None], is_theirs: bool
) -> None:
    """It ends the wait all the same."""
    if is_theirs:
        service.client().create_realtime_endpoint(MLModelId="ml-1")
    task = create(deferrable=False, delete_on_failure=is_theirs)
    kill_at_next_sleep(task)
    with pytest.raises(TERMINATED):
        task.execute({})
    assert status(service) == "UPDATING"


@pytest.mark.parametrize("delete_on_failure", [True, False])
@pytest.mark.parametrize("operation", ["DescribeTags", "GetMLModel", "AddTags", "CreateRealtimeEndpoint"])
def test_after_sigterm_before_create_nothing_is_created(
    service: AmazonMLLocalFixture, kill_at_next_sleep: Callable[[Any], None], operation: str, delete_on_failure: bool
) -> None:
    """Whichever call it interrupts; no claim stays."""
    service.faults.add("throttling", operation=operation, count=1)
    task = create(deferrable=False, delete_on_failure=delete_on_failure)
    kill_at_next_sleep(task)
    with pytest.raises(TERMINATED):
        task.execute(context_of(TaskInstance()))
    assert status(service) == "NONE"
    assert not claims(service)


def test_after_sigterm_in_the_wait_for_the_model_nothing_is_created(
    service: AmazonMLLocalFixture, kill_at_next_sleep: Callable[[Any], None]
) -> None:
    """There is no claim yet, but the task is to end."""
    service.service.durations.set(ml_model=500)
    service.client().create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    task = create(deferrable=False, ml_model_id="ml-2", wait_for_model=True)
    kill_at_next_sleep(task)
    with pytest.raises(TERMINATED):
        task.execute({})
    assert service.requests.count("CreateRealtimeEndpoint") == 0


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 ends the task by itself, whatever on_kill does")
def test_on_kill_before_the_task_begins_ends_it(service: AmazonMLLocalFixture) -> None:
    """Airflow renders its templates then, and would go on to execute it."""
    with pytest.raises(SystemExit):
        create(deferrable=False).on_kill()


def test_on_kill_after_the_task_does_nothing(service: AmazonMLLocalFixture) -> None:
    """Airflow stores the result then."""
    task = create(deferrable=False)
    task.execute({})
    task.on_kill()
    assert status(service) == "READY"


def test_on_kill_after_a_failure_does_nothing(service: AmazonMLLocalFixture) -> None:
    """Airflow calls it after execution_timeout, when the endpoint is deleted, and then reports the timeout."""
    task = create(deferrable=False, waiter_delay=10, waiter_max_attempts=1)
    with pytest.raises(AirflowException, match="deadline"):
        task.execute({})
    task.on_kill()
    assert status(service) == "NONE"


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2 ends the task by itself, whatever on_kill does")
def test_sigterm_does_not_end_the_deletion(
    service: AmazonMLLocalFixture,
    kill_at_next_sleep: Callable[[Any], None],
    at_next_sleep: Callable[[Callable[[], object]], None],
) -> None:
    """Of an endpoint whose task has failed."""
    service.service.fail("RealtimeEndpoint", "ml-1")
    service.faults.add("throttling", operation="DeleteRealtimeEndpoint", count=1)
    task = create(deferrable=False, waiter_delay=300)  # so that the second sleep is in the deletion
    at_next_sleep(lambda: kill_at_next_sleep(task))
    with pytest.raises(AirflowException, match="FAILED"):
        task.execute({})
    assert status(service) == "NONE"


@pytest.mark.parametrize(
    ("error", "arguments", "raised"),
    [
        ("Trigger timeout", {}, AirflowSensorTimeout),
        ("Trigger timeout", {"soft_fail": True}, AirflowSkipException),
        ("Trigger timeout", {"never_fail": True}, AirflowSkipException),
        ("Trigger failure", {}, AirflowException),
        ("Trigger failure", {"never_fail": True}, AirflowSkipException),
    ],
)
def test_a_sensor_whose_deferral_airflow_ended_fails_as_a_poke(
    service: AmazonMLLocalFixture, error: str, arguments: dict[str, Any], raised: Any
) -> None:
    """A lost trigger is no verdict: only never_fail skips on it, as it does on any error of a poke."""
    sensor = MachineLearningRealtimeEndpointSensor(task_id="wait", ml_model_id="ml-1", **arguments)
    with pytest.raises(raised, match="Airflow ended the deferred wait"):
        sensor.resume_execution("__fail__", {"error": error}, {})


def test_soft_fail_does_not_skip_on_a_lost_trigger(service: AmazonMLLocalFixture) -> None:
    """As it does not skip on an unexpected error of a poke."""
    sensor = MachineLearningRealtimeEndpointSensor(task_id="wait", ml_model_id="ml-1", soft_fail=True)
    with pytest.raises(AirflowException) as caught:
        sensor.resume_execution("__fail__", {"error": "Trigger failure"}, {})
    assert not isinstance(caught.value, AirflowSkipException)
