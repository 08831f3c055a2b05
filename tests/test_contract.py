"""Operators, sensors, waiters and provider info held to botocore's service model: this fails when AWS changes it."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import pkgutil
import pydoc
import re
from collections.abc import Mapping
from typing import Any

import airflow.triggers.base
import jmespath
import pytest
from botocore.model import ListShape, Shape, StructureShape

from airflow_ml_provider.links import LINKS
from airflow_ml_provider.operators.base import AWS_FIELDS, MachineLearningBase
from airflow_ml_provider.operators.operation import MachineLearningOperator
from airflow_ml_provider.resources import RESOURCES, WAITERS
from airflow_ml_provider.service_model import argument_name, arguments, operation_model, service_model
from airflow_ml_provider.triggers.connection import connected_hook
from airflow_ml_provider.waiting import WAITERS_FILE, Wait
from tests.helpers.classes import (
    INFO,
    NEEDS_AIRFLOW_3,
    OPERATORS,
    SENSORS,
    class_name,
    classes,
    module_names,
    own_arguments,
)

pytestmark = pytest.mark.core

INNER = {
    "airflow_ml_provider.operators.signature",
    "airflow_ml_provider.operators.base",
    "airflow_ml_provider.operators.claiming",
    "airflow_ml_provider.operators.lifecycle",
    "airflow_ml_provider.operators.operation",
    "airflow_ml_provider.operators.shown",
    "airflow_ml_provider.sensors.base",
    "airflow_ml_provider.triggers.bulk",
    "airflow_ml_provider.triggers.connection",
    "airflow_ml_provider.triggers.pending",
    "airflow_ml_provider.triggers.poller",
    "airflow_ml_provider.triggers.task_state",
    "airflow_ml_provider.triggers.threads",
}
AWS_ARGUMENTS = {"aws_conn_id": "my_aws", "region_name": "eu-west-1", "verify": False, "botocore_config": {}}

LEFT_TO_THE_HOOK = {
    "DescribeBatchPredictions": "hook.conn has a paginator",
    "DescribeDataSources": "hook.conn has a paginator",
    "DescribeEvaluations": "hook.conn has a paginator",
    "DescribeMLModels": "hook.conn has a paginator",
    "DescribeTags": "a plain call of hook.conn",
}
RENAMED = {
    ("Predict", "predict_endpoint"): ("endpoint_url", "Airflow's users know it as the endpoint's EndpointUrl"),
}
ADDED = {
    ("Predict", "records"): "a few records in one task; exactly one of record and records",
}
MADE_UP = "left out, it is made of Dag, task, run and map index"
OPTIONAL = {
    ("CreateDataSourceFromS3", "data_source_id"): MADE_UP,
    ("CreateDataSourceFromRedshift", "data_source_id"): MADE_UP,
    ("CreateDataSourceFromRDS", "data_source_id"): MADE_UP,
    ("CreateMLModel", "ml_model_id"): MADE_UP,
    ("CreateEvaluation", "evaluation_id"): MADE_UP,
    ("CreateBatchPrediction", "batch_prediction_id"): MADE_UP,
    ("Predict", "predict_endpoint"): "asked of the endpoint itself when it is left out",
    ("Predict", "record"): "exactly one of record and records",
}
FLAGS = {
    "CreateRealtimeEndpoint": {"wait_for_model", "if_exists", "delete_on_failure"},
    "DeleteRealtimeEndpoint": {"wait_for_completion", "created_by"},
    "Predict": {"mount_timeout", "refuse_unknown_variables"},
}


BY_OPERATION = [found for found in OPERATORS if hasattr(found, "operation")]
TRIGGERS: list[type[Any]] = classes("triggers", airflow.triggers.base.BaseTrigger)
TRIGGER_ARGUMENTS = {
    "wait": Wait("ml_model_completed", "ml-1", "eu-west-1", deadline=2.0, delay=1.0, started=1.0).to_json(),
    "carried": {"ours": True},
    "ml_model_id": "ml-1",
}


def aws_arguments(found: Any) -> dict[str, Any]:
    """Return an operator's arguments by the service model → (shape, whether it is required)."""
    operation = found.operation
    return {
        RENAMED.get((operation, name), (name,))[0]: (shape, required and (operation, name) not in OPTIONAL)
        for name, (_, shape, required) in arguments(operation).items()
    }


