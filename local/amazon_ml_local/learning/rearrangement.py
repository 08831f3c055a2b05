"""DataRearrangement: which rows of its files a data source takes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.schema import json_object

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEMBERS = {"percentBegin", "percentEnd", "complement", "strategy", "strategyParams", "randomSeed"}


@dataclass(frozen=True)
class Split:
    """A share of the rows, from `begin` to `end` percent, or with `complement` all other rows."""

    begin: int = 0
    end: int = 100
    random: bool = False
    seed: str = ""
    complement: bool = False

    def takes(self, offsets: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Return for each row, given by its byte offset, whether it belongs to the share.

        Sequential: by the row's place. Random: AWS draws a number between 0 and 100 from the seed and the byte offset.
        How is unknown, so other rows are chosen here than by AWS, but the same ones every time.
        """
        import numpy as np

        begin, end, places = self.begin, self.end, _draw(self.seed, offsets)
        if not self.random:
            begin, end = (round(len(offsets) * percent / 100) for percent in (self.begin, self.end))
            places = np.arange(len(offsets), dtype=np.float64)
        taken: NDArray[np.bool_] = ((begin <= places) & (places < end)) != self.complement
        return taken


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
        raise LearningError(f"DataRearrangement: percentBegin {begin} is above percentEnd {end}.")
    strategy = splitting.get("strategy", "sequential")
    if strategy not in ("sequential", "random"):
        raise LearningError(f"DataRearrangement: strategy {strategy!r} is neither 'sequential' nor 'random'.")
    return Split(begin, end, strategy == "random", _seed(splitting), _complement(splitting))


def validate_rearrangement(text: str) -> None:
    """Raise LearningError, a ValueError, for a DataRearrangement that cannot be used."""
    parse_rearrangement(text)


def _percent(splitting: dict[str, object], name: str, default: int) -> int:
    text = str(splitting.get(name, default)).strip()
    if not text.isdecimal() or int(text) > 100:
        raise LearningError(f"DataRearrangement: {name} must be a whole number from 0 to 100.")
    return int(text)


def _complement(splitting: dict[str, object]) -> bool:
    complement = str(splitting.get("complement", False)).lower()
    if complement not in ("true", "false"):
        raise LearningError("DataRearrangement: complement must be true or false.")
    return complement == "true"


def _seed(splitting: dict[str, object]) -> str:
    more = splitting.get("strategyParams") or {}
    nested = more.get("randomSeed", "") if isinstance(more, dict) else ""
    return str(splitting.get("randomSeed", nested))


def _draw(seed: str, offsets: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return a number from 0 to 100 for each offset: SplitMix64, started by the seed."""
    import numpy as np

    start = int.from_bytes(blake2b(seed.encode(), digest_size=8).digest(), "big")
    state = offsets.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(start)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state ^ (state >> np.uint64(31))) / 2.0**64 * 100
