"""Whatever a client sends over the socket, the service answers with no 5xx and no job breaks: bounded, and seeded."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from amazon_ml_local.protocol import service_model
from amazon_ml_local.serving import serve
from tests.helpers.three_targets import DATA, schema

ROUNDS = 60
HOSTILE: list[Any] = [
    None, True, 0, -1, 10**30, 10**400, 1e308, -0.5, float("inf"), float("nan"),
    "", " ", "x", "\x00", "\ud800", "a\udc00b", "😀", "x" * 5000, "%s{}", "../..",
    "s3://", "s3://bucket/train.csv", "s3://\ud800/x", "group(x", "n_gram(sign, 99)", "1" * 400, [], [[]], {}, {"": ""},
    {"\ud800": "x"}, ["\udfff"], {"a": {"b": {"c": []}}},
]  # fmt: skip
RECIPE = {
    "groups": {"numbers": "group('x')", "all": "ALL_INPUTS"},
    "assignments": {"binned": "quantile_bin(x, 10)", "words": "ngram(third, 2)"},
    "outputs": ["ALL_NUMERIC", "binned", "normalize(x)", "cartesian(third, binned)"],
}
REARRANGEMENT = {"splitting": {"percentBegin": 10, "percentEnd": 90, "strategy": "random", "randomSeed": "seed"}}
LEVERS = {
    "clock": {"frozen": True, "advance": 5, "speed": 2},
    "durations": {"ml_model": 3, "mount": 1},
    "schedule": {"ready_after_polls": 2},
    "rate": {"peak_requests_per_second": 5},
    "failures": {"kind": "MLModel", "id": "never", "message": "No luck"},
    "faults": {"kind": "slow", "operation": "Predict", "count": 1, "seconds": 1, "probability": 0.5, "seed": 1},
}


class Hostile:
    """Requests that are nearly right, the same on every run."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def mutate(self, value: Any) -> Any:
        """Return the value with one part of it replaced, left out, doubled or renamed."""
        if isinstance(value, dict) and value and self.random.random() < 0.9:
            name = self.random.choice(list(value))
            changed = {**value, name: self.mutate(value[name])}
            match self.random.randrange(6):
                case 0:
                    changed.pop(name)
                case 1:
                    changed[str(self.random.choice(HOSTILE))] = value[name]
            return changed
        if isinstance(value, list) and value and self.random.random() < 0.8:
            place = self.random.randrange(len(value))
            return [*value[:place], self.mutate(value[place]), *value[place + self.random.randrange(2) :]]
        if isinstance(value, str) and value and self.random.random() < 0.6:
            place = self.random.randrange(len(value))
            return (
                value[:place]
                + self.random.choice("()',:%\"\\ \x00\ud800é0")
                + value[place + self.random.randrange(3) :]
            )
        return self.random.choice(HOSTILE)

    def text(self, document: Any) -> str:
        """Return a JSON text within JSON, mutated as a document or as a text."""
        if self.random.random() < 0.8:
            return json.dumps(self.mutate(document))
        return str(self.mutate(json.dumps(document)))

    def data_source(self, entity_id: str) -> dict[str, Any]:
        """Return a CreateDataSourceFromS3 with a strange schema or rearrangement."""
        plain = json.loads(schema("sign"))
        spec: Any = {
            "DataLocationS3": DATA,
            "DataSchema": json.dumps(plain),
            "DataRearrangement": json.dumps(REARRANGEMENT),
        }
        member = self.random.choice(["DataSchema", "DataRearrangement"])
        spec[member] = self.text(plain if member == "DataSchema" else REARRANGEMENT)
        return {"DataSourceId": entity_id, "DataSpec": spec, "ComputeStatistics": True}

    def model(self, entity_id: str) -> dict[str, Any]:
        """Return a CreateMLModel with a strange recipe or strange parameters."""
        parameters = {"sgd.maxPasses": "2", "sgd.l2RegularizationAmount": "1e-6", "sgd.shuffleType": "auto"}
        return {
            "MLModelId": entity_id,
            "MLModelType": "BINARY",
            "TrainingDataSourceId": "ds-1",
            "Recipe": self.text(RECIPE),
            "Parameters": self.mutate(parameters) if self.random.random() < 0.3 else parameters,
        }

    def anything(self) -> tuple[str, Any]:
        """Return any operation with strange members of the right names."""
        name = self.random.choice(service_model().operation_names)
        shape = service_model().operation_model(name).input_shape
        assert shape
        members = {
            member: self.random.choice([*HOSTILE, "ml-1", "ds-1", "MLModel", "BINARY"])
            for member in shape.members
            if self.random.random() < 0.8
        }
        return name, members

    def body(self) -> bytes:
        """Return a body that may be no JSON at all."""
        whole = json.dumps({"MLModelId": "ml-1", "Record": {"x": "1"}, "PredictEndpoint": "x"}).encode()
        return self.random.choice(
            [
                self.random.randbytes(self.random.randrange(200)),
                whole[: self.random.randrange(len(whole))],
                b"[" * self.random.randrange(20_000),
                b'{"Record":' * self.random.randrange(2_000),
                b'{"Limit": ' + b"9" * self.random.randrange(5_000) + b"}",
                b'{"Record": {"x": "\\ud800"}, "MLModelId": "ml-1", "PredictEndpoint": "x"}',
            ]
        )