def made(found: Any) -> Any:
    """Construct an operator or a sensor with a template for each of its own arguments."""
    required = {
        name: f"{{{{ {name} }}}}"
        for name, parameter in own_arguments(found).items()
        if name in found.template_fields or parameter.default is parameter.empty
    }
    return found(task_id="task", **required, **AWS_ARGUMENTS)


def test_every_operation_has_its_operator_or_is_left_to_the_hook() -> None:
    """23 operations have an operator, named after the operation, and 5 are left to the hook: together all 28."""
    operations = {found.operation for found in BY_OPERATION}
    assert len(BY_OPERATION) == len(operations) == 23
    assert {f"MachineLearning{name}Operator" for name in operations} == {found.__name__ for found in BY_OPERATION}
    assert operations | set(LEFT_TO_THE_HOOK) == set(service_model().operation_names)
    assert len(operations) + len(LEFT_TO_THE_HOOK) == 28


SERVICE_ARGUMENTS = {name for found in BY_OPERATION for name in arguments(found.operation)}


def test_the_service_has_39_arguments_in_all() -> None:
    """Flattened, the members of the operators' requests are so many names."""
    assert len(SERVICE_ARGUMENTS) == 39


def test_no_argument_has_the_name_of_one_of_airflows() -> None:
    """An argument of the service would take the place of one of BaseOperator's."""
    airflows: Any = MachineLearningBase.__mro__[1]
    assert not SERVICE_ARGUMENTS & set(inspect.signature(airflows.__init__).parameters)


@pytest.mark.parametrize("found", BY_OPERATION, ids=class_name)
def test_an_operators_own_arguments_are_the_operations_members(found: Any) -> None:
    """Own arguments = the operation's members in snake case, and flags of behaviour that are listed here."""
    operation = found.operation
    added = {name for key, name in ADDED if key == operation} | FLAGS.get(operation, set())
    assert set(own_arguments(found)) == set(aws_arguments(found)) | added


@pytest.mark.parametrize("found", BY_OPERATION, ids=class_name)
def test_required_members_are_required_arguments(found: Any) -> None:
    """Required = required, but for the exceptions that are listed with their reasons."""
    own = own_arguments(found)
    for name, (_, required) in aws_arguments(found).items():
        assert (own[name].default is inspect.Parameter.empty) == required, name


@pytest.mark.parametrize("found", BY_OPERATION, ids=class_name)
def test_template_fields_are_the_members_and_the_aws_arguments(found: Any) -> None:
    """Every AWS member, aws_conn_id, region_name and verify are templated; flags of behaviour are not."""
    added = {name for key, name in ADDED if key == found.operation}
    assert set(found.template_fields) == set(aws_arguments(found)) | added | set(AWS_FIELDS)


@pytest.mark.parametrize("found", OPERATORS + SENSORS, ids=class_name)
def test_every_argument_is_documented(found: Any) -> None:
    """Each has its ``:param`` in the class's docstring, which says so if it is templated."""
    for name in own_arguments(found):
        described = re.search(rf":param {name}:(.*?)(?=:param|$)", found.__doc__, re.DOTALL)
        assert described, name
        assert name not in found.template_fields or "(templated)" in " ".join(described[1].split()), name


@pytest.mark.parametrize("found", OPERATORS + SENSORS, ids=class_name)
def test_every_argument_has_a_type(found: Any) -> None:
    """Editors and mypy know what each takes."""
    for name, parameter in own_arguments(found).items():
        assert parameter.annotation is not parameter.empty, name


