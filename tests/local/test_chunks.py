"""Bodies in chunks: what S3 clients send since they add checksums by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from amazon_ml_local.protocol import Request
from amazon_ml_local.serving.chunks import without_chunks
from amazon_ml_local.serving.other_services import OtherServices

STREAMING = {
    "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "Content-Encoding": "gzip,aws-chunked",
    "X-Amz-Trailer": "x-amz-checksum-crc32",
    "X-Amz-Decoded-Content-Length": "8",
    "Content-Type": "text/csv",
}
CHUNKS = b"4\r\none,\r\n4;chunk-signature=00\r\ntwo\n\r\n0\r\nx-amz-checksum-crc32:SQ9wxg==\r\n\r\n"


def chunked(body: bytes) -> Request:
    return Request("PUT", "/bucket/key", STREAMING, body)


def test_chunks_become_one_body() -> None:
    assert without_chunks(chunked(CHUNKS)).body == b"one,two\n"


def test_the_headers_are_those_of_the_body_without_chunks() -> None:
    """What stands behind the chunks is a header too."""
    assert without_chunks(chunked(CHUNKS)).headers == {
        "Content-Type": "text/csv",
        "Content-Encoding": "gzip",
        "x-amz-checksum-crc32": "SQ9wxg==",
        "Content-Length": "8",
    }


def test_other_bodies_stay_as_they_are() -> None:
    request = Request("PUT", "/bucket/key", {"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, CHUNKS)
    assert without_chunks(request) is request


@pytest.mark.parametrize("broken", [b"", b"4\r\none", b"x\r\none,\r\n0\r\n\r\n", b"3\r\none,\r\n0\r\n\r\n"])
def test_broken_chunks_are_refused(broken: bytes) -> None:
    """And the service goes on."""
    answer: Any = OtherServices().handle(chunked(broken))
    assert answer.status == 400
    assert b"IncompleteBody" in answer.body