@pytest.fixture
def post(service: Any, endpoint: Any) -> Iterator[Callable[..., tuple[int, str]]]:
    """Send a body to an operation or a lever, with a READY model behind: ``post(name, body)`` returns what comes."""
    endpoint("ml-1")
    with serve(service) as server, closing(HTTPConnection(urlsplit(server.url).netloc, timeout=60)) as connection:

        def send(name: str, body: Any) -> tuple[int, str]:
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"Content-Type": "application/json" if name.startswith("/") else "application/x-amz-json-1.1"}
            if not name.startswith("/"):
                headers["X-Amz-Target"] = f"AmazonML_20141212.{name}"
                scope = "key/20261123/us-east-1/machinelearning/aws4_request"
                headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"
            connection.request("POST", name if name.startswith("/") else "/", sent, headers)
            response = connection.getresponse()
            text = response.read().decode()
            assert response.status < 500, (name, sent[:2000], text)
            json.loads(text)
            return response.status, text

        yield send


def _messages(client: Any) -> list[str]:
    kinds = (client.describe_data_sources, client.describe_ml_models)
    return [found.get("Message", "") for describe in kinds for found in describe()["Results"]]


@pytest.mark.parametrize("seed", range(3))
def test_strange_schemas_rearrangements_and_recipes_fail_with_their_reason(
    seed: int, post: Any, data_source: Any, client: Any, service: Any
) -> None:
    """Refused at once, or FAILED with a message for whoever wrote them; nothing ends in "has a defect"."""
    hostile = Hostile(seed)
    data_source("ds-1")
    statuses = [post("CreateDataSourceFromS3", hostile.data_source(f"ds-f{n}"))[0] for n in range(ROUNDS)]
    statuses += [post("CreateMLModel", hostile.model(f"ml-f{n}"))[0] for n in range(ROUNDS)]
    assert {200, 400} == set(statuses)
    service.clock.advance(3600)
    defects = [message for message in _messages(client) if "defect" in message]
    assert defects == []


@pytest.mark.parametrize("seed", range(3))
def test_strange_members_records_and_bodies_are_answered(seed: int, post: Any) -> None:
    """With 200 or 4xx."""
    hostile = Hostile(seed)
    predict = {"MLModelId": "ml-1", "Record": {"x": "1", "third": "low"}, "PredictEndpoint": "http://localhost"}
    for _ in range(ROUNDS):
        post("Predict", hostile.mutate(predict))
        post(*hostile.anything())
        post(hostile.anything()[0], hostile.body())


@pytest.mark.parametrize("seed", range(3))
def test_strange_levers_are_answered(seed: int, post: Any, service: Any) -> None:
    """With 200 or 4xx, and what they leave behind can be read."""
    hostile = Hostile(seed)
    for _ in range(ROUNDS):
        lever = hostile.random.choice(list(LEVERS))
        post(f"/_local/{lever}", hostile.mutate(LEVERS[lever]))
        post(f"/_local/{lever}", hostile.body())
        service.faults.clear()
        post("GetMLModel", {"MLModelId": "ml-1", "Verbose": True})


@pytest.mark.parametrize(
    ("operation", "members", "place"),
    [
        ("predict", {"Record": {"x": "\ud800"}}, "record.x.member"),
        ("predict", {"Record": {"\udfff": "1"}}, "record.key"),
        ("update_ml_model", {"MLModelName": "a\udc00"}, "mLModelName"),
    ],
)
def test_half_a_character_is_refused_by_where_it_stands(
    operation: str, members: Any, place: str, client: Any, endpoint: Any, refused: Any
) -> None:
    """JSON can write a lone surrogate, which no file and no digest can take."""
    url = {"PredictEndpoint": endpoint("ml-1")} if operation == "predict" else {}
    call = getattr(client, operation)
    refused("InvalidInputException", f"at '{place}'", call, MLModelId="ml-1", **url, **members)


@pytest.mark.parametrize(
    ("member", "text", "place"),
    [
        (
            "DataRearrangement",
            '{"splitting": {"strategy": "random", "percentEnd": 50, "randomSeed": "\\ud800"}}',
            "DataRearrangement has a lone surrogate, which is half a character, at 'splitting.randomSeed'",
        ),
        (
            "DataSchema",
            schema("sign").replace('"third"', '"third\\udfff"'),
            "The data schema has a lone surrogate, which is half a character, at 'excludedAttributeNames.2'",
        ),
        ("DataSchema", '{"attributes": ' + "[" * 100_000, "The data schema is nested too deeply"),
    ],
)
def test_half_a_character_in_a_document_is_refused_by_where_it_stands(
    member: str, text: str, place: str, data_source: Any, refused: Any
) -> None:
    """In the seed of a split or the name of an attribute, JSON within JSON."""
    refused("InvalidInputException", place, data_source, **{member: text})


def test_half_a_character_in_a_recipe_in_s3_fails_the_model(client: Any, service: Any, data_source: Any) -> None:
    """It is not read before the model is trained."""
    recipe = {**RECIPE, "groups": {"\ud800": "group('x')"}}
    service.storage.write("s3://bucket/recipe.json", json.dumps(recipe).encode())
    source = data_source("ds-1")
    client.create_ml_model(
        MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId=source, RecipeUri="s3://bucket/recipe.json"
    )
    service.clock.advance(3600)
    assert "The recipe has a lone surrogate" in client.get_ml_model(MLModelId="ml-1")["Message"]
