"""Data sources from Redshift and RDS: the database's user and password go to AWS, and nowhere else."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ml_provider.compat import AirflowException, AirflowNotFoundException, TaskDeferred
from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.data_source import (
    MachineLearningCreateDataSourceFromRDSOperator,
    MachineLearningCreateDataSourceFromRedshiftOperator,
    MachineLearningGetDataSourceOperator,
)
from tests.helpers.deferred import resume
from tests.helpers.schemas import data_schema

if TYPE_CHECKING:
    from amazon_ml_local.clock import Clock
    from amazon_ml_local.fixture import AmazonMLLocalFixture

USER, PASSWORD = "a_database_user", "a-secret-pass-word"
COMMON: dict[str, Any] = {
    "task_id": "create",
    "data_source_id": "new",
    "select_sql_query": "SELECT x, y FROM rows",
    "database_conn_id": "my_database",
    "s3_staging_location": "s3://bucket/staging/",
    "role_arn": "arn:aws:iam::123456789012:role/ml",
    "data_schema": data_schema({"x": "TEXT"}),
}
REDSHIFT = (
    MachineLearningCreateDataSourceFromRedshiftOperator,
    {"database_information": {"DatabaseName": "dev", "ClusterIdentifier": "cluster"}},
)
RDS = (
    MachineLearningCreateDataSourceFromRDSOperator,
    {
        "database_information": {"DatabaseName": "dev", "InstanceIdentifier": "instance"},
        "resource_role": "DataPipelineDefaultResourceRole",
        "service_role": "DataPipelineDefaultRole",
        "subnet_id": "subnet-1",
        "security_group_ids": ["sg-1"],
    },
)
both = pytest.mark.parametrize("source", [REDSHIFT, RDS], ids=["Redshift", "RDS"])


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Airflow connection of the database."""
    given = {"conn_type": "redshift", "login": USER, "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_MY_DATABASE", json.dumps(given))


def task(source: Any, **arguments: Any) -> Any:
    operator, own = source
    return operator(**{**COMMON, **own, **arguments})


def sent(service: AmazonMLLocalFixture) -> Any:
    (request,) = [one for one in service.requests if one.operation.startswith("Create")]
    return request.parameters


@both
def test_the_members_are_sent_where_they_belong(source: tuple[Any, ...], service_clock: Clock) -> None:
    """DataSpec and RDSData are made of flat arguments, the credentials of the Airflow connection."""
    request = task(source, compute_statistics="true").request()
    spec = request.get("DataSpec") or request["RDSData"]
    assert spec["DatabaseCredentials"] == {"Username": USER, "Password": PASSWORD}
    assert spec["DatabaseInformation"] == source[1]["database_information"]
    assert json.loads(spec["DataSchema"]) == COMMON["data_schema"]
    assert request["ComputeStatistics"] is True


@both
def test_the_password_is_in_no_log_attribute_or_trigger(
    source: tuple[Any, ...],
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither password nor user is in what Airflow keeps, shows or logs of the task, also when it fails."""
    caplog.set_level(logging.INFO)
    operator = task(source, deferrable=True)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    with pytest.raises(AirflowException, match="status FAILED") as failure:  # no database is mapped
        resume(operator, service_clock, {}, deferred.value)
    trigger = str(deferred.value.trigger.serialize())
    kept = [repr(operator), str(vars(operator)), trigger, caplog.text, str(failure.value)]
    assert sent(amazon_ml_local)
    assert not [text for text in kept if USER in text or PASSWORD in text]


@both
def test_user_and_password_are_masked(source: tuple[Any, ...], service_clock: Clock) -> None:
    """From the moment the connection is read, Airflow's log shows stars in their place."""
    from airflow_ml_provider.compat import redact

    task(source).request()
    assert redact(f"{USER} {PASSWORD}") == "*** ***"


@both
def test_the_user_is_not_in_the_description(
    source: tuple[Any, ...], amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock
) -> None:
    """GetDataSource tells the user's name; XCom does not."""
    task(source, wait_for_completion=False).execute({})
    raw = amazon_ml_local.client().get_data_source(DataSourceId="new")
    assert USER in str(raw)
    found = MachineLearningGetDataSourceOperator(task_id="get", data_source_id="new").execute({})
    assert found["DataSourceId"] == "new"
    assert USER not in str(found)


@both
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"login": USER}, "database_conn_id: the connection 'my_database' must have a login and a password"),
        ({"password": PASSWORD}, "database_conn_id: the connection 'my_database' must have a login and a password"),
        ({"login": USER, "password": "short"}, r"database_conn_id\['Password'\]: 5 characters; allowed are 8 to"),
    ],
)
def test_a_connection_that_cannot_do_is_refused_before_any_call(
    source: tuple[Any, ...],
    given: dict[str, Any],
    message: str,
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message names the argument and the connection, and not what is in it."""
    monkeypatch.setenv("AIRFLOW_CONN_MY_DATABASE", json.dumps({"conn_type": "redshift", **given}))
    with pytest.raises(InvalidArgument, match=message):
        task(source).execute({})
    assert len(amazon_ml_local.requests) == 0


@both
@pytest.mark.parametrize("conn_id", [None, ""])
def test_no_connection_is_refused_before_any_call(
    source: tuple[Any, ...], conn_id: str | None, amazon_ml_local: AmazonMLLocalFixture, service_clock: Clock
) -> None:
    """The message names the argument, and says what it must be."""
    message = f"database_conn_id: {conn_id!r}; it must be the id of an Airflow connection"
    with pytest.raises(InvalidArgument, match=message):
        task(source, database_conn_id=conn_id).execute({})
    assert len(amazon_ml_local.requests) == 0


@both
def test_an_unknown_connection_is_airflows_own_error(
    source: tuple[Any, ...],
    amazon_ml_local: AmazonMLLocalFixture,
    service_clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It names the connection, and nothing is sent."""
    monkeypatch.delenv("AIRFLOW_CONN_MY_DATABASE")
    with pytest.raises(AirflowNotFoundException, match="my_database"):
        task(source).execute({})
    assert len(amazon_ml_local.requests) == 0
