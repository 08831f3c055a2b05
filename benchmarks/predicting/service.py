"""Amazon ML Local with a model to predict with, in a process of its own."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

from measuring.data import schema_text

MODEL = "ml-1"
SCHEMA = schema_text({f"x{number}": "NUMERIC" for number in range(5)} | {"y": "BINARY"}, has_header=True)
TRAINING = "x0,x1,x2,x3,x4,y\n" + "".join(f"{x},{-x},0.5,{x % 7},1,{int(x >= 20)}\n" for x in range(40))


def serve() -> None:
    """Serve a model with a READY endpoint until the parent ends."""
    from amazon_ml_local import AmazonMLLocal, MemoryStorage, serving

    service = AmazonMLLocal(MemoryStorage({"s3://data/train.csv": TRAINING.encode()}))
    with serving.serve(service) as server:
        client = service.client("machinelearning", region_name="us-east-1")
        service.clock.freeze()
        data: Any = {"DataLocationS3": "s3://data/train.csv", "DataSchema": SCHEMA}
        client.create_data_source_from_s3(DataSourceId="ds-1", DataSpec=data, ComputeStatistics=True)
        client.create_ml_model(MLModelId=MODEL, MLModelType="BINARY", TrainingDataSourceId="ds-1")
        service.clock.advance(3600)
        assert client.get_ml_model(MLModelId=MODEL)["Status"] == "COMPLETED"
        service.endpoint_url = server.url
        client.create_realtime_endpoint(MLModelId=MODEL)
        service.clock.advance(3600)
        service.clock.resume()
        print(server.url, flush=True)
        sys.stdin.read()


def control(method: str, path: str, **body: object) -> list[dict[str, object]]:
    """Send a request to the service's control API, and return its answer."""
    request = urllib.request.Request(
        f"{os.environ['AWS_ENDPOINT_URL']}/_local/{path}",
        data=json.dumps(body).encode() if method == "POST" else None,
        headers={"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request) as answer:
        found: list[dict[str, object]] = json.load(answer)
    return found


def record(number: int) -> dict[str, str]:
    """Return one of many records."""
    return {"x0": str(number % 40), "x1": str(-(number % 40)), "x2": "0.5", "x3": str(number % 7), "x4": "1"}


if __name__ == "__main__":
    serve()
