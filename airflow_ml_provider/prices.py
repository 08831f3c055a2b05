"""What realtime endpoints and predictions cost, by published figures.

AWS's price list has no page for Amazon Machine Learning any more. The figures are a third party's, so callers can
pass others.
"""

from __future__ import annotations

from math import ceil

PRICE_PER_10_MB = 0.001  # US dollars an hour for each 10 MB of a model's size
PRICE_PER_PREDICTION = 0.0001  # US dollars
TEN_MB = 10_000_000


def hourly_price(size_in_bytes: int, price_per_10_mb: float = PRICE_PER_10_MB) -> float:
    """Return the US dollars an hour that the endpoint of a model of this size costs.

    That 10 MB begun count as 10 MB is an assumption.
    """
    return max(1, ceil(size_in_bytes / TEN_MB)) * price_per_10_mb
