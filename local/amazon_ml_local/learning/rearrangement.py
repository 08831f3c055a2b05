"""Which rows of the data a data source takes: DataRearrangement."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.schema import json_object

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMBERS = {"percentBegin", "percentEnd", "complement", "strategy", "strategyParams", "randomSeed"}


@dataclass(frozen=True)
class Split:
    """A share of the rows, from `begin` to `end` percent, or all but it."""

    begin: float = 0.0
    end: float = 100.0
    random: bool = False
    seed: str = ""
    complement: bool = False

    def takes(self, offsets: Sequence[int]) -> list[bool]:
        """Return for each row, given by its byte offset, whether it belongs to the share.

        Sequential: by the row's place. Random: AWS draws a number between 0 and 100 from the seed and the byte
        offset; how is unknown, so the rows chosen here are others than AWS's, but the same every time.
        """
        if self.random:
            places = [_draw(self.seed, offset) for offset in offsets]
            return [(self.begin <= place < self.end) != self.complement for place in places]
        first, last = (round(len(offsets) * percent / 100) for percent in (self.begin, self.end))
        return [(first <= place < last) != self.complement for place in range(len(offsets))]


def parse_rearrangement(text: str | None) -> Split:
    """Return the split that DataRearrangement's JSON describes; None and {} take everything.

    Raises LearningError when a member is unknown or out of range.
    """
    document = json_object(text, "DataRearrangement") if text else {}
    splitting = document.get("splitting", {})
    if set(document) - {"splitting"} or not isinstance(splitting, dict):
        raise LearningError('DataRearrangement must look like {"splitting": {"percentBegin": 0, "percentEnd": 70}}.')
    if unknown := sorted(set(splitting) - MEMBERS):
        raise LearningError(f"DataRearrangement has unknown members: {', '.join(unknown)}.")
    begin, end = _percent(splitting, "percentBegin", 0), _percent(splitting, "percentEnd", 100)
    if begin > end:
        raise LearningError(f"DataRearrangement: percentBegin {begin:g} is above percentEnd {end:g}.")
    strategy = splitting.get("strategy", "sequential")
    if strategy not in ("sequential", "random"):
        raise LearningError(f"DataRearrangement: strategy {strategy!r} is neither 'sequential' nor 'random'.")
    return Split(begin, end, strategy == "random", _seed(splitting), _complement(splitting))


def validate_rearrangement(text: str) -> None:
    """Refuse a DataRearrangement that cannot be used. Raises LearningError, a ValueError."""
    parse_rearrangement(text)


def _percent(splitting: dict[str, object], name: str, default: float) -> float:
    try:
        percent = float(str(splitting.get(name, default)))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise LearningError(f"DataRearrangement: {name} must be a number from 0 to 100.")
    return percent


def _complement(splitting: dict[str, object]) -> bool:
    complement = str(splitting.get("complement", False)).lower()
    if complement not in ("true", "false"):
        raise LearningError("DataRearrangement: complement must be true or false.")
    return complement == "true"


def _seed(splitting: dict[str, object]) -> str:
    more = splitting.get("strategyParams") or {}
    nested = more.get("randomSeed", "") if isinstance(more, dict) else ""
    return str(splitting.get("randomSeed", nested))


def _draw(seed: str, offset: int) -> float:
    digest = blake2b(f"{seed}:{offset}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * 100
