"""The results of an evaluation, as in AWS's console: scores and a threshold, a confusion matrix, or residuals."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from amazon_ml_local.serving.pages.markup import address, element, facts, section, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from amazon_ml_local.entities import Entity
    from amazon_ml_local.learning import Confusion, Evaluated, Residuals, Scores
    from amazon_ml_local.serving.pages.markup import Child

CHART = "/chart.svg"
Part = tuple[str, "Element"]  # its heading and what it shows
DRAWN = ("BINARY", "REGRESSION")  # a confusion matrix is a table
OTHER_THRESHOLDS = [tenth / 10 for tenth in range(1, 10)]
SHADES = 10  # of a cell's colour, .shade-1 to .shade-10 in page.css
NO_MATPLOTLIB = "The chart needs matplotlib: pip install 'amazon-ml-local[pages]'."
NO_COUNTS = "An earlier version evaluated this and kept no more than the metric. Evaluate anew to see more."


def evaluation_sections(entity: Entity, region: str, evaluated: Evaluated, threshold: float | None) -> list[Element]:
    """Return the sections of an evaluation's page that follow the metric.

    :param threshold: the score threshold to show it with; None for the model's
    """
    if evaluated.counts is None:
        return [section("Records", element("p", NO_COUNTS, class_="quiet"))]
    parts = PARTS[entity.inputs[0].parameters["MLModelType"]]
    return [section(*part) for part in parts(evaluated.counts, entity, region, shown_threshold(entity, threshold))]


def shown_threshold(entity: Entity, threshold: float | None) -> float:
    """Return the score threshold to show an evaluation with, in whole thousandths.

    None means the model's, or 0.5 for a model that has none.
    """
    model = entity.inputs[0]
    return round(next(each for each in (threshold, model.score_threshold, 0.5) if each is not None), 3)


def _binary(counts: Scores, entity: Entity, region: str, threshold: float) -> list[Part]:
    at = counts.at(threshold)
    words = (
        f"How many records of the true labels 0 and 1 have which score, and the threshold {threshold:g} between them"
    )
    cells: list[list[Child]] = [
        ["true 1", f"{at.false_negatives:,}", f"{at.true_positives:,}"],
        ["true 0", f"{at.true_negatives:,}", f"{at.false_positives:,}"],
    ]
    return [
        (
            "Scores by true label",
            element("div", _form(entity, region, threshold), _chart(entity, region, threshold, words)),
        ),
        (
            f"At the threshold {threshold:g}",
            element(
                "div",
                facts({name: _number(value) for name, value in at.measures.items()}),
                table("Answers by true label", ["", "answer 0", "answer 1"], cells),
            ),
        ),
        ("At other thresholds", _other_thresholds(counts, entity, region)),
    ]


def _multiclass(counts: Confusion, entity: Entity, region: str, threshold: float) -> list[Part]:
    named = [*counts.labels, "any other label"]
    rows: list[list[Child]] = [
        [label, *_cells(row, place), _f1(counts, place)]
        for place, (label, row) in enumerate(zip(named, counts.rows, strict=True))
        if place < len(counts.labels) or any(row)  # the row of other labels only if there are any
    ]
    headings = ["true label", *(f"answer {label}" for label in counts.labels), "F1"]
    return [("Confusion matrix", table("Confusion matrix", headings, rows, class_="matrix"))]


def _regression(counts: Residuals, entity: Entity, region: str, threshold: float) -> list[Part]:
    words = "How many records have which residual: the true value less the predicted one"
    summary: dict[str, Child] = {
        "Mean residual": f"{counts.mean:.6g}",
        "True value above the predicted one": f"{counts.above:,} records",
        "True value below the predicted one": f"{counts.below:,} records",
    }
    outliers = "The outermost bars take in what lies beyond them."
    chart = element("div", _chart(entity, region, 0.0, words), element("p", outliers, class_="quiet"), facts(summary))
    return [("Residuals", chart)]


def _form(entity: Entity, region: str, chosen: float) -> Element:
    number = element(
        "input", type="number", id="threshold", name="threshold", min="0", max="1", step="0.001", value=f"{chosen:g}"
    )
    return element(
        "form",
        element("input", type="hidden", name="region", value=region),
        element("label", "Score threshold", for_="threshold"),
        number,
        element("button", "Move"),
        action=address(entity.kind.name, entity.id, region).partition("?")[0],  # a form's query is its inputs alone
        method="get",
    )


def _chart(entity: Entity, region: str, threshold: float, words: str) -> Element:
    if find_spec("matplotlib") is None:
        return element("p", NO_MATPLOTLIB, class_="quiet")
    source = f"{address(entity.kind.name, entity.id, region, CHART)}&threshold={threshold:g}"
    return element("img", src=source, alt=words, width="504", height="245")


def _other_thresholds(counts: Scores, entity: Entity, region: str) -> Element:
    here = address(entity.kind.name, entity.id, region)
    measures = {threshold: counts.at(threshold).measures for threshold in OTHER_THRESHOLDS}
    rows: list[list[Child]] = [
        [element("a", f"{threshold:g}", href=f"{here}&threshold={threshold:g}"), *map(_number, values.values())]
        for threshold, values in measures.items()
    ]
    return table("At other thresholds", ["Threshold", *measures[OTHER_THRESHOLDS[0]]], rows)


def _cells(row: list[int], right: int) -> list[Child]:
    """Return the counts of a true label, shaded by their share of its records; the answer at ``right`` is right."""
    shades = [round(SHADES * count / max(sum(row), 1)) for count in row]
    classes = ["right" if place == right else "wrong" for place in range(len(row))]
    return [
        element("span", f"{count:,}", class_=f"{class_} shade-{shade}")
        for count, class_, shade in zip(row, classes, shades, strict=True)
    ]


def _f1(counts: Confusion, place: int) -> str:
    """Return the F1 of the label in a row; the row of other labels has none."""
    if place == len(counts.labels):
        return "–"
    right = counts.rows[place][place]
    total = sum(counts.rows[place]) + sum(row[place] for row in counts.rows)
    return _number(2 * right / total if total else None)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


# By the type of the model.
PARTS: dict[str, Callable[[Any, Entity, str, float], list[Part]]] = {
    "BINARY": _binary,
    "MULTICLASS": _multiclass,
    "REGRESSION": _regression,
}
