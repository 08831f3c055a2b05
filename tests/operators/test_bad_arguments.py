"""Every argument of every operator: what is wrong is refused before any call, and the argument is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators import batch_prediction, data_source, evaluation, ml_model, prediction, tags
from airflow_ml_provider.operators.operation import MachineLearningOperator
from airflow_ml_provider.operators.realtime_endpoint import (
    MachineLearningCreateRealtimeEndpointOperator,
    MachineLearningDeleteRealtimeEndpointOperator,
)
from airflow_ml_provider.service_model import arguments
from airflow_ml_provider.values import JSON_TEXT

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture

MODULES = (batch_prediction, data_source, evaluation, ml_model, prediction, tags)
OPERATORS = {
    found.operation: found
    for module in MODULES
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, MachineLearningOperator) and hasattr(found, "operation")
} | {
    "CreateRealtimeEndpoint": MachineLearningCreateRealtimeEndpointOperator,
    "DeleteRealtimeEndpoint": MachineLearningDeleteRealtimeEndpointOperator,
}
del OPERATORS["Predict"]  # its records have tests of their own

VALID: dict[str, Any] = {
    "batch_prediction_data_source_id": "ds-1",
    "batch_prediction_id": "bp-1",
    "batch_prediction_name": "a batch",
    "compute_statistics": True,
    "data_location_s3": "s3://bucket/key.csv",
    "data_rearrangement": {"splitting": {"percentBegin": 0, "percentEnd": 70}},
    "data_schema": {"version": "1.0"},
    "data_schema_location_s3": None,
    "data_schema_uri": None,
    "data_source_id": "ds-1",
    "data_source_name": "some data",
    "database_conn_id": "my_database",
    "evaluation_data_source_id": "ds-1",
    "evaluation_id": "ev-1",
    "evaluation_name": "an evaluation",
    "ml_model_id": "ml-1",
    "ml_model_name": "a model",
    "ml_model_type": "BINARY",
    "output_uri": "s3://bucket/out/",
    "parameters": {"sgd.maxPasses": "10"},
    "recipe": {"groups": {}, "assignments": {}, "outputs": ["ALL_INPUTS"]},
    "recipe_uri": None,
    "resource_id": "ml-1",
    "resource_role": "role",
    "resource_type": "MLModel",
    "role_arn": "arn:aws:iam::123456789012:role/ml",
    "s3_staging_location": "s3://bucket/staging/",
    "score_threshold": 0.5,
    "security_group_ids": ["sg-1"],
    "select_sql_query": "SELECT 1",
    "service_role": "role",
    "subnet_id": "subnet-1",
    "tag_keys": ["team"],
    "tags": [{"Key": "team", "Value": "a"}],
    "training_data_source_id": "ds-1",
    "verbose": True,
}
INSTEAD_OF = {
    "data_schema_location_s3": "data_schema",
    "data_schema_uri": "data_schema",
    "recipe_uri": "recipe",
}
DATABASES = {
    "CreateDataSourceFromRedshift": {"DatabaseName": "dev", "ClusterIdentifier": "cluster"},
    "CreateDataSourceFromRDS": {"DatabaseName": "dev", "InstanceIdentifier": "instance"},
}


def valid(operation: str) -> Any:
    given = {name: VALID[name] for name in arguments(operation) if name != "database_information"}
    return given | ({"database_information": DATABASES[operation]} if operation in DATABASES else {})


BAD: dict[str, Any] = {
    "string": [(b"bytes", "it is bytes; it must be text")],
    "boolean": [("perhaps", "is not a boolean; it must be true or false"), (2, "is not a boolean")],
    "float": [("abc", "is not a finite float"), (True, "it is bool"), ("nan", "is not a finite float")],
    "list": [("text", "it is str; it must be a list"), ([None], r"\[0\]: ")],
    "map": [([1], "it is list; it must be a mapping"), ({"k": None}, r"\['k'\]: it is NoneType; it must be text")],
    "structure": [
        ("text", "must be a mapping with the keys"),
        ({"Unknown": "x"}, "must be a mapping with the keys"),
        ({}, "is missing"),
    ],
}


def bad_values(member: Any, shape: Any, required: Any) -> Iterator[Any]:
    """Return values that a member of this shape cannot have: (value, what the message says)."""
    if required:
        yield None, "it is None"
    yield from BAD[shape.type_name]
    if shape.type_name == "string":
        yield from bad_texts(member, shape)
    if member == "TagKeys":
        yield ["x"] * 101, "101 items; allowed are 0 to 100"


def bad_texts(member: Any, shape: Any) -> Iterator[Any]:
    allowed = shape.metadata
    if shape.name == "EntityId":
        yield "None", "it is the text 'None', as a template renders None"
    if member in JSON_TEXT:
        yield "{not JSON", "it is neither a mapping nor JSON text"
    if "max" in allowed:
        yield json.dumps("x" * allowed["max"]), "characters; allowed are . to"
    if allowed.get("min"):
        yield "", "0 characters; allowed are 1 to"
    if allowed.get("enum"):
        yield "nonsense", "'nonsense' is not one of "
    if allowed.get("pattern"):
        yield " ", "does not match"


def may_be_left_out(operation: str, name: str) -> Any:
    """The id of what a Create makes is required by AWS, and made of the run when it is left out."""
    return (
        operation.startswith("Create")
        and operation != "CreateRealtimeEndpoint"
        and next(iter(arguments(operation))) == name
    )


CASES = [
    pytest.param(operation, name, value, message, id=f"{operation}-{name}-{place}")
    for operation in OPERATORS
    for name, (path, shape, required) in arguments(operation).items()
    if name != "database_conn_id"
    for place, (value, message) in enumerate(
        bad_values(path[-1], shape, required and not may_be_left_out(operation, name))
    )
]


@pytest.fixture(scope="module")
def service() -> Iterator[AmazonMLLocalFixture]:
    """One service for all cases: none of them may reach it."""
    from amazon_ml_local.fixture import served

    with served() as local, pytest.MonkeyPatch.context() as patch:
        for name, value in local.env.items():
            patch.setenv(name, value)
        patch.setenv(
            "AIRFLOW_CONN_MY_DATABASE", json.dumps({"conn_type": "redshift", "login": "me", "password": "secret-1"})
        )
        yield local


@pytest.mark.parametrize(("operation", "name", "value", "message"), CASES)
def test_what_is_wrong_is_refused_before_any_call(
    operation: Any, name: Any, value: Any, message: Any, service: AmazonMLLocalFixture
) -> None:
    """Missing, of the wrong type, too long, out of its pattern or enum: the argument is named, and nothing is sent."""
    given = valid(operation) | ({INSTEAD_OF[name]: None} if name in INSTEAD_OF else {}) | {name: value}
    task = OPERATORS[operation](task_id="task", **given)
    with pytest.raises(InvalidArgument, match=rf"^{name}.*{message}"):
        task.execute({})
    assert len(service.requests) == 0


@pytest.mark.parametrize("operation", OPERATORS)
def test_the_valid_arguments_are_valid(operation: Any, service: AmazonMLLocalFixture) -> None:
    """What the cases above start from makes a request."""
    request = OPERATORS[operation](task_id="task", **valid(operation)).request()
    assert request


CONTRADICTIONS = [
    (
        "CreateDataSourceFromS3",
        {"data_schema_location_s3": "s3://bucket/schema"},
        "data_schema, data_schema_location_s3",
    ),
    ("CreateDataSourceFromS3", {"data_schema": None}, "data_schema, data_schema_location_s3: exactly one"),
    (
        "CreateDataSourceFromRedshift",
        {"data_schema_uri": "s3://bucket/schema"},
        "data_schema, data_schema_uri: exactly",
    ),
    ("CreateDataSourceFromRDS", {"data_schema": None}, "data_schema, data_schema_uri: exactly one"),
    ("CreateMLModel", {"recipe_uri": "s3://bucket/recipe"}, "recipe, recipe_uri: at most one"),
    (
        "CreateMLModel",
        {"parameters": {"sgd.l1RegularizationAmount": 1e-6, "sgd.l2RegularizationAmount": "1e-6"}},
        "parameters: of sgd.l1RegularizationAmount and sgd.l2RegularizationAmount only one may be above 0",
    ),
    ("CreateMLModel", {"parameters": {"sgd.l1RegularizationAmount": "much"}}, "parameters: .*must be numbers"),
]


@pytest.mark.parametrize(("operation", "given", "message"), CONTRADICTIONS)
def test_contradictions_are_refused_before_any_call(
    operation: str, given: dict[str, Any], message: str, service: AmazonMLLocalFixture
) -> None:
    """Two arguments that exclude each other, or of which one is needed."""
    task = OPERATORS[operation](task_id="task", **{**valid(operation), **given})
    with pytest.raises(InvalidArgument, match=rf"^{message}"):
        task.execute({})
    assert len(service.requests) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"waiter_delay": 0}, "waiter_delay: 0 s; it must be above 0"),
        ({"waiter_max_attempts": -1}, "waiter_max_attempts: -1; it must be at least 1"),
        ({"if_exists": "maybe"}, "if_exists: 'maybe'; it must be 'skip', 'replace' or 'fail'"),
    ],
)
def test_flags_are_checked_when_the_dag_is_parsed(given: dict[str, Any], message: str) -> None:
    """What is not templated is wrong as soon as it is written."""
    with pytest.raises(InvalidArgument, match=message):
        OPERATORS["CreateMLModel"](task_id="task", **valid("CreateMLModel"), **given)
