"""Create the hook of a trigger, with its connection looked up in the thread in which Airflow allows that."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from airflow_ml_provider import errors

if TYPE_CHECKING:
    from airflow_ml_provider.client import MachineLearningClientHook
    from airflow_ml_provider.payloads import AwsSettings


class SharedHook:
    """The one hook of a poller, created when it is first needed."""

    def __init__(self, settings: AwsSettings) -> None:
        self._settings = settings
        self._hook: MachineLearningClientHook | None = None

    async def get(self) -> MachineLearningClientHook:
        """Return the hook."""
        if self._hook is None:
            self._hook = await connected_hook(self._settings)
        return self._hook

    def forget_expired(self, code: str) -> None:
        """Create a new hook next time if this error's code says that the credentials have expired."""
        if code in errors.EXPIRED:
            self._hook = None


async def connected_hook(settings: AwsSettings) -> MachineLearningClientHook:
    """Return a hook that has its connection already: Airflow 3.0 to 3.2 cannot look it up in the poller's thread.

    :raises AirflowException: when a connection other than ``aws_default`` does not exist.
    """
    from airflow_ml_provider.compat import AirflowNotFoundException, get_async_connection

    # Importing boto3 takes about a second, during which the event loop would stand still.
    client = await asyncio.to_thread(import_module, "airflow_ml_provider.client")
    conn_id, connection = settings["aws_conn_id"], None
    if conn_id:
        try:
            with client.connection_required(conn_id):
                connection = await get_async_connection(conn_id)
        except AirflowNotFoundException:  # aws_default alone may be missing
            conn_id = None
    hook: MachineLearningClientHook = client.MachineLearningClientHook(
        conn_id, settings["region_name"], settings["verify"], settings["botocore_config"]
    )
    if connection is not None:
        hook.get_connection = lambda conn_id: connection  # type: ignore[method-assign]  # on this instance alone
    return hook