@pytest.mark.parametrize("found", OPERATORS + SENSORS, ids=class_name)
def test_every_argument_is_an_attribute(found: Any) -> None:
    """Airflow renders the attributes of a task: what is templated is there as it was given."""
    task = made(found)
    for name in own_arguments(found):
        assert hasattr(task, name), name
    for name in found.template_fields:
        assert getattr(task, name) == AWS_ARGUMENTS.get(name, f"{{{{ {name} }}}}"), name


@pytest.mark.parametrize("found", OPERATORS + SENSORS, ids=class_name)
def test_the_signature_has_every_argument(found: Any) -> None:
    """``inspect.signature`` and ``help`` show what each base takes too, Airflow's among them."""
    shown = inspect.signature(found).parameters
    for base in found.__mro__[:-1]:
        own = inspect.signature(base.__init__).parameters.values()
        assert {one.name for one in own if one.kind is one.KEYWORD_ONLY} <= set(shown)
    assert shown["task_id"].default is inspect.Parameter.empty
    assert {"aws_conn_id", "retries", "trigger_rule"} <= set(shown)
    assert "retries" in pydoc.TextDoc().document(found).partition("\n\n")[0]


@pytest.mark.parametrize("found", OPERATORS + SENSORS, ids=class_name)
def test_the_aws_arguments_survive_to_the_hook(found: Any) -> None:
    """Connection, region, verify and botocore's configuration reach the hook as they were given."""
    hook = made(found).hook
    assert (hook.aws_conn_id, hook._region_name, hook._verify) == ("my_aws", "eu-west-1", False)
    assert made(found).aws_settings == AWS_ARGUMENTS


