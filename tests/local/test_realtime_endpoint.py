"""The endpoint of a model, and predictions through it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.rates import busiest_second

NONE = {"EndpointStatus": "NONE", "PeakRequestsPerSecond": 0}


def info(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get_ml_model(MLModelId="ml-1")["EndpointInfo"]
    return found


def test_an_endpoint_is_none_then_updating_then_ready_then_none(client: Any, service: Any, model: Any) -> None:
    model("ml-1")
    assert info(client) == NONE
    service.durations.set(realtime_endpoint=120)
    created = client.create_realtime_endpoint(MLModelId="ml-1")
    assert created["MLModelId"] == "ml-1"
    assert created["RealtimeEndpointInfo"]["EndpointStatus"] == "UPDATING"
    service.clock.advance(119)
    assert info(client)["EndpointStatus"] == "UPDATING"
    service.clock.advance(1)
    ready = info(client)
    assert ready == {**created["RealtimeEndpointInfo"], "EndpointStatus": "READY"}
    assert ready["PeakRequestsPerSecond"] == 200
    assert ready["EndpointUrl"] == "https://realtime.machinelearning.us-east-1.amazonaws.com"
    assert client.describe_ml_models()["Results"][0]["EndpointInfo"] == ready
    assert client.delete_realtime_endpoint(MLModelId="ml-1")["RealtimeEndpointInfo"] == NONE
    assert info(client) == NONE


def test_creating_what_is_there_answers_its_present_state(client: Any, service: Any, endpoint: Any) -> None:
    endpoint("ml-1")
    before = info(client)
    service.clock.advance(60)
    assert client.create_realtime_endpoint(MLModelId="ml-1")["RealtimeEndpointInfo"] == before


def test_deleting_what_is_not_there_answers_none(client: Any, model: Any) -> None:
    model("ml-1")
    assert client.delete_realtime_endpoint(MLModelId="ml-1")["RealtimeEndpointInfo"] == NONE


def test_an_endpoint_can_be_made_again_after_delete(client: Any, service: Any, endpoint: Any) -> None:
    endpoint("ml-1")
    client.delete_realtime_endpoint(MLModelId="ml-1")
    service.clock.advance(1)
    assert client.create_realtime_endpoint(MLModelId="ml-1")["RealtimeEndpointInfo"]["EndpointStatus"] == "UPDATING"


def test_an_endpoint_needs_a_completed_model(client: Any, service: Any, model: Any, refused: Any) -> None:
    model("ml-1", wait=False)
    refused("InvalidInputException", "MLModel ml-1 is PENDING", client.create_realtime_endpoint, MLModelId="ml-1")
    assert info(client) == NONE


def test_a_model_with_a_live_endpoint_is_not_deleted(client: Any, endpoint: Any, refused: Any) -> None:
    endpoint("ml-1")
    refused("InvalidInputException", "has a real-time endpoint", client.delete_ml_model, MLModelId="ml-1")
    client.delete_realtime_endpoint(MLModelId="ml-1")
    client.delete_ml_model(MLModelId="ml-1")
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "DELETED"


@pytest.mark.parametrize("before", [True, False])
def test_an_endpoint_can_be_told_to_fail_before_or_after_its_creation(
    before: bool, client: Any, service: Any, model: Any
) -> None:
    model("ml-1")
    if before:
        service.fail("RealtimeEndpoint", "ml-1", message="No host is free")
    client.create_realtime_endpoint(MLModelId="ml-1")
    if not before:
        service.fail("RealtimeEndpoint", "ml-1", message="No host is free")
    service.clock.advance(3600)
    found = client.get_ml_model(MLModelId="ml-1")
    assert (found["Status"], found["Message"]) == ("COMPLETED", "No host is free")
    assert found["EndpointInfo"]["EndpointStatus"] == "FAILED"


def test_an_endpoint_that_failed_is_restarted_by_create(client: Any, service: Any, model: Any) -> None:
    model("ml-1")
    service.fail("RealtimeEndpoint", "ml-1")
    client.create_realtime_endpoint(MLModelId="ml-1")
    service.clock.advance(3600)
    assert info(client)["EndpointStatus"] == "FAILED"
    assert client.create_realtime_endpoint(MLModelId="ml-1")["RealtimeEndpointInfo"]["EndpointStatus"] == "UPDATING"


def test_an_endpoint_is_ready_at_the_nth_get_where_polls_count(client: Any, service: Any, model: Any) -> None:
    model("ml-1")
    service.ready_after_polls(2)
    client.create_realtime_endpoint(MLModelId="ml-1")
    service.clock.advance(3600)
    client.describe_ml_models()
    assert [info(client)["EndpointStatus"] for _ in range(2)] == ["UPDATING", "READY"]


def predict(client: Any, **record: str) -> dict[str, Any]:
    answer = client.predict(MLModelId="ml-1", Record=record, PredictEndpoint="https://host.example")
    found: dict[str, Any] = answer["Prediction"]
    return found


def test_a_binary_model_gives_one_score_under_the_label_that_it_predicts(client: Any, endpoint: Any) -> None:
    endpoint("ml-1")
    low, high = predict(client, x="1"), predict(client, x="58")
    assert (low["predictedLabel"], list(low["predictedScores"])) == ("0", ["0"])
    assert (high["predictedLabel"], list(high["predictedScores"])) == ("1", ["1"])
    assert low["predictedScores"]["0"] < 0.5 < high["predictedScores"]["1"]
    assert low["details"] == {"PredictiveModelType": "BINARY", "Algorithm": "SGD"}


def test_a_regression_model_gives_a_value(client: Any, endpoint: Any) -> None:
    endpoint("ml-1", "REGRESSION")
    found = predict(client, x="30")
    assert set(found) == {"predictedValue", "details"}
    assert found["predictedValue"] == pytest.approx(60, abs=15)


def test_a_multiclass_model_gives_the_score_of_every_class(client: Any, endpoint: Any) -> None:
    endpoint("ml-1", "MULTICLASS")
    found = predict(client, x="5")
    assert found["predictedLabel"] == "low"
    assert set(found["predictedScores"]) == {"low", "middle", "high"}
    assert sum(found["predictedScores"].values()) == pytest.approx(1, abs=1e-5)


def test_the_score_threshold_decides_the_label(client: Any, endpoint: Any) -> None:
    endpoint("ml-1")
    score = predict(client, x="58")["predictedScores"]["1"]
    client.update_ml_model(MLModelId="ml-1", ScoreThreshold=1.0)
    assert predict(client, x="58") == {
        "predictedLabel": "0",
        "predictedScores": {"0": score},
        "details": {"PredictiveModelType": "BINARY", "Algorithm": "SGD"},
    }
    client.update_ml_model(MLModelId="ml-1", ScoreThreshold=0.0)
    assert predict(client, x="1")["predictedLabel"] == "1"


def test_an_update_of_the_score_threshold_has_a_time_of_its_own(client: Any, model: Any) -> None:
    model("ml-1")
    client.update_ml_model(MLModelId="ml-1", ScoreThreshold=0.0)
    found = client.get_ml_model(MLModelId="ml-1")
    assert found["ScoreThreshold"] == 0.0
    assert found["ScoreThresholdLastUpdatedAt"] > found["CreatedAt"]


@pytest.mark.parametrize(
    ("model_type", "threshold", "text"),
    [("BINARY", 1.5, "in 0..1, not 1.5"), ("REGRESSION", 0.5, "ml-1 is REGRESSION")],
)
def test_a_threshold_that_cannot_be_is_refused(
    model_type: str, threshold: float, text: str, client: Any, model: Any, refused: Any
) -> None:
    """It lies in 0..1, and only BINARY models have one."""
    model("ml-1", model_type)
    update = client.update_ml_model
    refused("InvalidInputException", text, update, MLModelId="ml-1", ScoreThreshold=threshold)


def test_predict_needs_an_endpoint_that_is_ready(client: Any, service: Any, model: Any, refused: Any) -> None:
    code, text = "PredictorNotMountedException", "ml-1 has no mounted predictor"
    model("ml-1")
    refused(code, text, predict, client=client, x="1")
    client.create_realtime_endpoint(MLModelId="ml-1")
    refused(code, text, predict, client=client, x="1")
    service.clock.advance(3600)
    predict(client, x="1")
    client.delete_realtime_endpoint(MLModelId="ml-1")
    refused(code, text, predict, client=client, x="1")


def test_the_predictor_can_be_mounted_some_time_after_ready(
    client: Any, service: Any, model: Any, refused: Any
) -> None:
    model("ml-1")
    service.durations.set(realtime_endpoint=100)
    service.not_mounted_for(300)
    client.create_realtime_endpoint(MLModelId="ml-1")
    service.clock.advance(399)
    assert info(client)["EndpointStatus"] == "READY"
    refused("PredictorNotMountedException", "ml-1", predict, client=client, x="1")
    service.clock.advance(1)
    predict(client, x="1")


def test_a_record_over_100_kb_is_refused(client: Any, endpoint: Any, refused: Any) -> None:
    endpoint("ml-1")
    predict(client, x="1", other="x" * 100_000)
    refused("InvalidInputException", "102400 bytes", predict, client=client, x="1", other="x" * 103_000)


def test_no_window_of_one_second_admits_more_than_the_rate(service: Any, endpoint: Any) -> None:
    """Requests every 7 ms for some seconds: whatever window is laid over those admitted, it holds at most 40."""
    endpoint("ml-1")
    service.peak_requests_per_second = 40
    client = service.client(config=no_retries())
    admitted = []
    for _ in range(500):
        try:
            predict(client, x="1")
            admitted.append(service.clock.now())
        except client.exceptions.LimitExceededException:
            pass
        service.clock.advance(0.007)
    assert busiest_second(admitted) == 40
    assert len(admitted) == 40 * 4
    assert service.requests[-1].error_code in (None, "LimitExceededException")


def test_an_endpoint_tells_the_rate_that_it_was_created_with(client: Any, service: Any, endpoint: Any) -> None:
    """A lower one that is set later is as if others used the endpoint too."""
    service.peak_requests_per_second = 150
    endpoint("ml-1")
    service.peak_requests_per_second = 3
    assert info(client)["PeakRequestsPerSecond"] == 150


def test_idle_time_earns_no_burst(service: Any, endpoint: Any, refused: Any) -> None:
    endpoint("ml-1")
    service.peak_requests_per_second = 3
    service.clock.advance(3600)
    client = service.client(config=no_retries())
    for _ in range(3):
        predict(client, x="1")
    refused("LimitExceededException", "3 predictions a second", predict, client=client, x="1")
    service.clock.advance(1)
    predict(client, x="1")


def no_retries() -> Any:
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1})
