"""Create, rename, read and delete data sources.

Long and in one module, as most of it is the arguments of three Creates. They repeat each other, so that IDEs, mypy and
``expand`` see the whole signature of each class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_ml_provider.errors import InvalidArgument
from airflow_ml_provider.operators.base import AWS_FIELDS
from airflow_ml_provider.operators.lifecycle import (
    MachineLearningChangeOperator,
    MachineLearningCreateOperator,
    MachineLearningDeleteOperator,
    MachineLearningGetOperator,
)
from airflow_ml_provider.resources import RESOURCES
from airflow_ml_provider.values import JSONText


class MachineLearningCreateDataSourceFromS3Operator(MachineLearningCreateOperator):
    """Create a data source from CSV in S3, and wait until it is COMPLETED.

    Returns its id; each member of GetDataSource's answer is in XCom too, under its own key.

    :param data_location_s3: a file, or a prefix that ends in ``/`` (templated).
    :param data_schema: the schema, a mapping or JSON text (templated).
    :param data_schema_location_s3: where the schema is in S3; exactly one of it and ``data_schema`` (templated).
    :param data_rearrangement: which of the rows to use, a mapping or JSON text, as ``{"splitting": {"percentBegin":
        0, "percentEnd": 70}}``; all by default (templated).
    :param compute_statistics: whether to compute the statistics that training needs; AWS's default is false
        (templated).
    :param data_source_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]``, else one made of Dag, task, run and map index
        (templated).
    :param data_source_name: a name for people, up to 1,024 characters (templated).
    """

    operation = "CreateDataSourceFromS3"
    waiter = "data_source_completed"
    template_fields: Sequence[str] = (
        "data_location_s3",
        "data_schema",
        "data_schema_location_s3",
        "data_rearrangement",
        "compute_statistics",
        "data_source_id",
        "data_source_name",
        *AWS_FIELDS,
    )

    def __init__(
        self,
        *,
        data_location_s3: str,
        data_schema: JSONText | None = None,
        data_schema_location_s3: str | None = None,
        data_rearrangement: JSONText | None = None,
        compute_statistics: bool | str | None = None,
        data_source_id: str | None = None,
        data_source_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_location_s3 = data_location_s3
        self.data_schema = data_schema
        self.data_schema_location_s3 = data_schema_location_s3
        self.data_rearrangement = data_rearrangement
        self.compute_statistics = compute_statistics
        self.data_source_id = data_source_id
        self.data_source_name = data_source_name


def database_credentials(database_conn_id: str | None) -> dict[str, str]:
    """Return user and password of an Airflow connection under AWS's names, and mask both in logs.

    :raises InvalidArgument: when the connection lacks one of them.
    """
    from airflow_ml_provider.compat import BaseHook, mask_secret

    if not database_conn_id:
        raise InvalidArgument(f"database_conn_id: {database_conn_id!r}; it must be the id of an Airflow connection")
    connection = BaseHook.get_connection(database_conn_id)
    if not connection.login or not connection.password:
        raise InvalidArgument(f"database_conn_id: the connection {database_conn_id!r} must have a login and a password")
    mask_secret(connection.login)
    mask_secret(connection.password)
    return {"Username": connection.login, "Password": connection.password}


class _CreateDataSourceFromDatabaseOperator(MachineLearningCreateOperator):
    """Put the database's user and password into the request alone, and in no attribute, template or trigger."""

    database_conn_id: str

    def request(self, **known: object) -> dict[str, object]:
        return super().request(**known, database_conn_id=database_credentials(self.database_conn_id))


