"""The table of faults, as boto3 meets them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from amazon_ml_local.serving import serve
from tests.helpers.clients import client_at
from tests.helpers.three_targets import schema

ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture
def client(service: Any) -> Any:
    """A client that asks once."""
    return service.client(config=ONCE)


@pytest.mark.parametrize(
    ("kind", "code", "status", "text"),
    [
        ("throttling", "ThrottlingException", 400, "Rate exceeded"),
        ("limit_exceeded", "LimitExceededException", 400, ""),
        ("server_error", "InternalServerException", 500, ""),
        ("expired_token", "ExpiredTokenException", 400, "expired"),
        (
            "never_enrolled",
            "AccessDeniedException",
            403,
            "Thank you for your interest in Amazon Machine Learning. AmazonML is no longer available to new "
            "customers.  Please consider using Amazon SageMaker.",
        ),
    ],
)
def test_each_error_on_order(kind: Any, code: str, status: int, text: str, client: Any, service: Any) -> None:
    service.faults.add(kind)
    with pytest.raises(ClientError) as caught:
        client.describe_ml_models()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert text in caught.value.response["Error"]["Message"]
    service.faults.clear()
    client.describe_ml_models()


def test_any_error_of_aws_can_be_ordered(client: Any, service: Any, refused: Any) -> None:
    service.faults.add("error", code="SlowDown", message="Reduce your request rate", status=503)
    refused("SlowDown", "Reduce your request rate", client.describe_ml_models)


def test_a_reset_connection_is_a_connection_error_in_process(client: Any, service: Any) -> None:
    service.faults.add("reset")
    with pytest.raises(ConnectionClosedError, match="Connection was closed"):
        client.describe_ml_models()
    assert service.requests[-1].status == 0


def test_a_reset_connection_is_a_connection_error_on_a_socket(service: Any) -> None:
    service.faults.add("reset")
    with serve(service) as server:
        on_socket = client_at(server.url, config=ONCE)
        with pytest.raises(ConnectionClosedError, match=server.url):
            on_socket.describe_ml_models()
        service.faults.clear()
        on_socket.describe_ml_models()


def test_garbage_leaves_boto3_with_an_answer_without_members(client: Any, service: Any) -> None:
    service.faults.add("garbage")
    answer = client.describe_ml_models()
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "Results" not in answer


def test_a_slow_answer_takes_its_seconds_of_the_services_time(client: Any, service: Any) -> None:
    service.faults.add("slow", seconds=30)
    start = service.clock.now()
    client.describe_ml_models()
    assert service.clock.now() == start + 30


def test_a_fault_befalls_its_operation_only_as_often_as_ordered(client: Any, service: Any, refused: Any) -> None:
    service.faults.add("throttling", operation="DescribeEvaluations", count=2)
    client.describe_ml_models()
    for _ in range(2):
        refused("ThrottlingException", "", client.describe_evaluations)
    client.describe_evaluations()
    assert list(service.faults) == []


def test_two_faults_befall_one_request_after_another(client: Any, service: Any, refused: Any) -> None:
    service.faults.add("throttling", count=1)
    service.faults.add("server_error", count=1)
    refused("ThrottlingException", "", client.describe_ml_models)
    refused("InternalServerException", "", client.describe_ml_models)
    client.describe_ml_models()


def test_probability_draws_from_a_seeded_generator(client: Any, service: Any) -> None:
    def outcomes() -> list[bool]:
        service.faults.clear()
        service.faults.add("throttling", probability=0.5, seed=7)
        service.requests.clear()
        for _ in range(40):
            with contextlib.suppress(ClientError):
                client.describe_ml_models()
        return [received.error_code is None for received in service.requests]

    first = outcomes()
    assert first == outcomes()
    assert 8 < sum(first) < 32


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_fault_comes_before_or_after_the_effect(
    when: Any, made: int, client: Any, service: Any, data_source: Any
) -> None:
    service.faults.add("server_error", operation="CreateDataSourceFromS3", count=1, when=when)
    with pytest.raises(ClientError, match="InternalServerException"):
        service.client(config=ONCE).create_data_source_from_s3(
            DataSourceId="ds-1", DataSpec={"DataLocationS3": "s3://bucket/train.csv", "DataSchema": schema("sign")}
        )
    assert len(client.describe_data_sources()["Results"]) == made


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ({"kind": "thunder"}, "no fault 'thunder'; there are throttling, "),
        ({"kind": "error"}, "error needs the code"),
        ({"kind": "error", "code": "X", "operation": "GetModel"}, "no operation 'GetModel'"),
        ({"kind": "throttling", "count": 0}, "count must be 1 or more"),
        ({"kind": "throttling", "probability": 1.5}, "probability must be in 0..1"),
        ({"kind": "throttling", "when": "during"}, "'before' or 'after'"),
        ({"kind": "slow"}, "slow needs seconds"),
        ({"kind": "lag"}, "lag needs seconds"),
        ({"kind": "lag", "seconds": 1, "operation": "DescribeTags"}, "lag is for the operations that list entities"),
        ({"kind": "lag", "seconds": 1, "operation": "GetMLModel"}, "lag is for the operations that list entities"),
    ],
)
def test_an_order_that_cannot_be_met_is_refused(order: Any, text: str, service: Any) -> None:
    with pytest.raises(ValueError, match=text):
        service.faults.add(**order)


def test_the_requests_received_tell_what_was_asked_and_answered(client: Any, service: Any, refused: Any) -> None:
    refused("ResourceNotFoundException", "", client.get_ml_model, MLModelId="ml-1")
    client.describe_ml_models(Limit=5)
    first, second = service.requests
    assert (first.operation, first.parameters, first.status) == ("GetMLModel", {"MLModelId": "ml-1"}, 400)
    assert (first.error_code, first.access_key, first.region) == ("ResourceNotFoundException", "local", "us-east-1")
    assert (second.parameters, second.status, second.error_code) == ({"Limit": 5}, 200, None)
    assert second.at == service.clock.now()
    assert (service.requests.count("GetMLModel"), len(service.requests)) == (1, 2)
