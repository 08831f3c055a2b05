"""boto 2's request shapes, as that library sends them: it no longer runs on the Pythons of today."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from amazon_ml_local.serving import serve


@pytest.fixture
def send(service: Any) -> Any:
    """Send what boto.machinelearning.layer1 sends: ``send(action, parameters, host)`` gives status and JSON."""
    with serve(service) as server:
        own, direct = urlsplit(server.url).netloc, "127.0.0.1:5012"

        def make_request(action: str, parameters: dict[str, Any], host: str = own) -> tuple[int, Any]:
            body = json.dumps(parameters)
            path = "/" if host in (own, direct) else f"http://{host}:80/"  # it names the host in the target to a proxy
            headers = {
                "X-Amz-Target": f"AmazonML_20141212.{action}",
                "Host": host,
                "Content-Type": "application/x-amz-json-1.1",
                "Content-Length": str(len(body)),
                "User-Agent": "Boto/2.49.0 Python/2.7.18 Linux/4.14",
                "X-Amz-Date": "20150801T120000Z",
                "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150801/us-east-1/machinelearning/"
                "aws4_request,SignedHeaders=content-type;host;x-amz-date;x-amz-target,Signature=0",
            }
            with closing(HTTPConnection(own, timeout=30)) as connection:
                connection.request("POST", path, body, headers)
                response = connection.getresponse()
                return response.status, json.loads(response.read())

        yield make_request


def test_predict_arrives_with_a_bare_host_name(send: Any, service: Any, endpoint: Any) -> None:
    """boto 2 sends Predict to the host of PredictEndpoint, and takes one without a scheme too."""
    endpoint("ml-1")
    host = "realtime.machinelearning.us-east-1.amazonaws.com"
    for predict_endpoint in (host, f"https://{host}"):
        parameters = {"MLModelId": "ml-1", "Record": {"x": "58"}, "PredictEndpoint": predict_endpoint}
        status, answer = send("Predict", parameters, host)
        assert (status, answer["Prediction"]["predictedLabel"]) == (200, "1")


def test_boto_2_finds_the_names_of_members_that_it_knows(send: Any, model: Any) -> None:
    model("ml-1")
    status, answer = send("GetMLModel", {"MLModelId": "ml-1", "Verbose": False})
    assert (status, answer["Status"]) == (200, "COMPLETED")
    assert isinstance(answer["CreatedAt"], float)


def test_boto_2_finds_the_names_of_errors_that_it_knows(send: Any) -> None:
    status, error = send("GetMLModel", {"MLModelId": "fake-model"})
    assert status == 400
    assert error == {"__type": "ResourceNotFoundException", "message": "No MLModel with id fake-model exists"}


def test_members_that_are_null_are_as_if_not_sent(send: Any) -> None:
    status, answer = send("DescribeMLModels", {"FilterVariable": None, "EQ": None, "Limit": None, "NextToken": None})
    assert (status, answer) == (200, {"Results": []})


def test_an_endpoint_is_where_whoever_asks_reaches_the_service(send: Any, service: Any, model: Any) -> None:
    """boto 2, told to use the service as its proxy, names AWS's host; who comes without is not sent there."""
    model("ml-1")
    by_proxy, direct = "machinelearning.us-east-1.amazonaws.com", "127.0.0.1:5012"
    _, created = send("CreateRealtimeEndpoint", {"MLModelId": "ml-1"}, by_proxy)
    assert created["RealtimeEndpointInfo"]["EndpointUrl"] == f"http://{by_proxy}"
    service.clock.advance(3600)
    for host in (direct, by_proxy):
        _, one = send("GetMLModel", {"MLModelId": "ml-1"}, host)
        _, many = send("DescribeMLModels", {}, host)
        for answer in (one, many["Results"][0]):
            assert answer["EndpointInfo"]["EndpointUrl"] == f"http://{host}"
