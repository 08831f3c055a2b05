"""The data that most tests train on: y is 1 from x = 20 on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.helpers.schemas import data_schema

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture

URI = "s3://training/train.csv"
SCHEMA = data_schema({"x": "NUMERIC", "y": "BINARY"}, targetAttributeName="y", dataFileContainsHeader=True)
ROWS = "x,y\n" + "".join(f"{x},{int(x >= 20)}\n" for x in range(40))
DEFAULT_PARAMETERS = {
    "algorithm": "sgd",
    "sgd.maxMLModelSizeInBytes": "33554432",
    "sgd.maxPasses": "10",
    "sgd.shuffleType": "none",
    "sgd.l1RegularizationAmount": "0.0",
    "sgd.l2RegularizationAmount": "0.0",
}


def create_data_source(service: AmazonMLLocalFixture, data_source_id: str = "ds-1") -> None:
    """Put the rows into the service's storage, and create a data source of them."""
    service.storage.write(URI, ROWS.encode())
    service.client().create_data_source_from_s3(
        DataSourceId=data_source_id,
        DataSpec={"DataLocationS3": URI, "DataSchema": json.dumps(SCHEMA)},
        ComputeStatistics=True,
    )


def create_model(service: AmazonMLLocalFixture) -> str:
    """Create the COMPLETED model ml-1, of a service whose clock is frozen, and return its id."""
    create_data_source(service)
    client = service.client()
    client.create_ml_model(MLModelId="ml-1", MLModelType="BINARY", TrainingDataSourceId="ds-1")
    service.clock.advance(3600)
    assert client.get_ml_model(MLModelId="ml-1")["Status"] == "COMPLETED"
    service.requests.clear()
    return "ml-1"
