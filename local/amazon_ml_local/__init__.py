"""Amazon ML Local: a local service with the API of Amazon Machine Learning (2014-12-12).

It shares no code with the Airflow provider that is tested with it, so that it does not repeat the provider's bugs. What
both have to know or do, each has of its own, by AWS's documents and botocore's service model.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amazon_ml_local.fixture import AmazonMLLocalFixture
    from amazon_ml_local.protocol import Request, Response
    from amazon_ml_local.service import AmazonMLLocal
    from amazon_ml_local.storage import MemoryStorage, S3Storage, Storage, StorageError

__all__ = [
    "AmazonMLLocal",
    "AmazonMLLocalFixture",
    "MemoryStorage",
    "Request",
    "Response",
    "S3Storage",
    "Storage",
    "StorageError",
]

_MODULES = {
    "AmazonMLLocal": "service",
    "AmazonMLLocalFixture": "fixture",
    **dict.fromkeys(("Request", "Response"), "protocol"),
    **dict.fromkeys(("MemoryStorage", "S3Storage", "Storage", "StorageError"), "storage"),
}


def __getattr__(name: str) -> object:
    # Loaded on first use: every pytest run imports this package for its plugin, and few need the service.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value
