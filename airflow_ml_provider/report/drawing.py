"""Draw with matplotlib, as SVG whose colours are set by the page's style."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Figures are drawn in placeholder colours, which are then replaced with variables of the page's style: so one figure
# serves light, dark and print.
INK, LINE, THIS, OTHER, MARK = "#010203", "#010204", "#010205", "#010206", "#010207"
VARIABLES = {INK: "--ink", LINE: "--line", THIS: "--this", OTHER: "--other", MARK: "--mark"}
SIZE = (4.4, 3.4)  # inches: about the width of a phone
SETTINGS: dict[Any, Any] = {  # Any: matplotlib types the names by a Literal
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a label may contain dollar signs
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": "small",
}
# What a page does not need: ids of groups, metadata, comments, and indentation.
LEFT_OUT = re.compile(r'(?<=<g) id="[^"]*"|<metadata>.*?</metadata>|<!--.*?-->|(?<=\n) +', re.DOTALL)


class Figure(NamedTuple):
    """A figure: its title, what it shows in words, and the SVG."""

    title: str
    text: str
    svg: str


def draw(name: str, x: str, y: str, drawing: Callable[[Axes], object]) -> str:
    """Return what a function draws on axes, as an SVG element for a page.

    :param name: the name of the figure, which makes its inner ids differ from those of the page's other figures.
    :param x: the title of the x axis.
    :param y: the title of the y axis.
    """
    with rc_context({**SETTINGS, "svg.hashsalt": name}):
        canvas = Canvas(figsize=SIZE, layout="constrained")
        axes = canvas.subplots()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        drawing(axes)
        out = io.StringIO()
        canvas.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return _inline(out.getvalue())


def _inline(svg: str) -> str:
    """Return an SVG file as an element of a page, which sets its size and its colours."""
    start_tag, body = svg[svg.index("<svg") :].split(">", 1)
    (box,) = re.findall(r'viewBox="[^"]*"', start_tag)
    body = LEFT_OUT.sub("", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    return f'<svg {box} aria-hidden="true">{body}'  # a screen reader gets the words beside it
