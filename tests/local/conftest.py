"""The service in process, its clock frozen, and helpers to fill it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from amazon_ml_local import AmazonMLLocal, MemoryStorage
from tests.helpers.three_targets import DATA, HOUR, ROWS, TARGETS, schema

if TYPE_CHECKING:
    from mypy_boto3_machinelearning import MachineLearningClient


@pytest.fixture
def service() -> Iterator[AmazonMLLocal]:
    """A service in process with ROWS in its storage; its clock stands still."""
    local = AmazonMLLocal(MemoryStorage({DATA: ROWS.encode()}))
    local.clock.freeze()
    yield local
    local.close()


@pytest.fixture
def client(service: AmazonMLLocal) -> MachineLearningClient:
    """boto3's client of that service."""
    return service.client("machinelearning")


@pytest.fixture
def data_source(client: MachineLearningClient) -> Callable[..., str]:
    """Create a data source: ``data_source(id, target)`` with further members of its DataSpec."""

    def create(entity_id: str = "ds-1", target: str = "sign", **spec: Any) -> str:
        data: Any = {"DataLocationS3": DATA, "DataSchema": schema(target), **spec}
        client.create_data_source_from_s3(DataSourceId=entity_id, DataSpec=data, ComputeStatistics=True)
        return entity_id

    return create


@pytest.fixture
def model(client: MachineLearningClient, service: AmazonMLLocal, data_source: Callable[..., str]) -> Callable[..., str]:
    """Create a model, COMPLETED unless ``wait=False``: ``model(id, type)``."""

    def create(entity_id: str = "ml-1", model_type: Any = "BINARY", wait: bool = True, **members: Any) -> str:
        source = data_source(f"ds-of-{entity_id}", TARGETS[model_type])
        client.create_ml_model(MLModelId=entity_id, MLModelType=model_type, TrainingDataSourceId=source, **members)
        if wait:
            service.clock.advance(HOUR)
        return entity_id

    return create


@pytest.fixture
def endpoint(client: MachineLearningClient, service: AmazonMLLocal, model: Callable[..., str]) -> Callable[..., str]:
    """Create a model with a READY endpoint: ``endpoint(id, type)`` gives its URL."""

    def create(entity_id: str = "ml-1", model_type: str = "BINARY") -> str:
        model(entity_id, model_type)
        url = client.create_realtime_endpoint(MLModelId=entity_id)["RealtimeEndpointInfo"]["EndpointUrl"]
        service.clock.advance(HOUR)
        return url

    return create


@pytest.fixture
def refused() -> Callable[..., Any]:
    """Assert that a call is refused: ``refused(code, text, call, **parameters)`` with text in the message."""
    from botocore.exceptions import ClientError

    def check(code: str, text: str, call: Callable[..., Any], **parameters: Any) -> None:
        with pytest.raises(ClientError) as caught:
            call(**parameters)
        error = caught.value.response["Error"]
        assert error["Code"] == code
        assert text in error["Message"]

    return check
