"""A bucket with a file of records."""

from __future__ import annotations

import pytest

from tests.helpers.files import FILE, SOURCE, Bucket


@pytest.fixture
def bucket(endpoint):
    """The bucket, with the source in it."""
    bucket = Bucket(endpoint.client("s3"))
    bucket.put(SOURCE, FILE)
    return bucket
