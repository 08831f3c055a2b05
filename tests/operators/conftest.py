"""A bucket with a file of records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.files import FILE, SOURCE, Bucket

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.fixture
def bucket(endpoint: AmazonMLLocalFixture) -> Bucket:
    """The bucket, with the source in it."""
    bucket = Bucket(endpoint.client("s3"))
    bucket.put(SOURCE, FILE)
    return bucket
