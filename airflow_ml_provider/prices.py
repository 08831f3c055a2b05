"""Prices of realtime endpoints and predictions.

AWS's price list no longer has a page for Amazon Machine Learning. The figures here are those that a third party has
published, so callers can pass others.
"""

from __future__ import annotations

from math import ceil

PRICE_PER_10_MB = 0.001  # US dollars an hour for each 10 MB of a model's size
PRICE_PER_PREDICTION = 0.0001  # US dollars
TEN_MB = 10_000_000


def hourly_price(size_in_bytes: int, price_per_10_mb: float = PRICE_PER_10_MB) -> float:
    """Return what the endpoint of a model of this size costs, in US dollars an hour.

    That the size is rounded up to the next 10 MB is an assumption.
    """
    return max(1, ceil(size_in_bytes / TEN_MB)) * price_per_10_mb
