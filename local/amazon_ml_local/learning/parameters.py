"""The training parameters of a model: ``algorithm`` and ``sgd.*``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from amazon_ml_local.learning.errors import LearningError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS = {
    "algorithm": "sgd",
    "sgd.maxMLModelSizeInBytes": "33554432",
    "sgd.maxPasses": "10",
    "sgd.shuffleType": "none",
    "sgd.l1RegularizationAmount": "0.0",
    "sgd.l2RegularizationAmount": "0.0",
}
SIZE = range(100_000, 2_147_483_649)
PASSES = range(1, 10_001)


class TrainingParameters(NamedTuple):
    """The training parameters as numbers."""

    size_in_bytes: int
    passes: int
    shuffle: bool
    l1: float
    l2: float


def parse_parameters(parameters: Mapping[str, str]) -> TrainingParameters:
    """Return the training parameters, defaults filled in. Raises LearningError, a ValueError, naming the bad one."""
    if unknown := sorted(set(parameters) - set(DEFAULTS)):
        raise LearningError(f"Unknown training parameters: {', '.join(unknown)}. Known: {', '.join(DEFAULTS)}.")
    given = DEFAULTS | dict(parameters)
    if given["algorithm"] != "sgd":
        raise LearningError(f"algorithm must be 'sgd', not {given['algorithm']!r}.")
    if given["sgd.shuffleType"] not in ("auto", "none"):
        raise LearningError(f"sgd.shuffleType must be 'auto' or 'none', not {given['sgd.shuffleType']!r}.")
    l1, l2 = (_amount(given, f"sgd.l{norm}RegularizationAmount") for norm in (1, 2))
    if l1 and l2:
        raise LearningError("sgd.l1RegularizationAmount and sgd.l2RegularizationAmount cannot both be above 0.")
    return TrainingParameters(
        _integer(given, "sgd.maxMLModelSizeInBytes", SIZE),
        _integer(given, "sgd.maxPasses", PASSES),
        given["sgd.shuffleType"] == "auto",
        l1,
        l2,
    )


def validate_training_parameters(parameters: Mapping[str, str]) -> None:
    """Raise LearningError, a ValueError, for training parameters that are unknown or out of range."""
    parse_parameters(parameters)


def _integer(given: Mapping[str, str], name: str, allowed: range) -> int:
    try:
        number = int(given[name])
    except ValueError:
        number = -1
    if number not in allowed:
        raise LearningError(f"{name} must be an integer from {allowed[0]} to {allowed[-1]}, not {given[name]!r}.")
    return number


def _amount(given: Mapping[str, str], name: str) -> float:
    try:
        amount = float(given[name])
    except ValueError:
        amount = -1.0
    if not 0 <= amount < float("inf"):
        raise LearningError(f"{name} must be a number from 0 up, not {given[name]!r}.")
    return amount
