"""Amazon ML Local: Amazon Machine Learning (API 2014-12-12) on your own machine."""

from airflow_ml_provider.local.protocol import Request, Response
from airflow_ml_provider.local.service import AmazonMLLocal
from airflow_ml_provider.local.storage import MemoryStorage, S3Storage, Storage, StorageError

__all__ = ["AmazonMLLocal", "MemoryStorage", "Request", "Response", "S3Storage", "Storage", "StorageError"]
