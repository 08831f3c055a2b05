"""Amazon ML Local: Amazon Machine Learning (API 2014-12-12) on your own machine."""

from amazon_ml_local.protocol import Request, Response
from amazon_ml_local.service import AmazonMLLocal
from amazon_ml_local.storage import MemoryStorage, S3Storage, Storage, StorageError

__all__ = ["AmazonMLLocal", "MemoryStorage", "Request", "Response", "S3Storage", "Storage", "StorageError"]
