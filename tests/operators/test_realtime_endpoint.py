"""Create and delete the realtime endpoint, by the operators' execute, against the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AirflowException, AirflowTaskTimeout
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.sensors.machine_learning import MachineLearningRealtimeEndpointSensor
from tests.helpers.endpoints import called, create, delete, status

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture

ENDPOINT_MEMBERS = {"MLModelId", "EndpointUrl", "EndpointStatus", "PeakRequestsPerSecond", "CreatedAt"}


class TestCreate:
    def test_returns_the_info_of_a_ready_endpoint(self, service: AmazonMLLocalFixture) -> None:
        """The return value is the endpoint's info under AWS's names, times in ISO 8601."""
        info = create().execute({})
        assert set(info) == ENDPOINT_MEMBERS
        assert info["MLModelId"] == "ml-1"
        assert info["EndpointStatus"] == "READY"
        assert info["EndpointUrl"] == service.url
        assert info["PeakRequestsPerSecond"] == 200
        assert str(info["CreatedAt"]).endswith("+00:00")

    def test_waits_by_its_delay(self, service: AmazonMLLocalFixture, service_clock: Clock) -> None:
        """It looks every waiter_delay seconds: 100 s of making take 11 looks 10 s apart."""
        began = service_clock.now()
        create(waiter_delay=10).execute({})
        assert service_clock.now() - began == pytest.approx(100)
        assert called(service) == ["GetMLModel", "CreateRealtimeEndpoint"] + 11 * ["GetMLModel"]

    def test_takes_over_an_endpoint_that_exists(self, service: AmazonMLLocalFixture) -> None:
        """With if_exists='skip' an endpoint that somebody made is waited for, as a retry does after a kill."""
        made = service.client().create_realtime_endpoint(MLModelId="ml-1")["RealtimeEndpointInfo"]
        info = create().execute({})
        assert info["EndpointStatus"] == "READY"
        assert info["CreatedAt"] == made["CreatedAt"].isoformat()

    def test_if_exists_fail_refuses_an_endpoint_that_exists(self, service: AmazonMLLocalFixture) -> None:
        """With if_exists='fail' an endpoint that exists fails the task before Create, and stays."""
        service.client().create_realtime_endpoint(MLModelId="ml-1")
        service.requests.clear()
        with pytest.raises(AirflowException, match=r"ml-1 in us-east-1: it exists already, with status UPDATING"):
            create(if_exists="fail").execute({})
        assert called(service) == ["GetMLModel"]
        assert status(service) == "UPDATING"

    def test_if_exists_fail_creates_where_there_is_none(self, service: AmazonMLLocalFixture) -> None:
        """With if_exists='fail' a model without an endpoint gets one."""
        assert create(if_exists="fail").execute({})["EndpointStatus"] == "READY"

    def test_failed_fails_at_once(self, service: AmazonMLLocalFixture, service_clock: Clock) -> None:
        """FAILED ends the wait at the look that shows it."""
        service.service.fail("RealtimeEndpoint", "ml-1")
        began = service_clock.now()
        with pytest.raises(AirflowException, match=r"RealtimeEndpoint ml-1 in us-east-1: status FAILED after 1\d\d s"):
            create().execute({})
        assert service_clock.now() - began <= 130

    def test_an_endpoint_of_its_own_that_failed_is_deleted(self, service: AmazonMLLocalFixture) -> None:
        """The task that created it deletes it."""
        service.service.fail("RealtimeEndpoint", "ml-1")
        with pytest.raises(AirflowException, match="status FAILED"):
            create().execute({})
        assert status(service) == "NONE"

    def test_never_touches_an_endpoint_that_was_there_before(self, service: AmazonMLLocalFixture) -> None:
        """An endpoint that somebody else made stays, whatever becomes of it."""
        service.client().create_realtime_endpoint(MLModelId="ml-1")
        service.service.fail("RealtimeEndpoint", "ml-1")
        with pytest.raises(AirflowException, match="status FAILED"):
            create().execute({})
        assert "DeleteRealtimeEndpoint" not in called(service)

    def test_delete_on_failure_false_keeps_what_failed(self, service: AmazonMLLocalFixture) -> None:
        """With delete_on_failure=False the FAILED endpoint stays to be looked at."""
        service.service.fail("RealtimeEndpoint", "ml-1")
        with pytest.raises(AirflowException, match="status FAILED"):
            create(delete_on_failure=False).execute({})
        assert status(service) == "FAILED"

    def test_a_restart_of_a_failed_endpoint_is_waited_for(
        self, service: AmazonMLLocalFixture, service_clock: Clock
    ) -> None:
        """Create makes a FAILED endpoint anew, and the task waits for that one."""
        service.service.fail("RealtimeEndpoint", "ml-1")
        service.client().create_realtime_endpoint(MLModelId="ml-1")
        service_clock.advance(100)
        assert status(service) == "FAILED"
        service.service.state._failures.clear()
        assert create().execute({})["EndpointStatus"] == "READY"

    def test_somebody_deleting_it_meanwhile_is_a_failure(
        self, service: AmazonMLLocalFixture, at_next_sleep: Callable[[Callable[[], object]], None]
    ) -> None:
        """NONE after its own Create had shown UPDATING means that somebody deleted the endpoint."""
        at_next_sleep(lambda: service.client().delete_realtime_endpoint(MLModelId="ml-1"))
        with pytest.raises(AirflowException, match="status NONE .* somebody deleted it"):
            create().execute({})

    def test_the_models_deletion_meanwhile_is_a_failure(
        self, service: AmazonMLLocalFixture, at_next_sleep: Callable[[Callable[[], object]], None]
    ) -> None:
        """A model that is DELETED while its endpoint is made fails at the next look, and says so."""

        def delete_model() -> None:
            service.client().delete_realtime_endpoint(MLModelId="ml-1")
            service.client().delete_ml_model(MLModelId="ml-1")

        at_next_sleep(delete_model)
        with pytest.raises(AirflowException, match="its MLModel is DELETED"):
            create().execute({})

    def test_the_deadline_says_what_was_seen(self, service: AmazonMLLocalFixture, service_clock: Clock) -> None:
        """The deadline is delay times attempts; its message says id, region, last status, elapsed time and calls."""
        began = service_clock.now()
        with pytest.raises(AirflowException) as caught:
            create(waiter_delay=20, waiter_max_attempts=3).execute({})
        assert str(caught.value) == (
            "RealtimeEndpoint ml-1 in us-east-1: status UPDATING after 60 s and 6 calls: "
            "the deadline of 60 s has passed"
        )
        assert service_clock.now() - began == pytest.approx(60)
        assert status(service) == "NONE"

    def test_execution_timeout_takes_its_endpoint_down(
        self, service: AmazonMLLocalFixture, at_next_sleep: Callable[[Callable[[], object]], None]
    ) -> None:
        """Airflow's AirflowTaskTimeout, which is no Exception, cleans up as well."""

        def time_out() -> None:
            raise AirflowTaskTimeout("execution_timeout")

        at_next_sleep(time_out)
        with pytest.raises(AirflowTaskTimeout):
            create().execute({})
        assert status(service) == "NONE"

    def test_without_waiting_it_asks_nothing(self, service: AmazonMLLocalFixture) -> None:
        """IAM's policy for managing endpoints allows no GetMLModel: with waiting off there is none."""
        info = create(wait_for_completion=False).execute({})
        assert info["EndpointStatus"] == "UPDATING"
        assert called(service) == ["CreateRealtimeEndpoint"]

    def test_without_waiting_if_exists_fail_costs_one_get(self, service: AmazonMLLocalFixture) -> None:
        """if_exists='fail' costs one Get before Create."""
        create(wait_for_completion=False, if_exists="fail").execute({})
        assert called(service) == ["GetMLModel", "CreateRealtimeEndpoint"]

    def test_what_is_ready_already_is_not_deferred(self, service: AmazonMLLocalFixture, service_clock: Clock) -> None:
        """The answer is there, so no triggerer is asked: by the operator as by the sensor."""
        service.client().create_realtime_endpoint(MLModelId="ml-1")
        service_clock.advance(100)
        assert create(deferrable=True).execute({})["EndpointStatus"] == "READY"
        sensor = MachineLearningRealtimeEndpointSensor(task_id="wait", ml_model_id="ml-1", deferrable=True)
        assert sensor.execute({})["EndpointStatus"] == "READY"

    def test_wait_for_completion_false_wins_over_deferrable(self, service: AmazonMLLocalFixture) -> None:
        """With wait_for_completion=False nothing is deferred."""
        info = create(wait_for_completion=False, deferrable=True).execute({})
        assert info["EndpointStatus"] == "UPDATING"

    def test_an_unknown_model_is_an_error(self, service: AmazonMLLocalFixture) -> None:
        """ResourceNotFoundException ends the task at once, with AWS's words and what to check."""
        with pytest.raises(AirflowException, match=r"No MLModel with id ml-0 exists.*check the id.*us-east-1"):
            create(ml_model_id="ml-0").execute({})
        assert service.requests.count("CreateRealtimeEndpoint") == 0

    def test_a_model_that_is_not_completed_is_an_error(self, service: AmazonMLLocalFixture) -> None:
        """Create on a model that still trains is InvalidInputException, and leaves nothing behind."""
        service.service.durations.set(ml_model=500)
        service.client().create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
        with pytest.raises(AirflowException, match="CreateRealtimeEndpoint of .*ml-2.*InvalidInputException"):
            create(ml_model_id="ml-2").execute({})

    def test_wait_for_model_creates_when_the_model_is_completed(self, service: AmazonMLLocalFixture) -> None:
        """With wait_for_model=True the endpoint of a model that still trains is created later."""
        service.service.durations.set(ml_model=500)
        service.client().create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
        assert create(ml_model_id="ml-2", wait_for_model=True).execute({})["EndpointStatus"] == "READY"

    def test_wait_for_model_waits_under_the_same_deadline(self, service: AmazonMLLocalFixture) -> None:
        """The time that the model takes is no longer there for the endpoint."""
        service.service.durations.set(ml_model=500)
        service.client().create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
        with pytest.raises(AirflowException, match="the deadline of 540 s has passed"):
            create(ml_model_id="ml-2", wait_for_model=True, waiter_max_attempts=18).execute({})
        assert service.requests.count("DeleteRealtimeEndpoint") == 1

    def test_wait_for_model_says_why_the_model_failed(self, service: AmazonMLLocalFixture) -> None:
        """A model that FAILED is no reason to wait; the service's Message is in the error."""
        service.service.fail("MLModel", "ml-2", message="Too few rows")
        service.client().create_ml_model(MLModelId="ml-2", MLModelType="BINARY", TrainingDataSourceId="ds-1")
        with pytest.raises(AirflowException, match=r"MLModel ml-2 in us-east-1: status FAILED .*Too few rows"):
            create(ml_model_id="ml-2", wait_for_model=True).execute({})

    def test_an_error_that_passes_is_asked_again(self, service: AmazonMLLocalFixture) -> None:
        """InternalServerException in Create is no failure while there is time left."""
        service.faults.add("server_error", operation="CreateRealtimeEndpoint", count=3)
        assert create().execute({})["EndpointStatus"] == "READY"
        assert service.requests.count("CreateRealtimeEndpoint") == 4

    @pytest.mark.parametrize("operation", ["GetMLModel", "CreateRealtimeEndpoint"])
    def test_garbage_is_asked_again(self, service: AmazonMLLocalFixture, operation: str) -> None:
        """A proxy's page is no answer, before the wait as in it."""
        service.faults.add("garbage", operation=operation, count=2)
        assert create().execute({})["EndpointStatus"] == "READY"

    def test_an_error_for_ever_ends_at_the_deadline(self, service: AmazonMLLocalFixture) -> None:
        """InternalServerException for ever ends at the deadline, and says what the error was."""
        service.faults.add("server_error", operation="CreateRealtimeEndpoint")
        with pytest.raises(AirflowException, match="deadline of 1800 s has passed; the last error was Internal"):
            create().execute({})

    def test_an_endpoint_whose_creation_went_unanswered_is_deleted(self, service: AmazonMLLocalFixture) -> None:
        """A Create whose answer was lost has made the endpoint all the same: it is ours, and deleted."""
        service.faults.add("reset", operation="CreateRealtimeEndpoint", when="after")
        with pytest.raises(AirflowException, match="deadline"):
            create().execute({})
        assert status(service) == "NONE"


