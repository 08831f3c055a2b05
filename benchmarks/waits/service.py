"""Amazon ML Local with so many endpoints to wait for, counting its calls, in a process of its own."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from measuring.data import schema_text

if TYPE_CHECKING:
    from amazon_ml_local import AmazonMLLocal

CHANGED, OTHERS = 1000.0, 100_000.0  # seconds of the service's time that the endpoints take
MOST_CHANGED = 100
SCHEMA = schema_text({"x": "NUMERIC", "y": "BINARY"}, has_header=True)


def serve(count: int) -> None:
    """Serve so many endpoints that are UPDATING, and count the calls.

    ``/_bench/ready`` makes the first hundred of them READY, ``/_bench/counts`` returns the counts.
    """
    from collections import Counter

    from amazon_ml_local import AmazonMLLocal, MemoryStorage
    from amazon_ml_local.protocol import answer
    from amazon_ml_local.serving.application import Application
    from amazon_ml_local.serving.other_services import OtherServices
    from amazon_ml_local.serving.server import Server

    rows = "x,y\n" + "".join(f"{x},{int(x >= 20)}\n" for x in range(40))
    service = AmazonMLLocal(MemoryStorage({"s3://bucket/train.csv": rows.encode()}))
    make_endpoints(service, count)
    application = Application(service, OtherServices())
    counts: Counter[str] = Counter()
    seen: set[str] = set()

    def handle(request: Any) -> Any:
        if request.path == "/_bench/ready":
            service.clock.advance(CHANGED)
        if request.path.startswith("/_bench/"):
            return answer(200, {**counts, "seen": len(seen), "now": time.time()})
        action = request.header("x-amz-target").partition(".")[2]
        if action == "GetMLModel":
            seen.add(json.loads(request.body)["MLModelId"])
        counts[action or ("AssumeRole" if b"Action=AssumeRole" in request.body else "other")] += 1
        return application.handle(request)

    with Server(handle) as server:
        print(server.url, flush=True)
        sys.stdin.read()


def make_endpoints(service: AmazonMLLocal, count: int) -> None:
    """Create so many endpoints, of which the first hundred are READY earlier than the others."""
    client = service.client()
    location: Any = {"DataLocationS3": "s3://bucket/train.csv", "DataSchema": SCHEMA}
    client.create_data_source_from_s3(DataSourceId="ds", DataSpec=location, ComputeStatistics=True)
    service.clock.freeze()
    for number in range(count):
        client.create_ml_model(MLModelId=f"ml-{number}", MLModelType="BINARY", TrainingDataSourceId="ds")
    service.clock.advance(100)
    for number in range(count):
        client.get_ml_model(MLModelId=f"ml-{number}")  # waits for the training
        service.durations.set(realtime_endpoint=CHANGED if number < MOST_CHANGED else OTHERS)
        client.create_realtime_endpoint(MLModelId=f"ml-{number}")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