@pytest.mark.parametrize("found", TRIGGERS, ids=class_name)
def test_the_aws_arguments_survive_the_trigger(found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serialized and made anew, a trigger makes its hook with the same AWS arguments; it keeps its other ones too."""
    monkeypatch.setenv("AIRFLOW_CONN_MY_AWS", json.dumps({"conn_type": "aws"}))
    required = {name for name, given in own_arguments(found).items() if given.default is given.empty}
    given = {name: value for name, value in TRIGGER_ARGUMENTS.items() if name in required} | AWS_ARGUMENTS
    path, kwargs = found(**given).serialize()
    assert (path, json.loads(json.dumps(kwargs))) == (f"{found.__module__}.{found.__qualname__}", kwargs)
    assert kwargs.items() >= given.items()
    assert found(**kwargs).serialize() == (path, kwargs)
    hook = asyncio.run(connected_hook(found(**kwargs).aws_settings))
    assert (hook.aws_conn_id, hook._region_name, hook._verify) == ("my_aws", "eu-west-1", False)


@pytest.mark.parametrize("found", OPERATORS + SENSORS, ids=class_name)
def test_region_is_refused(found: Any) -> None:
    """``region=`` would be lost silently in the amazon provider; here it is an error that names region_name."""
    with pytest.raises(TypeError, match="region is no argument; use region_name"):
        found(task_id="task", **dict.fromkeys(own_arguments(found), "x"), region="eu-west-1")


def test_every_kind_of_resource_has_a_sensor() -> None:
    """Five kinds, five sensors."""
    assert {f"MachineLearning{name}Sensor" for name in RESOURCES} == {found.__name__ for found in SENSORS}


WAITERS_JSON = json.loads(WAITERS_FILE.read_text())["waiters"]


def test_the_waiters_file_and_the_table_of_waiters_agree() -> None:
    """Each waiter polls the Get of its resource; none is missing in either place."""
    assert {name: waiter["operation"] for name, waiter in WAITERS_JSON.items()} == {
        name: resource.get for name, resource in WAITERS.items()
    }
    assert set(service_model().operation_names) >= {waiter["operation"] for waiter in WAITERS_JSON.values()}


def enum_at(operation: str, path: str) -> set[Any]:
    """Return the values that a member of an answer may have."""
    shape: Any = operation_model(operation).output_shape
    for member in path.split("."):
        shape = shape.members[member]
    return set(shape.enum)


def expected_values(waiter: Any) -> dict[str, set[str]]:
    """Return the values that a waiter's acceptors expect, by the path of their member in an answer."""
    expected: dict[str, set[str]] = {}
    for acceptor in waiter["acceptors"]:
        if acceptor["matcher"] == "path":
            jmespath.compile(acceptor["argument"])
            expected.setdefault(acceptor["argument"], set()).add(acceptor["expected"])
    return expected


@pytest.mark.parametrize("name", WAITERS_JSON)
def test_acceptors_expect_documented_values(name: Any) -> None:
    """What an acceptor expects is in the enum of its member."""
    waiter = WAITERS_JSON[name]
    for path, values in expected_values(waiter).items():
        assert values <= enum_at(waiter["operation"], path), path


@pytest.mark.parametrize("name", WAITERS_JSON)
def test_acceptors_decide_every_documented_status(name: Any) -> None:
    """Together they cover the whole enum of the status."""
    waiter, resource = WAITERS_JSON[name], WAITERS[name]
    status = ".".join(part for part in (resource.info_member, resource.status_member) if part)
    assert expected_values(waiter)[status] == enum_at(waiter["operation"], status)


@pytest.mark.parametrize("name", WAITERS_JSON)
def test_error_acceptors_name_errors_of_the_operation(name: Any) -> None:
    """An error that decides a wait is one that the operation declares; ``argument`` keeps the amazon hook from a
    KeyError."""
    waiter = WAITERS_JSON[name]
    declared = {shape.name for shape in operation_model(waiter["operation"]).error_shapes}
    for acceptor in waiter["acceptors"]:
        if acceptor["matcher"] == "error":
            assert acceptor["argument"] == "Error.Code"
            assert acceptor["expected"] in declared


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
def test_resources_name_what_the_service_has(resource: Any) -> None:
    """Operations and members in the table of resources exist."""
    get, describe = operation_model(resource.get), operation_model(resource.describe)
    assert resource.id_member in members(get.input_shape)
    found = members(get.output_shape)
    assert resource.status_member in (members(found[resource.info_member]) if resource.info_member else found)
    results = members(describe.output_shape)["Results"]
    assert isinstance(results, ListShape)
    assert resource.id_member in members(results.member)


def members(shape: Shape | None) -> Mapping[str, Shape]:
    """Return the members of a structure."""
    assert isinstance(shape, StructureShape)
    return shape.members


@pytest.mark.parametrize("section", ["hooks", "operators", "sensors", "triggers"])
def test_provider_info_lists_every_module(section: str) -> None:
    """Each module with something for users is listed; each that is listed can be imported."""
    package = importlib.import_module(f"airflow_ml_provider.{section}")
    found = {f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)}
    assert found - INNER == set(module_names(section))
    for name in found - set(NEEDS_AIRFLOW_3):
        importlib.import_module(name)


def test_every_link_of_an_operator_is_in_provider_info() -> None:
    """Airflow 2.11 drops a link that is not listed; each has a name and an XCom key of its own."""
    paths = {f"{link.__module__}.{link.__qualname__}" for link in LINKS}
    used = {type(link) for found in OPERATORS for link in found.operator_extra_links}
    assert paths == set(INFO["extra-links"])
    assert used == set(LINKS)
    assert len({link.name for link in LINKS}) == len({link.key for link in LINKS}) == len(LINKS)


def test_provider_info_is_what_airflow_accepts() -> None:
    """Name and description are all that Airflow's schema asks for; the name has dashes, or every command fails."""
    assert INFO["package-name"] == "airflow-ml-provider"
    assert {"name", "description"} <= set(INFO)


@pytest.mark.parametrize("found", BY_OPERATION, ids=class_name)
def test_results_name_members_of_the_answer(found: Any) -> None:
    """What an operator returns out of an answer is a member of that answer."""
    answer = members(operation_model(found.operation).output_shape)
    if issubclass(found, MachineLearningOperator) and hasattr(found, "id_member"):
        assert found.id_member in answer
    if hasattr(found, "waiter"):
        assert argument_name(WAITERS[found.waiter].id_member) in arguments(found.operation)
    if hasattr(found, "resource"):
        assert found.resource.get == found.operation
