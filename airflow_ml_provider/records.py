"""Encode records for Predict, which takes every value as text, and check to which host they are sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from numbers import Number
from typing import cast
from urllib.parse import urlsplit

from airflow_ml_provider.errors import InvalidArgument

Record = Mapping[str, "str | int | float | bool | None"]


def encode(record: Record) -> dict[str, str]:
    """Return the record with every value as text, without those that are missing (None, NaN).

    Booleans become ``"1"`` and ``"0"``, which AWS accepts for BINARY and NUMERIC variables alike. Error messages name
    the variable and never contain its value, since records are other people's data.

    :raises InvalidArgument: when the record is not a mapping, a name is not text, or a value is nested or infinite.
    """
    if not isinstance(record, Mapping):
        raise InvalidArgument(f"record: it is {type(record).__name__}; it must be a mapping of variable to value")
    return {name: text for name, value in record.items() if (text := _text(name, value)) is not None}


def _text(name: object, value: object) -> str | None:
    if not isinstance(name, str):
        raise InvalidArgument(f"record: a variable's name is {type(name).__name__}; it must be text")
    if value is None:
        return None
    if isinstance(value, str):
        return value
    if type(value).__name__ in ("bool", "bool_"):  # numpy's booleans are neither bool nor Number
        return str(int(bool(value)))
    return _number(name, value)


def _number(name: str, value: object) -> str | None:
    if not isinstance(value, Number) or isinstance(value, complex):
        raise InvalidArgument(f"record: {name} is {type(value).__name__}; it must be text, a number, a boolean or None")
    number = cast("float", value)
    if _is_infinite(number):
        raise InvalidArgument(f"record: {name} is infinite or too large; it must be a finite number")
    return None if math.isnan(number) else str(number)


def _is_infinite(number: float) -> bool:
    try:
        return math.isinf(number)
    except OverflowError:  # an integer beyond every float
        return True


REALTIME_HOST = r"realtime\.machinelearning\.[a-z0-9-]+\.amazonaws\.com"


def check_destination(url: str, control_url: str) -> str:
    """Return the URL of an endpoint if records may be sent there.

    A signed request with the record goes wherever the URL points. So it must be Amazon's realtime host with https, or
    the host of the endpoint override that the connection or ``AWS_ENDPOINT_URL`` configures.

    :param control_url: the URL for all other operations, which is the override if there is one.
    :raises InvalidArgument: when it is neither.
    """
    to, control = urlsplit(url), urlsplit(control_url)
    host = (to.hostname or "").lower()
    if to.scheme not in ("http", "https") or not host:
        raise InvalidArgument(
            f"endpoint_url: {url!r} is no URL with a scheme, as https://… from EndpointInfo.EndpointUrl"
        )
    is_override = host == control.hostname
    is_known = is_override or re.fullmatch(REALTIME_HOST, host)
    is_safe = to.scheme == "https" or (is_override and control.scheme == "http")
    is_ambiguous = set(to.netloc) & set("@\\")  # of https://one\@other, urlsplit reads the host other, urllib3 one
    if not is_known or not is_safe or is_ambiguous:
        raise InvalidArgument(
            f"endpoint_url: {url!r} is neither https://realtime.machinelearning.<region>.amazonaws.com nor the host of "
            f"the configured endpoint override; records are sent nowhere else"
        )
    return url
