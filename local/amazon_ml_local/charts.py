"""Draw charts of an evaluation with matplotlib, as SVG with its own colours for light and dark.

The provider's evaluation report draws such charts too. This module shares no code with it on purpose: a service that
tests the provider must not repeat its bugs.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from amazon_ml_local.learning.distributions import STEPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from amazon_ml_local.learning import Counts, Residuals, Scores
    from amazon_ml_local.learning.log import Log

BARS = 50
# Charts are drawn in placeholder colours, which are then replaced with variables of the style.
INK, LINE, ZERO, ONE, MARK = "#010203", "#010204", "#010205", "#010206", "#010207"
VARIABLES = {INK: "ink", LINE: "line", ZERO: "zero", ONE: "one", MARK: "mark"}
STYLE = """<style>
:root { --ink: #1b1f24; --line: #c9d1d9; --zero: #b3450c; --one: #0b5cad; --mark: #1b7a3d; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --line: #3d4752; --zero: #ffa36b; --one: #74b3ff; --mark: #66d28c; }
}
</style>"""
SETTINGS: dict[Any, Any] = {  # matplotlib has a type of its own for the names
    "svg.fonttype": "none",
    "svg.hashsalt": "amazon-ml-local",
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


def draw(counts: Counts, threshold: float, log: Log) -> bytes:
    """Return the chart of an evaluation's counts.

    :param threshold: the score threshold, which a BINARY model's chart shows.
    :param log: unused; every function of ``worker`` gets it.
    :raises ModuleNotFoundError: when matplotlib is not installed.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(SETTINGS):
        figure = Figure(figsize=(7, 3.4), layout="constrained")
        DRAWINGS[type(counts).__name__](figure.subplots(), counts, threshold)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return _in_colours(out.getvalue()).encode()


def _in_colours(svg: str) -> str:
    """Return the SVG element alone, with variables in place of the placeholder colours, and their style."""
    for colour, name in VARIABLES.items():
        svg = svg.replace(colour, f"var(--{name})")
    return re.sub(r"(<svg[^>]*>)", rf"\1{STYLE}", svg[svg.index("<svg") :], count=1)


def _draw_scores(axes: Axes, counts: Scores, threshold: float) -> None:
    edges = [bar / BARS for bar in range(BARS + 1)]
    axes.stairs(_bars(counts.zeros), edges, fill=True, color=ZERO, alpha=0.55, label="true label 0")
    axes.stairs(_bars(counts.ones), edges, fill=True, color=ONE, alpha=0.55, label="true label 1")
    axes.axvline(threshold, color=MARK, label=f"threshold {threshold:g}")
    axes.set(xlabel="score", ylabel="records", xlim=(0, 1))
    axes.legend()


def _bars(counts: list[int]) -> list[int]:
    """Return the sums of the counts of scores for each bar; the last bar includes the score 1.0."""
    width = STEPS // BARS
    sums = [sum(counts[first : first + width]) for first in range(0, STEPS, width)]
    return [*sums[:-1], sums[-1] + counts[STEPS]]


def _draw_residuals(axes: Axes, counts: Residuals, threshold: float) -> None:
    axes.stairs(counts.counts, counts.edges, fill=True, color=ONE, alpha=0.7)
    axes.axvline(0, color=MARK)
    axes.set(xlabel="true value − predicted value", ylabel="records")


DRAWINGS: dict[str, Callable[[Axes, Any, float], None]] = {"Scores": _draw_scores, "Residuals": _draw_residuals}
