"""Objects in S3, written in chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_ml_provider.scoring import writing

if TYPE_CHECKING:
    import pytest

MOST_PARTS = 10_000  # of an upload
LARGEST_OBJECT = 5 * 1024**4  # bytes


def test_an_upload_can_reach_the_size_of_s3s_largest_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks grow with their number; here a byte stands for the first chunk's size."""
    rows = bytes(LARGEST_OBJECT // writing.CHUNK_BYTES)
    monkeypatch.setattr(writing, "CHUNK_BYTES", 1)
    sent = list(writing.chunks([rows]))
    assert b"".join(sent) == rows
    assert len(sent) <= MOST_PARTS


def test_the_chunks_of_a_small_object_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 24 GiB they have S3's least size: each has to be sent within the time of one attempt."""
    monkeypatch.setattr(writing, "CHUNK_BYTES", 1)
    assert {len(chunk) for chunk in writing.chunks([bytes(5_000)])} == {1}
