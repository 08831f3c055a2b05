"""Whose an endpoint is: what create writes down, and what the delete task of the same run makes of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from airflow_ml_provider import ownership
from airflow_ml_provider.compat import DAG, AirflowException, AirflowFailException
from airflow_ml_provider.hooks.machine_learning import MachineLearningHook
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)
from airflow_ml_provider.waiting import Wait
from tests.helpers.endpoints import TAG_OPERATIONS, called, claims, delete, deny, replace, status
from tests.helpers.task_instances import States, TaskInstance

if TYPE_CHECKING:
    from mypy_boto3_machinelearning.type_defs import TagTypeDef

    from airflow_ml_provider.claim_tag import ClaimTag
    from airflow_ml_provider.payloads import Description
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.faults import When
    from amazon_ml_local.fixture import AmazonMLLocalFixture


class Delete(MachineLearningDeleteRealtimeEndpointOperator):
    """Record in ``kept`` why the endpoint is kept."""

    def __init__(self, *, kept: list[str], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.kept = kept

    def keep(self, register: ownership.Register, reason: str) -> Description:
        self.kept.append(reason)
        return super().keep(register, reason)


class Run:
    """One run of a Dag whose task ``delete`` deletes what its task ``create`` made.

    Each execution is another try. Two runs with the same id are tries of the same tasks.
    """

    try_numbers = count(1)

    def __init__(
        self, run_id: str = "run", *, has_delete: bool = True, ml_model_id: str = "ml-1", **arguments: Any
    ) -> None:
        self.run_id = run_id
        self.xcoms: dict[tuple[str, int, str], Any] = {}
        self.states: States = {}
        with DAG("dag", schedule=None):
            self.create = MachineLearningCreateRealtimeEndpointOperator(
                task_id="create", ml_model_id=ml_model_id, **arguments
            )
            if has_delete:
                self.kept: list[str] = []
                self.delete = Delete(task_id="delete", ml_model_id=ml_model_id, created_by="create", kept=self.kept)

    def execute(self, task_id: str, map_index: int = -1) -> Any:
        return getattr(self, task_id).execute(self.context(task_id, map_index))

    def context(self, task_id: str, map_index: int = -1) -> Any:
        ti = TaskInstance(
            task_id,
            run_id=self.run_id,
            map_index=map_index,
            try_number=next(self.try_numbers),
            xcoms=self.xcoms,
            states=self.states,
        )
        return {"ti": ti}

    def finish(self) -> None:
        """Execute both tasks, as another try of create and the delete task after it."""
        self.execute("create")
        self.execute("delete")
        self.states["delete", -1] = "success"


WakeLate = Callable[[Run, Callable[[], object]], None]


@pytest.fixture
def theirs(service: AmazonMLLocalFixture, service_clock: Clock) -> AmazonMLLocalFixture:
    """An endpoint that somebody made a while ago."""
    service.client().create_realtime_endpoint(MLModelId="ml-1")
    service_clock.advance(200)
    service.requests.clear()
    return service


@pytest.fixture(params=["waits", "does not wait", "waits, tags denied", "does not wait, tags denied"])
def form(request: pytest.FixtureRequest, service: AmazonMLLocalFixture) -> dict[str, Any]:
    """The arguments of a create that waits or not, where tags are allowed or denied."""
    if "denied" in request.param:
        deny(service, *TAG_OPERATIONS)
    return {"wait_for_completion": request.param.startswith("waits")}


class TestDelete:
    def test_deletes_what_create_made(self, service: AmazonMLLocalFixture, form: dict[str, Any]) -> None:
        """And leaves no claim."""
        run = Run(**form)
        run.execute("create")
        assert run.execute("delete")["EndpointStatus"] == "NONE"
        assert status(service) == "NONE"
        service.faults.clear()
        assert not claims(service)

    def test_keeps_what_was_there_before(self, theirs: AmazonMLLocalFixture, form: dict[str, Any]) -> None:
        """An endpoint that somebody made stays, and the log says why."""
        run = Run(**form)
        run.execute("create")
        assert run.execute("delete")["EndpointStatus"] == "READY"
        assert status(theirs) == "READY"
        assert run.kept == ["task create has created none in this run"]
        theirs.faults.clear()
        assert not claims(theirs)

    def test_keeps_what_was_made_in_its_place(self, service: AmazonMLLocalFixture, form: dict[str, Any]) -> None:
        """It looks right before it deletes."""
        run = Run(**form)
        run.execute("create")
        replace(service)
        run.execute("delete")
        assert status(service) == "UPDATING"
        assert run.kept[0].startswith("it is another one, created at 20")

    @pytest.mark.parametrize("run_id", ["run", "another run"])
    def test_keeps_what_no_create_of_this_run_made(self, theirs: AmazonMLLocalFixture, run_id: str) -> None:
        """Create was skipped, or an earlier run made the endpoint."""
        Run(run_id="an earlier run").execute("create")
        Run(run_id=run_id).execute("delete")
        assert status(theirs) == "READY"

    def test_what_is_gone_already_is_success(self, service: AmazonMLLocalFixture) -> None:
        """Somebody has deleted it."""
        run = Run(wait_for_completion=False)
        run.execute("create")
        service.client().delete_realtime_endpoint(MLModelId="ml-1")
        assert run.execute("delete")["EndpointStatus"] == "NONE"
        assert service.requests.count("DeleteRealtimeEndpoint") == 1

    def test_a_deleted_model_is_success(self, service: AmazonMLLocalFixture) -> None:
        """A teardown must not fail the run because its model was deleted."""
        run = Run(wait_for_completion=False)
        run.execute("create")
        service.client().delete_realtime_endpoint(MLModelId="ml-1")
        service.client().delete_ml_model(MLModelId="ml-1")
        assert run.execute("delete")["EndpointStatus"] == "NONE"

    def test_an_unknown_model_is_success(self, service: AmazonMLLocalFixture) -> None:
        """A teardown must not fail the run because its model is not there."""
        assert Run(ml_model_id="ml-0").execute("delete") == {"MLModelId": "ml-0"}

    @pytest.mark.parametrize("tags", [True, False])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_deletes_after_a_create_that_was_killed(
        self,
        service: AmazonMLLocalFixture,
        at_next_sleep: Callable[[Callable[[], object]], None],
        tags: bool,
        when: When,
    ) -> None:
        """Killed in Create, before its answer: the claim written before it says that what came of it is this run's."""
        if not tags:
            deny(service, *TAG_OPERATIONS)
        run = Run(delete_on_failure=False)
        service.faults.add("reset", operation="CreateRealtimeEndpoint", when=when, count=1)

        def killed() -> None:
            raise KeyboardInterrupt

        at_next_sleep(killed)
        with pytest.raises(KeyboardInterrupt):
            run.execute("create")
        assert status(service) == ("UPDATING" if when == "after" else "NONE")
        run.execute("delete")
        assert status(service) == "NONE"
        assert service.requests.count("DeleteRealtimeEndpoint") == (when == "after")

    def test_each_mapped_create_is_known_by_its_model(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """One delete task deletes its own model's endpoint, whichever map index made it."""
        service.client().create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
        service_clock.advance(3600)
        one, two = Run(wait_for_completion=False), Run(wait_for_completion=False, ml_model_id="ml-2")
        one.execute("create", map_index=0)
        two.execute("create", map_index=1)
        two.execute("delete", map_index=1)
        assert (status(service), status(service, "ml-2")) == ("UPDATING", "NONE")
        one.execute("delete", map_index=0)
        assert status(service) == "NONE"

    def test_where_the_endpoint_cannot_be_looked_at_it_is_deleted(
        self, service: AmazonMLLocalFixture, caplog: pytest.LogCaptureFixture
    ) -> None:
        """AWS's policy for managing endpoints allows Create and Delete alone; the log says what could not be told."""
        deny(service, *TAG_OPERATIONS, "GetMLModel")
        run = Run(wait_for_completion=False)
        run.execute("create")
        run.execute("delete")
        assert "deleting it without knowing whether it was replaced by another" in caplog.text
        service.faults.clear()
        assert status(service) == "NONE"

    def test_where_nothing_may_be_looked_at_what_was_there_is_kept(self, theirs: AmazonMLLocalFixture) -> None:
        """Create's own answer says that it did not make the endpoint: CreatedAt is before AWS's Date."""
        deny(theirs, *TAG_OPERATIONS, "GetMLModel")
        run = Run(wait_for_completion=False)
        run.execute("create")
        assert run.execute("delete") == {"MLModelId": "ml-1"}
        theirs.faults.clear()
        assert status(theirs) == "READY"

    def test_without_created_by_it_deletes_whatever_there_is(self, theirs: AmazonMLLocalFixture) -> None:
        """As AWS's operation does, with no look at tags."""
        delete().execute({})
        assert called(theirs) == ["DeleteRealtimeEndpoint"]

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_delete_that_is_repeated_looks_again(
        self, service: AmazonMLLocalFixture, at_next_sleep: Callable[[Callable[[], object]], None], when: When
    ) -> None:
        """Between two attempts another run may have begun to use the endpoint, or have created its own."""
        one, two = Run("one", wait_for_completion=False), Run("two", wait_for_completion=False)
        one.execute("create")
        service.faults.add("reset", operation="DeleteRealtimeEndpoint", when=when, count=1)
        at_next_sleep(lambda: two.execute("create"))
        one.execute("delete")
        assert status(service) == "UPDATING"
        two.execute("delete")
        assert status(service) == "NONE"

    def test_a_delete_that_failed_is_retried(self, service: AmazonMLLocalFixture) -> None:
        """The claim stays until the endpoint is gone."""
        run = Run(wait_for_completion=False)
        run.execute("create")
        service.faults.add(
            "error", operation="DeleteRealtimeEndpoint", code="AccessDeniedException", status=400, count=1
        )
        with pytest.raises(AirflowException, match="IAM action machinelearning:DeleteRealtimeEndpoint"):
            run.execute("delete")
        service.faults.clear()
        run.execute("delete")
        assert status(service) == "NONE"


class TestTeardown:
    def test_runs_whatever_became_of_create(self) -> None:
        """Airflow's own rule for a teardown with setups would skip it when create has failed."""
        run = Run()
        delete = run.delete.as_teardown(setups=run.create)
        assert delete is run.delete
        assert (delete.trigger_rule, delete.is_teardown, run.create.is_setup) == ("all_done", True, True)
        assert run.delete.upstream_task_ids == {"create"}

    def test_a_mapped_one_takes_the_rule_from_who_writes_the_dag(self) -> None:
        """Airflow makes a mapped task's teardown itself."""
        run = Run(has_delete=False)
        operator = MachineLearningDeleteRealtimeEndpointOperator.partial(task_id="delete", created_by="create")
        delete = operator.expand(ml_model_id=["ml-1"]).as_teardown(setups=run.create)
        assert delete.trigger_rule == "all_done_setup_success"
        delete.trigger_rule = "all_done"
        assert (delete.trigger_rule, delete.is_teardown) == ("all_done", True)
        assert run.create.delete_tasks == ["delete"]

    def test_without_created_by_it_is_airflows_own(self) -> None:
        """It would delete what it did not make."""
        assert delete().as_teardown().trigger_rule == "all_done_setup_success"


class TestCreate:
    def test_without_waiting_it_makes_no_get(self, service: AmazonMLLocalFixture) -> None:
        """Create's own answer says whether it made the endpoint; tags hold it from before Create on."""
        Run(wait_for_completion=False).execute("create")
        assert called(service) == ["DescribeTags", "AddTags", "CreateRealtimeEndpoint", "AddTags"]
        (claim,) = claims(service)
        assert (claim.dag_id, claim.task_id, claim.run_id, claim.state) == ("dag", "create", "run", "created")

    def test_the_claim_stands_before_create(
        self, service: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A task that is killed in Create has written down that it may make the endpoint."""
        deny(service, "CreateRealtimeEndpoint")
        seen: list[ClaimTag] = []
        run = Run(delete_on_failure=False)
        ask = run.create.create_with_retries

        def look_and_ask(claim: ownership.Claim) -> Any:
            seen.extend(claims(service))
            return ask(claim)

        monkeypatch.setattr(run.create, "create_with_retries", look_and_ask)
        with pytest.raises(AirflowException):
            run.execute("create")
        assert [claim.state for claim in seen] == ["creating"]
        assert not claims(service)

    def test_where_the_time_is_not_said_the_endpoint_counts_as_made(
        self, theirs: AmazonMLLocalFixture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Then the delete task deletes it, and the log says that it could not be told."""
        monkeypatch.setattr("airflow_ml_provider.claims._earliest_time", lambda answer: "")
        run = Run(wait_for_completion=False)
        run.execute("create")
        assert "counts as created by this task, since the service did not send its time" in caplog.text
        run.execute("delete")
        assert status(theirs) == "NONE"

    def test_a_retry_knows_what_an_earlier_try_made(self, service: AmazonMLLocalFixture, service_clock: Clock) -> None:
        """On every Airflow, also where the earlier try was killed: the tag says it."""
        Run(wait_for_completion=False).execute("create")
        service_clock.advance(30)
        service.service.fail("RealtimeEndpoint", "ml-1")
        service.faults.clear()
        run = Run(if_exists="fail", waiter_delay=10, waiter_max_attempts=2)
        with pytest.raises(AirflowException, match="deadline"):
            run.execute("create")
        assert status(service) == "NONE"

    def test_a_retry_that_does_not_wait_keeps_its_claim(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """Its Create shows an endpoint from before it, which is its own all the same."""
        run = Run(wait_for_completion=False)
        run.execute("create")
        service_clock.advance(300)
        run.execute("create")
        run.execute("delete")
        assert status(service) == "NONE"

    def test_an_endpoint_that_failed_and_is_made_anew_is_this_tasks(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """Create restarts one that FAILED: CreatedAt shows that it is another."""
        service.service.fail("RealtimeEndpoint", "ml-1")
        run = Run(wait_for_completion=False)
        run.execute("create")
        service_clock.advance(200)
        assert status(service) == "FAILED"
        run.execute("create")
        run.execute("delete")
        assert status(service) == "NONE"

    @pytest.mark.parametrize("waits", [True, False])
    def test_what_a_killed_retry_made_anew_is_this_tasks(
        self, service: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch, waits: bool
    ) -> None:
        """Killed between Create's answer and the next tag: the claim before Create covers both endpoints."""
        service.service.fail("RealtimeEndpoint", "ml-1")
        run = Run(wait_for_completion=False)
        run.execute("create")
        service_clock.advance(200)
        assert status(service) == "FAILED"
        retry = Run(wait_for_completion=waits, delete_on_failure=False)
        monkeypatch.setattr(ownership.Claim, "record_creator", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            retry.execute("create")
        assert status(service) == "UPDATING"
        run.execute("delete")
        assert status(service) == "NONE"

    def test_a_killed_retry_still_has_the_endpoint_of_the_earlier_try(
        self, service: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Killed before Create: the claim that it has just written covers that endpoint too."""
        run = Run(wait_for_completion=False, delete_on_failure=False)
        run.execute("create")
        service_clock.advance(200)
        monkeypatch.setattr(run.create, "create_with_retries", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run.execute("create")
        run.execute("delete")
        assert status(service) == "NONE"

    def test_a_retry_that_fails_keeps_what_somebody_made_in_place_of_the_first(
        self, theirs: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """The claim covers the earlier try's endpoint and what comes after it, not what was made in between."""
        run = Run(wait_for_completion=False, waiter_delay=10, waiter_max_attempts=6)
        replace(theirs)
        run.execute("create")
        service_clock.advance(200)
        replace(theirs)
        service_clock.advance(200)
        theirs.faults.add("throttling", operation="CreateRealtimeEndpoint")
        with pytest.raises(AirflowException, match="deadline"):
            run.execute("create")
        run.execute("delete")
        assert status(theirs) == "READY"

    def test_claims_on_endpoints_that_are_gone_are_deleted(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """A model can have few tags, and a Dag without a delete task would add one with every run."""
        for number in range(3):
            Run(run_id=f"run {number}", wait_for_completion=False, has_delete=False).execute("create")
            service_clock.advance(10)
            service.client().delete_realtime_endpoint(MLModelId="ml-1")
        assert [claim.run_id for claim in claims(service)] == ["run-2"]

    def test_a_retry_deletes_the_claims_of_earlier_tries(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """A model can have few tags, and a task many tries."""
        run = Run(wait_for_completion=False)
        for _ in range(3):
            run.execute("create")
            service_clock.advance(30)
        (claim,) = claims(service)
        assert claim.state == "created"

    def test_claims_of_earlier_tries_that_cannot_be_deleted_fail_no_retry(self, service: AmazonMLLocalFixture) -> None:
        """They are in nobody's way but for the number of tags."""
        run = Run(wait_for_completion=False, waiter_delay=10, waiter_max_attempts=6)
        run.execute("create")
        service.faults.add("throttling", operation="DeleteTags")
        run.execute("create")
        service.faults.clear()
        run.execute("delete")
        assert status(service) == "NONE"
        assert not claims(service)

    def test_a_retry_that_fails_before_create_leaves_no_claim_of_an_earlier_try(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """That claim would keep the endpoint for ever, in a Dag without a delete task."""
        arguments: dict[str, Any] = {"has_delete": False, "waiter_delay": 10, "waiter_max_attempts": 6}
        one, two = Run("one", wait_for_completion=False, **arguments), Run("two", wait_for_completion=False)
        one.execute("create")
        service_clock.advance(20)
        two.execute("create")
        service.faults.add("throttling", operation="CreateRealtimeEndpoint")
        with pytest.raises(AirflowException, match="deadline"):
            one.execute("create")
        service.faults.clear()
        two.execute("delete")
        assert status(service) == "NONE"
        assert not claims(service)

    def test_a_retry_that_is_ended_before_its_claim_leaves_no_claim_of_an_earlier_try(
        self, service: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SIGTERM comes between its look at the endpoint and what it writes down."""
        one, two = Run("one", wait_for_completion=False, has_delete=False), Run("two", wait_for_completion=False)
        one.execute("create")
        service_clock.advance(20)
        two.execute("create")
        with monkeypatch.context() as patch:
            patch.setattr(ownership.Claim, "announce", Mock(side_effect=SystemExit(143)))
            with pytest.raises(SystemExit):
                one.execute("create")
        two.execute("delete")
        assert status(service) == "NONE"

    def test_a_retry_that_may_not_delete_tags_still_sees_others(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """One operation on tags that is denied does not take the others away."""
        deny(service, "DeleteTags")
        run, two = Run(waiter_delay=10, waiter_max_attempts=2), Run("two", wait_for_completion=False)
        Run(wait_for_completion=False).execute("create")
        service_clock.advance(20)
        two.execute("create")
        with pytest.raises(AirflowException, match="deadline"):
            run.execute("create")
        assert status(service) == "UPDATING"

    def test_where_a_retry_can_add_no_tag_others_are_still_seen(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """The model has as many tags as AWS allows; the delete task keeps what another run uses."""
        one, two = Run("one", wait_for_completion=False), Run("two", wait_for_completion=False)
        one.execute("create")
        service_clock.advance(20)
        two.execute("create")
        tags: list[TagTypeDef] = [{"Key": f"tag {number}", "Value": ""} for number in range(48)]
        service.client().add_tags(ResourceId="ml-1", ResourceType="MLModel", Tags=tags)
        one.execute("create")
        one.execute("delete")
        assert status(service) == "UPDATING"

    def test_what_an_earlier_try_creates_at_the_last_moment_is_this_tasks(
        self, service: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is created between the retry's look at the endpoint and that at the claims."""
        first, retry = Run(wait_for_completion=False), Run()
        existing_endpoint = retry.create.existing_endpoint

        def look(claim: ownership.Claim) -> Any:
            found = existing_endpoint(claim)
            first.execute("create")
            service_clock.advance(5)
            return found

        monkeypatch.setattr(retry.create, "existing_endpoint", look)
        monkeypatch.setattr(Run, "try_numbers", iter([2, 1, 1]))  # the retry begins before the earlier try ends
        retry.execute("create")
        retry.execute("delete")
        assert status(service) == "NONE"

    def test_of_two_mapped_creates_at_one_model_each_keeps_its_own_claim(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """Where tags are denied, Airflow stores one claim for each map index."""
        deny(service, *TAG_OPERATIONS)
        run = Run(wait_for_completion=False)
        run.execute("create", map_index=0)
        service_clock.advance(300)
        service.client().delete_realtime_endpoint(MLModelId="ml-1")
        service_clock.advance(300)
        run.execute("create", map_index=1)
        run.execute("delete")
        assert status(service) == "NONE"

    def test_a_throttled_create_is_repeated_ever_more_rarely(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """What succeeds between its attempts, such as the claim's own calls, does not shorten the pauses."""
        service.faults.add("throttling", operation="CreateRealtimeEndpoint")
        with pytest.raises(AirflowException, match="deadline"):
            Run(waiter_delay=1, waiter_max_attempts=600).execute("create")
        assert service.requests.count("CreateRealtimeEndpoint") < 20

    def test_a_model_full_of_tags_is_no_failure(self, service: AmazonMLLocalFixture) -> None:
        """Where no tag can be added Airflow keeps the claim."""
        tags: list[TagTypeDef] = [{"Key": f"tag {number}", "Value": ""} for number in range(50)]
        service.client().add_tags(ResourceId="ml-1", ResourceType="MLModel", Tags=tags)
        run = Run(wait_for_completion=False)
        run.execute("create")
        run.execute("delete")
        assert status(service) == "NONE"

    def test_errors_that_pass_are_asked_again(self, service: AmazonMLLocalFixture) -> None:
        """Throttling of the calls about tags is no denial."""
        for operation in TAG_OPERATIONS:
            service.faults.add("throttling", operation=operation, count=2)
        run = Run()
        run.execute("create")
        assert len(claims(service)) == 1
        assert not run.xcoms
        run.execute("delete")
        assert not claims(service)


def assert_too_late(run: Run, service: AmazonMLLocalFixture) -> None:
    """Assert that the create task fails, since its delete task has begun, and leaves nothing behind."""
    with pytest.raises(AirflowFailException, match="created too late, since delete has already begun"):
        run.execute("create")
    assert status(service) == "NONE"
    assert not claims(service)


class TestLateTry:
    """A try that Airflow had given up wakes again; another try and the delete task do their work meanwhile."""

    @pytest.fixture
    def wake_late(self, monkeypatch: pytest.MonkeyPatch) -> WakeLate:
        """Let the create task of a run sleep right before Create, while something else happens."""

        def sleep(run: Run, meanwhile: Callable[[], object]) -> None:
            create_with_retries = run.create.create_with_retries

            def wake(claim: ownership.Claim) -> Any:
                meanwhile()
                return create_with_retries(claim)

            monkeypatch.setattr(run.create, "create_with_retries", wake)

        return sleep

    def test_after_an_earlier_try_it_leaves_no_endpoint(
        self, service: AmazonMLLocalFixture, service_clock: Clock, wake_late: WakeLate
    ) -> None:
        """The endpoint of the earlier try was there when it looked, and has been deleted before its Create."""
        run = Run(wait_for_completion=False)
        run.execute("create")
        service_clock.advance(20)
        another_try = Run(wait_for_completion=False)
        run.states = another_try.states
        wake_late(run, another_try.finish)
        assert_too_late(run, service)

    def test_as_the_first_try_it_leaves_no_endpoint(
        self, service: AmazonMLLocalFixture, service_clock: Clock, wake_late: WakeLate
    ) -> None:
        """There was no endpoint when it looked; another one has been created and deleted before its Create."""
        run = Run(wait_for_completion=False, delete_on_failure=False)
        second_try = Run(wait_for_completion=False)

        def others() -> None:
            second_try.finish()
            service_clock.advance(60)

        run.states = second_try.states
        wake_late(run, others)
        assert_too_late(run, service)

    @pytest.mark.parametrize("seconds", [5, 60])
    def test_of_a_task_that_has_failed_it_leaves_no_endpoint(
        self, service: AmazonMLLocalFixture, service_clock: Clock, wake_late: WakeLate, seconds: int
    ) -> None:
        """In a Dag without a delete task only the create task deletes the endpoint."""
        run = Run(wait_for_completion=False, has_delete=False)
        if seconds < ownership.TAKEN_OVER_AFTER:
            run.execute("create")  # so that the try that wakes up is a retry

        def others() -> None:
            service_clock.advance(seconds)
            service.client().delete_realtime_endpoint(MLModelId="ml-1")
            run.states["create", -1] = "failed"

        wake_late(run, others)
        with pytest.raises(AirflowException, match="created too late, since the last try of create has failed"):
            run.execute("create")
        assert status(service) == "NONE"
        assert not claims(service)

    def test_of_a_task_that_has_succeeded_it_keeps_its_endpoint(
        self, service: AmazonMLLocalFixture, service_clock: Clock, wake_late: WakeLate
    ) -> None:
        """Another try has created it, and the tasks after it are using it."""
        run, another_try = Run(wait_for_completion=False), Run(wait_for_completion=False)

        def others() -> None:
            another_try.execute("create")
            run.states["create", -1] = "success"
            service_clock.advance(60)

        wake_late(run, others)
        run.execute("create")
        assert status(service) == "UPDATING"
        run.execute("delete")
        assert status(service) == "NONE"

    @pytest.mark.parametrize("tries", [1, 2])
    @pytest.mark.parametrize("state", ["running", "success"])
    def test_that_writes_its_claim_late_it_leaves_no_endpoint(
        self,
        service: AmazonMLLocalFixture,
        service_clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
        tries: int,
        state: str,
    ) -> None:
        """Its claim is stored then, but the delete task, which would heed it, has begun before."""
        run, another_try = Run(wait_for_completion=False), Run(wait_for_completion=False)
        for _ in range(tries - 1):
            run.execute("create")
        announce = ownership.Claim.announce

        def wake(claim: ownership.Claim) -> None:
            monkeypatch.setattr(ownership.Claim, "announce", announce)
            another_try.finish()
            run.states["delete", -1] = state
            service_clock.advance(60)
            announce(claim)

        monkeypatch.setattr(ownership.Claim, "announce", wake)
        assert_too_late(run, service)

    def test_that_looks_late_it_leaves_no_endpoint(
        self, service: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It slept, or its calls were throttled, between its look at the delete task and that at the endpoint."""
        run, another_try = Run(wait_for_completion=False), Run(wait_for_completion=False)
        run.states = another_try.states
        existing_endpoint = run.create.existing_endpoint

        def wake(claim: ownership.Claim) -> Any:
            another_try.finish()
            service_clock.advance(60)
            return existing_endpoint(claim)

        monkeypatch.setattr(run.create, "existing_endpoint", wake)
        assert_too_late(run, service)

    def test_that_is_ended_it_keeps_the_endpoint_of_a_later_try(
        self, service: AmazonMLLocalFixture, at_next_sleep: Callable[[Callable[[], object]], None]
    ) -> None:
        """The later try has gone on with its endpoint and has succeeded, and the tasks after it use it."""
        run, later = Run(), Run(wait_for_completion=False)

        def others() -> None:
            later.execute("create")
            raise SystemExit(143)

        at_next_sleep(others)
        with pytest.raises(SystemExit):
            run.execute("create")
        assert status(service) == "UPDATING"
        later.execute("delete")
        assert status(service) == "NONE"
        assert not claims(service)

    def test_that_is_ended_it_keeps_the_claim_of_a_later_try(
        self,
        service: AmazonMLLocalFixture,
        service_clock: Clock,
        at_next_sleep: Callable[[Callable[[], object]], None],
    ) -> None:
        """The later try has created another endpoint, which the delete task knows by that claim."""
        service.service.fail("RealtimeEndpoint", "ml-1")
        run, later = Run(), Run(wait_for_completion=False)

        def others() -> None:
            service_clock.advance(200)
            later.execute("create")
            raise SystemExit(143)

        at_next_sleep(others)
        with pytest.raises(SystemExit):
            run.execute("create")
        later.execute("delete")
        assert status(service) == "NONE"
        assert not later.kept

    def test_it_does_not_keep_the_endpoint_of_another_run(
        self, service: AmazonMLLocalFixture, service_clock: Clock, wake_late: WakeLate
    ) -> None:
        """Its claim on it would stay for ever, since its own delete task has run."""
        run, another_try, two = (Run(run_id, wait_for_completion=False) for run_id in ("one", "one", "two"))

        def others() -> None:
            another_try.finish()
            service_clock.advance(60)
            two.execute("create")

        run.states = another_try.states
        wake_late(run, others)
        with pytest.raises(AirflowFailException, match="created too late, since delete has already begun"):
            run.execute("create")
        assert status(service) == "UPDATING"
        two.execute("delete")
        assert status(service) == "NONE"

    def test_in_its_wait_it_creates_nothing_again(
        self, service: AmazonMLLocalFixture, at_next_sleep: Callable[[Callable[[], object]], None]
    ) -> None:
        """Its endpoint is gone since the delete task has run, not since another Dag has deleted it."""
        run = Run()
        Run(wait_for_completion=False).execute("create")

        def others() -> None:
            run.execute("delete")
            run.states["delete", -1] = "success"

        at_next_sleep(others)
        with pytest.raises(AirflowFailException, match="not created, since delete has already begun"):
            run.execute("create")
        assert service.requests.count("CreateRealtimeEndpoint") == 2
        assert status(service) == "NONE"

    def test_a_create_that_took_long_keeps_its_endpoint(
        self, service: AmazonMLLocalFixture, service_clock: Clock, wake_late: WakeLate
    ) -> None:
        """Its delete task has not begun, and no other try of it has failed."""
        run = Run(wait_for_completion=False)
        wake_late(run, partial(service_clock.advance, 60))
        assert run.execute("create")["EndpointStatus"] == "UPDATING"
        run.execute("delete")
        assert status(service) == "NONE"


class TestTwoCreators:
    def test_who_fails_leaves_the_endpoint_to_who_waits_for_it(
        self, service: AmazonMLLocalFixture, at_next_sleep: Callable[[Callable[[], object]], None]
    ) -> None:
        """The other one came later, uses what it found, and deletes it in the end."""
        one, two = Run("one", waiter_delay=10, waiter_max_attempts=3), Run("two", wait_for_completion=False)
        at_next_sleep(lambda: two.execute("create"))
        with pytest.raises(AirflowException, match="deadline"):
            one.execute("create")
        assert status(service) == "UPDATING"
        assert [(claim.run_id, claim.state) for claim in claims(service)] == [("two", "using")]
        two.execute("delete")
        assert status(service) == "NONE"

    @pytest.mark.parametrize("seconds", [0, 20])
    @pytest.mark.parametrize("first", ["one", "two"])
    def test_the_last_one_deletes(
        self, service: AmazonMLLocalFixture, service_clock: Clock, seconds: int, first: str
    ) -> None:
        """In whatever order the runs end, and whether both asked in one second or not."""
        runs = {name: Run(name, wait_for_completion=False) for name in ("one", "two")}
        runs["one"].execute("create")
        service_clock.advance(seconds)
        runs["two"].execute("create")
        last = {"one": "two", "two": "one"}[first]
        runs[first].execute("delete")
        assert status(service) == "UPDATING"
        assert runs[first].kept == [f"task create of Dag dag in run {last} uses it"]
        runs[last].execute("delete")
        assert status(service) == "NONE"
        assert not claims(service)

    def test_two_that_leave_at_once_leave_no_endpoint(self, service: AmazonMLLocalFixture) -> None:
        """Each has said that it leaves before it asks who else is there."""
        one, two = Run("one", wait_for_completion=False), Run("two", wait_for_completion=False)
        one.execute("create")
        two.execute("create")
        write = ownership.Register.write

        def meanwhile(self: Any, *claims: Any) -> None:
            write(self, *claims)
            if claims[0].run_id == "one":
                two.execute("delete")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ownership.Register, "write", meanwhile)
            one.execute("delete")
        assert status(service) == "NONE"

    def test_a_use_that_nobody_would_end_ends_with_create(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """A Dag without a delete task cannot keep another's endpoint alive for ever."""
        one, two = Run("one", wait_for_completion=False), Run("two", wait_for_completion=False, has_delete=False)
        one.execute("create")
        service_clock.advance(20)
        two.execute("create")
        assert [claim.run_id for claim in claims(service)] == ["one"]

    def test_a_use_that_nobody_would_end_ends_beside_a_create_that_was_killed(
        self, service: AmazonMLLocalFixture, service_clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The claim of the killed task still says ``creating``, and covers the endpoint all the same."""
        one = Run("one", wait_for_completion=False, delete_on_failure=False)
        with monkeypatch.context() as patch:
            patch.setattr(ownership.Claim, "record_creator", Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                one.execute("create")
        service_clock.advance(20)
        Run("two", wait_for_completion=False, has_delete=False).execute("create")
        one.execute("delete")
        assert status(service) == "NONE"

    def test_who_fails_and_repeats_its_delete_looks_again(
        self, service: AmazonMLLocalFixture, at_next_sleep: Callable[[Callable[[], object]], None]
    ) -> None:
        """The answer of its first Delete was lost, and another run has created an endpoint since."""
        one, two = Run("one"), Run("two", wait_for_completion=False)

        def ended() -> None:
            service.faults.add("reset", operation="DeleteRealtimeEndpoint", when="after", count=1)
            at_next_sleep(lambda: two.execute("create"))
            raise SystemExit(143)

        at_next_sleep(ended)
        with pytest.raises(SystemExit):
            one.execute("create")
        assert status(service) == "UPDATING"

    def test_what_others_delete_while_this_waits_is_created_once_more(
        self, service: AmazonMLLocalFixture, service_clock: Clock, at_next_sleep: Callable[[Callable[[], object]], None]
    ) -> None:
        """They had looked before this task said that it uses their endpoint."""
        one, two = Run("one", wait_for_completion=False), Run("two")
        one.execute("create")
        service_clock.advance(20)
        at_next_sleep(partial(service.client().delete_realtime_endpoint, MLModelId="ml-1"))
        assert two.execute("create")["EndpointStatus"] == "READY"
        one.execute("delete")
        assert status(service) == "READY"
        two.execute("delete")
        assert status(service) == "NONE"

    def test_who_creates_again_keeps_the_claims_of_others(
        self,
        service: AmazonMLLocalFixture,
        service_clock: Clock,
        at_next_sleep: Callable[[Callable[[], object]], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Three tasks use one endpoint, somebody deletes it, and two of them create it again, one after the other."""
        one, two, three = (Run(run_id, wait_for_completion=False) for run_id in ("one", "two", "three"))
        two.create.wait_for_completion = True
        one.execute("create")
        service_clock.advance(20)
        three.execute("create")
        announce_again = ownership.Claim.announce_again

        def later(claim: ownership.Claim) -> None:
            three.execute("create")
            service_clock.advance(1)
            announce_again(claim)

        monkeypatch.setattr(ownership.Claim, "announce_again", later)
        at_next_sleep(partial(service.client().delete_realtime_endpoint, MLModelId="ml-1"))
        two.execute("create")
        two.execute("delete")
        assert status(service) == "READY"
        three.execute("delete")
        assert status(service) == "NONE"


def test_the_register_of_another_model_is_another(service: AmazonMLLocalFixture) -> None:
    """A claim that Airflow keeps is found by its model."""

    def register(ml_model_id: str) -> ownership.Register:
        wait = Wait("realtime_endpoint_ready", ml_model_id, "us-east-1", deadline=2, delay=1, started=1)
        return ownership.Register(MachineLearningHook(), wait)

    assert register("ml-1")._airflow_key == "airflow-endpoint:ml-1"
    assert register("ml-2")._airflow_key == "airflow-endpoint:ml-2"