class MachineLearningCreateDataSourceFromRedshiftOperator(_CreateDataSourceFromDatabaseOperator):
    """Create a data source from a query of Amazon Redshift, and wait until it is COMPLETED.

    Returns its id; each member of GetDataSource's answer is in XCom too, under its own key.

    :param database_information: the cluster, ``{"DatabaseName": …, "ClusterIdentifier": …}`` (templated).
    :param select_sql_query: the query whose rows are the data, up to 16,777,216 characters (templated).
    :param database_conn_id: the Airflow connection with the database's user and password, which go to AWS alone
        (templated).
    :param s3_staging_location: where in S3 the rows are put, as ``s3://bucket/prefix/`` (templated).
    :param role_arn: the role that Amazon ML assumes to run the query, up to 110 characters (templated).
    :param data_schema: the schema, a mapping or JSON text (templated).
    :param data_schema_uri: where the schema is in S3; exactly one of it and ``data_schema`` (templated).
    :param data_rearrangement: which of the rows to use, a mapping or JSON text, as ``{"splitting": {"percentBegin":
        0, "percentEnd": 70}}``; all by default (templated).
    :param compute_statistics: whether to compute the statistics that training needs; AWS's default is false
        (templated).
    :param data_source_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]``, else one made of Dag, task, run and map index
        (templated).
    :param data_source_name: a name for people, up to 1,024 characters (templated).
    """

    operation = "CreateDataSourceFromRedshift"
    waiter = "data_source_completed"
    template_fields: Sequence[str] = (
        "database_information",
        "select_sql_query",
        "database_conn_id",
        "s3_staging_location",
        "role_arn",
        "data_schema",
        "data_schema_uri",
        "data_rearrangement",
        "compute_statistics",
        "data_source_id",
        "data_source_name",
        *AWS_FIELDS,
    )

    def __init__(
        self,
        *,
        database_information: Mapping[str, str],
        select_sql_query: str,
        database_conn_id: str,
        s3_staging_location: str,
        role_arn: str,
        data_schema: JSONText | None = None,
        data_schema_uri: str | None = None,
        data_rearrangement: JSONText | None = None,
        compute_statistics: bool | str | None = None,
        data_source_id: str | None = None,
        data_source_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.database_information = database_information
        self.select_sql_query = select_sql_query
        self.database_conn_id = database_conn_id
        self.s3_staging_location = s3_staging_location
        self.role_arn = role_arn
        self.data_schema = data_schema
        self.data_schema_uri = data_schema_uri
        self.data_rearrangement = data_rearrangement
        self.compute_statistics = compute_statistics
        self.data_source_id = data_source_id
        self.data_source_name = data_source_name


class MachineLearningCreateDataSourceFromRDSOperator(_CreateDataSourceFromDatabaseOperator):
    """Create a data source from a query of MySQL in Amazon RDS, and wait until it is COMPLETED.

    Returns its id; each member of GetDataSource's answer is in XCom too, under its own key.

    :param database_information: the database, ``{"InstanceIdentifier": …, "DatabaseName": …}`` (templated).
    :param select_sql_query: the query whose rows are the data, up to 16,777,216 characters (templated).
    :param database_conn_id: the Airflow connection with the database's user and password, which go to AWS alone
        (templated).
    :param s3_staging_location: where in S3 the rows are put, as ``s3://bucket/prefix/`` (templated).
    :param resource_role: the role of the EC2 instance that copies the rows to S3, up to 64 characters (templated).
    :param service_role: the role of the Data Pipeline service that watches over the copying, up to 64 characters
        (templated).
    :param subnet_id: the subnet in which the database can be reached (templated).
    :param security_group_ids: the security groups of that EC2 instance (templated).
    :param role_arn: the role that Amazon ML assumes to make the pipeline, up to 110 characters (templated).
    :param data_schema: the schema, a mapping or JSON text (templated).
    :param data_schema_uri: where the schema is in S3; exactly one of it and ``data_schema`` (templated).
    :param data_rearrangement: which of the rows to use, a mapping or JSON text, as ``{"splitting": {"percentBegin":
        0, "percentEnd": 70}}``; all by default (templated).
    :param compute_statistics: whether to compute the statistics that training needs; AWS's default is false
        (templated).
    :param data_source_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]``, else one made of Dag, task, run and map index
        (templated).
    :param data_source_name: a name for people, up to 1,024 characters (templated).
    """

    operation = "CreateDataSourceFromRDS"
    waiter = "data_source_completed"
    template_fields: Sequence[str] = (
        "database_information",
        "select_sql_query",
        "database_conn_id",
        "s3_staging_location",
        "resource_role",
        "service_role",
        "subnet_id",
        "security_group_ids",
        "role_arn",
        "data_schema",
        "data_schema_uri",
        "data_rearrangement",
        "compute_statistics",
        "data_source_id",
        "data_source_name",
        *AWS_FIELDS,
    )

    def __init__(
        self,
        *,
        database_information: Mapping[str, str],
        select_sql_query: str,
        database_conn_id: str,
        s3_staging_location: str,
        resource_role: str,
        service_role: str,
        subnet_id: str,
        security_group_ids: Sequence[str],
        role_arn: str,
        data_schema: JSONText | None = None,
        data_schema_uri: str | None = None,
        data_rearrangement: JSONText | None = None,
        compute_statistics: bool | str | None = None,
        data_source_id: str | None = None,
        data_source_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.database_information = database_information
        self.select_sql_query = select_sql_query
        self.database_conn_id = database_conn_id
        self.s3_staging_location = s3_staging_location
        self.resource_role = resource_role
        self.service_role = service_role
        self.subnet_id = subnet_id
        self.security_group_ids = security_group_ids
        self.role_arn = role_arn
        self.data_schema = data_schema
        self.data_schema_uri = data_schema_uri
        self.data_rearrangement = data_rearrangement
        self.compute_statistics = compute_statistics
        self.data_source_id = data_source_id
        self.data_source_name = data_source_name


class MachineLearningUpdateDataSourceOperator(MachineLearningChangeOperator):
    """Rename a data source.

    Returns its id.

    :param data_source_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param data_source_name: the new name, up to 1,024 characters (templated).
    """

    operation = "UpdateDataSource"
    id_member = "DataSourceId"
    template_fields: Sequence[str] = ("data_source_id", "data_source_name", *AWS_FIELDS)

    def __init__(self, *, data_source_id: str, data_source_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_source_id = data_source_id
        self.data_source_name = data_source_name


class MachineLearningGetDataSourceOperator(MachineLearningGetOperator):
    """Return the description of a data source.

    Returns GetDataSource's answer under AWS's names, times in ISO 8601, without ``LogUri``; each member is an XCom
    of its own too.

    :param data_source_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    :param verbose: whether to include ``DataSourceSchema`` (templated).
    """

    operation = "GetDataSource"
    resource = RESOURCES["DataSource"]
    template_fields: Sequence[str] = ("data_source_id", "verbose", *AWS_FIELDS)

    def __init__(self, *, data_source_id: str, verbose: bool | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_source_id = data_source_id
        self.verbose = verbose


class MachineLearningDeleteDataSourceOperator(MachineLearningDeleteOperator):
    """Delete a data source; one that does not exist counts as deleted.

    Returns its id. GetDataSource then says that it is DELETED. That cannot be undone.

    :param data_source_id: its id, 1 to 64 of ``[a-zA-Z0-9_.-]`` (templated).
    """

    operation = "DeleteDataSource"
    id_member = "DataSourceId"
    template_fields: Sequence[str] = ("data_source_id", *AWS_FIELDS)

    def __init__(self, *, data_source_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_source_id = data_source_id
