"""Objects in S3, read as streams."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from io import TextIOWrapper
from typing import TYPE_CHECKING

import pytest

from airflow_ml_provider.scoring.objects import find, open_at

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture


@pytest.mark.parametrize(("key", "pack"), [("rows.csv", bytes), ("rows.csv.gz", gzip.compress)], ids=["plain", "gzip"])
def test_text_is_read_in_blocks(
    amazon_ml_local: AmazonMLLocalFixture, key: str, pack: Callable[[bytes], bytes]
) -> None:
    """Lines of text come out of whole blocks: an object below the size of one costs one request."""
    s3 = amazon_ml_local.client("s3")
    requests: list[int] = []
    s3.create_bucket(Bucket="objects")
    text = "".join(f"{number},a row\n" for number in range(20_000))
    s3.put_object(Bucket="objects", Key=key, Body=pack(text.encode()))
    (source,) = find(s3, f"s3://objects/{key}")
    s3.meta.events.register("before-call.s3.GetObject", lambda **_: requests.append(1))
    with TextIOWrapper(open_at(s3, source), encoding="utf-8", newline="") as lines:
        assert "".join(lines) == text
    assert len(requests) == 1
