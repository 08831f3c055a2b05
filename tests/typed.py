"""What mypy knows of the fixture in a user's tests, where boto3's stubs are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amazon_ml_local import AmazonMLLocalFixture


def status_of(amazon_ml_local: AmazonMLLocalFixture, data_source_id: str) -> str:
    """Return a status by the client, whose operations and members are known."""
    return amazon_ml_local.client().get_data_source(DataSourceId=data_source_id)["Status"]


def in_process(amazon_ml_local: AmazonMLLocalFixture, ml_model_id: str) -> str:
    """Return a status by the client that needs no socket."""
    return amazon_ml_local.service.client().get_ml_model(MLModelId=ml_model_id)["Status"]


def put(amazon_ml_local: AmazonMLLocalFixture, body: bytes) -> str:
    """Put an object by the client of S3, and return its ETag."""
    return amazon_ml_local.client("s3").put_object(Bucket="bucket", Key="key", Body=body)["ETag"]


def now(amazon_ml_local: AmazonMLLocalFixture) -> float:
    """Return the service's time a minute later."""
    amazon_ml_local.clock.advance(60)
    return amazon_ml_local.clock.now()
