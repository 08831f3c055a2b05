"""Join the chunks in which S3 clients send bodies: older versions of moto store their headers and signatures too.

Source: Amazon S3 API reference, "Signature Calculations for the Authorization Header", transferring in chunks.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amazon_ml_local.protocol import Request

HASH, ENCODING = "x-amz-content-sha256", "content-encoding"
OF_CHUNKS = frozenset({HASH, ENCODING, "content-length", "x-amz-trailer", "x-amz-decoded-content-length"})


def without_chunks(request: Request) -> Request:
    """Return a request with its body in one piece, and the trailers after the chunks among its headers.

    :raises ValueError: when the chunks are broken
    """
    if not request.header(HASH).startswith("STREAMING-"):
        return request
    body, trailer = _join(request.body)
    kept = {name: value for name, value in request.headers.items() if name.lower() not in OF_CHUNKS}
    encodings = [
        each.strip() for each in request.header(ENCODING).split(",") if each.strip() not in ("", "aws-chunked")
    ]
    encoding = {"Content-Encoding": ",".join(encodings)} if encodings else {}
    length = {"Content-Length": str(len(body))}
    return replace(request, headers={**kept, **encoding, **trailer, **length}, body=body)


def _join(body: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the content of the chunks, and the trailers after the last one, without signatures."""
    joined, view = BytesIO(), memoryview(body)
    place = 0
    while True:
        end = body.index(b"\r\n", place)
        size, place = int(body[place:end].partition(b";")[0], 16), end + 2
        if not size:
            break
        joined.write(view[place : place + size])
        place += size + 2
        if body[place - 2 : place] != b"\r\n":
            raise ValueError(f"a chunk does not end at byte {place - 2:,}, where it should")
    lines = body[place:].decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines if ":" in line and "signature" not in line]
    return joined.getvalue(), {name.strip(): value.strip() for name, _, value in pairs}
