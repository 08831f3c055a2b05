"""An auth manager whose users may read everything but XComs."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class WithoutXComs(SimpleAuthManager):
    """Refuse XComs to everybody."""

    def is_authorized_dag(self, *, access_entity: Any = None, **more: Any) -> bool:
        return access_entity != DagAccessEntity.XCOM and super().is_authorized_dag(access_entity=access_entity, **more)