class TestDelete:
    def test_deletes_the_endpoint(self, service: AmazonMLLocalFixture) -> None:
        """The endpoint is gone, and the info says NONE."""
        service.client().create_realtime_endpoint(MLModelId="ml-1")
        info = delete().execute({})
        assert info == {"MLModelId": "ml-1", "PeakRequestsPerSecond": 0, "EndpointStatus": "NONE"}
        assert status(service) == "NONE"

    def test_nothing_to_delete_is_success(self, service: AmazonMLLocalFixture) -> None:
        """A model without an endpoint is as wanted."""
        assert delete().execute({})["EndpointStatus"] == "NONE"

    def test_an_unknown_model_is_success(self, service: AmazonMLLocalFixture) -> None:
        """A teardown must not fail the run because its model is not there."""
        assert delete(ml_model_id="ml-0").execute({}) == {"MLModelId": "ml-0", "EndpointStatus": "NONE"}

    def test_a_deleted_model_is_success(self, service: AmazonMLLocalFixture) -> None:
        """A teardown must not fail the run because its model was deleted."""
        service.client().delete_ml_model(MLModelId="ml-1")
        assert delete(wait_for_completion=True).execute({})["EndpointStatus"] == "NONE"

    def test_waits_until_none(self, service: AmazonMLLocalFixture) -> None:
        """With wait_for_completion=True it looks until the service says NONE."""
        service.client().create_realtime_endpoint(MLModelId="ml-1")
        info = delete(wait_for_completion=True).execute({})
        assert info["EndpointStatus"] == "NONE"
        assert called(service)[-1] == "GetMLModel"

    def test_an_error_that_passes_is_asked_again(self, service: AmazonMLLocalFixture) -> None:
        """Throttling is no failure while there is time left."""
        service.client().create_realtime_endpoint(MLModelId="ml-1")
        service.faults.add("throttling", operation="DeleteRealtimeEndpoint", count=2)
        assert delete().execute({})["EndpointStatus"] == "NONE"

    def test_garbage_is_asked_again(self, service: AmazonMLLocalFixture) -> None:
        """A teardown does not fail of a proxy's page."""
        service.faults.add("garbage", operation="DeleteRealtimeEndpoint", count=2)
        assert delete().execute({})["EndpointStatus"] == "NONE"

    def test_an_error_that_stays_is_a_failure(self, service: AmazonMLLocalFixture) -> None:
        """Where an endpoint may be left, the task fails and says why."""
        service.client().create_realtime_endpoint(MLModelId="ml-1")
        service.faults.add("error", operation="DeleteRealtimeEndpoint", code="AccessDeniedException", status=400)
        with pytest.raises(AirflowException, match="IAM action machinelearning:DeleteRealtimeEndpoint"):
            delete().execute({})


@pytest.mark.parametrize("operator", [create, delete])
class TestBadInput:
    @pytest.mark.parametrize("ml_model_id", ["", "x" * 65, "a b", "ml/1", None, ["ml-1"], "ml-1\n"])
    def test_an_id_that_is_none_is_refused_when_the_task_runs(
        self, operator: Any, ml_model_id: str | list[str] | None, amazon_ml_local: AmazonMLLocalFixture
    ) -> None:
        """A rendered value that is no id is named before any call; at parse time it may be a template."""
        task = operator(ml_model_id=ml_model_id)
        with pytest.raises(InvalidArgument, match="^ml_model_id: "):
            task.execute({})
        assert not list(amazon_ml_local.requests)

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"waiter_delay": 0}, ValueError, "waiter_delay: 0 s; it must be above 0"),
            ({"waiter_delay": -1}, ValueError, "waiter_delay: -1 s; it must be above 0"),
            ({"waiter_max_attempts": 0}, ValueError, "waiter_max_attempts: 0; it must be at least 1"),
            ({"waiter_max_attempts": -5}, ValueError, "waiter_max_attempts: -5; it must be at least 1"),
            ({"region": "us-east-1"}, TypeError, "region is no argument; use region_name"),
        ],
    )
    def test_flags_are_refused_at_once(
        self, operator: Any, arguments: dict[str, Any], error: Any, message: str
    ) -> None:
        """What is no template is checked where it is written."""
        with pytest.raises(error, match=message):
            operator(**arguments)


def test_if_exists_is_skip_or_fail() -> None:
    """An unknown if_exists is refused where it is written."""
    with pytest.raises(InvalidArgument, match="if_exists: 'replace'; it must be 'skip' or 'fail'"):
        create(if_exists="replace")
