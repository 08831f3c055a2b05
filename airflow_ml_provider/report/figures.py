"""Draw the figures of a report, each with a sentence that says what it shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from matplotlib.colors import to_rgba
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from airflow_ml_provider.report.drawing import LINE, MARK, OTHER, THIS, Figure, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from airflow_ml_provider.report.binary import Binary, Curve
    from airflow_ml_provider.report.evaluate import ModelReport
    from airflow_ml_provider.report.regression import Density

Models = Sequence["ModelReport"]

STYLES = ((THIS, "-"), (OTHER, "--"))
MOST_CLASSES = 20
MOST_LETTERS = 18
DENSITY_STEPS = 10


def figures(models: Models) -> list[Figure]:
    """Draw all figures of one or two models: those that the models share, and then those of each."""
    shared, single = next(FIGURES[kind] for kind in FIGURES if kind in models[0])
    return [*(make(models) for make in shared), *(make(models, model) for make in single for model in models)]


def name(models: Models, model: ModelReport) -> str:
    """Return the name of a model in figures, since its id may be too long."""
    if len(models) == 1:
        return "model"
    return "this model" if model is models[0] else "other model"


def _styled(models: Models) -> Iterator[tuple[ModelReport, str, str, str]]:
    """Yield each model with its colour, its style of line and its name."""
    for model, (colour, line) in zip(models, STYLES, strict=False):
        yield model, colour, line, name(models, model)


def _curves(axes: Axes, models: Models, key: str, at: tuple[str, str] | None = None, marker: str = "") -> None:
    """Draw a curve of each model.

    :param at: the members of ``AtThreshold`` on the axes, to mark the model's threshold and the best one.
    :param marker: matplotlib's sign for each point of the curve; none by default.
    """
    for model, colour, line, label in _styled(models):
        curve = cast("dict[str, Curve]", model["Binary"])[key]
        axes.plot(curve["X"], curve["Y"], color=colour, linestyle=line, marker=marker, markersize=4, label=label)
        if at:
            _mark_thresholds(axes, model["Binary"], at, colour)


def _mark_thresholds(axes: Axes, found: Binary, at: tuple[str, str], colour: str) -> None:
    """Draw a dot at the model's threshold, and a ring at the best one."""
    marked = [(found["AtScoreThreshold"], "threshold", colour)]
    if "AtBestThreshold" in found:
        marked.append((found["AtBestThreshold"], "best threshold", "none"))
    for at_threshold, label, fill in marked:
        x, y = (cast("dict[str, float]", at_threshold)[member] for member in at)
        (dot,) = axes.plot([x], [y], "o", label=f"{label} {at_threshold['Threshold']:g}", clip_on=False, markersize=9)
        dot.set_markerfacecolor(fill)
        dot.set_markeredgecolor(colour)


def _of_each(models: Models, text: Callable[[ModelReport], str]) -> str:
    """Return the sentences about each model, one after the other."""
    if len(models) == 1:
        sentence = text(models[0])
        return sentence[0].upper() + sentence[1:]
    return " ".join(f"{name(models, model).capitalize()}: {text(model)}" for model in models)


def roc_curve(models: Models) -> Figure:
    """Draw recall over false positive rate."""

    def drawing(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
        _curves(axes, models, "RocCurve", ("FalsePositiveRate", "Recall"))
        axes.legend(loc="lower right")

    def text(model: ModelReport) -> str:
        at = model["Binary"]["AtScoreThreshold"]
        return (
            f"area {model['Binary']['Metrics']['BinaryAUC']:.4f}; at the threshold {at['Threshold']:g} a recall of "
            f"{at['Recall']:.3f} with a false positive rate of {at['FalsePositiveRate']:.3f}."
        )

    return Figure("ROC curve", _of_each(models, text), draw("roc", "False positive rate", "Recall", drawing))


def precision_recall_curve(models: Models) -> Figure:
    """Draw precision over recall."""

    def drawing(axes: Axes) -> None:
        _curves(axes, models, "PrecisionRecallCurve", ("Recall", "Precision"))
        axes.set_ylim(0, 1.05)
        axes.legend(loc="lower left")

    def text(model: ModelReport) -> str:
        at = model["Binary"]["AtScoreThreshold"]
        return (
            f"average precision {model['Binary']['Metrics']['AveragePrecision']:.4f}; at the threshold "
            f"{at['Threshold']:g} a precision of {at['Precision']:.3f} with a recall of {at['Recall']:.3f}."
        )

    return Figure(
        "Precision and recall", _of_each(models, text), draw("precision-recall", "Recall", "Precision", drawing)
    )


def calibration(models: Models) -> Figure:
    """Draw the share of rows that are of class 1 over the mean score."""

    def drawing(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1)
        _curves(axes, models, "Calibration", marker="o")
        axes.legend(loc="upper left")

    def text(model: ModelReport) -> str:
        curve = model["Binary"]["Calibration"]
        shares = (f"{y:.0%} at {x:.2f}" for x, y in zip(curve["X"], curve["Y"], strict=True))
        return f"rows of class 1, by mean score: {', '.join(shares)}."

    return Figure("Calibration", _of_each(models, text), draw("calibration", "Mean score", "Rows of class 1", drawing))


def score_distribution(models: Models, model: ModelReport) -> Figure:
    """Draw the distribution of the scores of each class, the model's threshold and the best one."""
    found, at = model["Binary"], model["Binary"]["AtScoreThreshold"]
    scores = found["Scores"]

    def drawing(axes: Axes) -> None:
        for counts, colour, label in ((scores["Class0"], OTHER, "class 0"), (scores["Class1"], THIS, "class 1")):
            share = [count / max(sum(counts), 1) for count in counts]
            axes.stairs(share, scores["Edges"], color=to_rgba(colour, 0.3), fill=True)
            axes.stairs(share, scores["Edges"], color=colour, label=label)
        axes.axvline(at["Threshold"], color=MARK, label=f"threshold {at['Threshold']:g}")
        if "BestThreshold" in found:
            best = found["BestThreshold"]
            axes.axvline(best, color=MARK, linestyle=":", label=f"best threshold {best:g}")
        axes.margins(y=0.35)  # room for the legend
        axes.legend(loc="upper center", ncols=2)

    text = (
        f"{at['TruePositives']:,} of {at['TruePositives'] + at['FalseNegatives']:,} rows of class 1 and "
        f"{at['FalsePositives']:,} of {at['FalsePositives'] + at['TrueNegatives']:,} rows of class 0 have a score of "
        f"{at['Threshold']:g} or more."
    )
    label = name(models, model)
    return Figure(f"Scores by class, {label}", text, draw(f"scores {label}", "Score", "Share of the class", drawing))


def f1_by_class(models: Models) -> Figure:
    """Draw the F1 of each class, the worst first."""
    classes = sorted(models[0]["Multiclass"]["Classes"], key=lambda found: found["F1"])[:MOST_CLASSES]
    height, lines = 0.8 / len(models), range(len(classes))  # the bars of a class fill 0.8 of its line

    def drawing(axes: Axes) -> None:
        for place, (model, colour, _, label) in enumerate(_styled(models)):
            by_label = {found["Label"]: found["F1"] for found in model["Multiclass"]["Classes"]}
            bars = [by_label[found["Label"]] for found in classes]
            axes.barh([line + place * height for line in lines], bars, height=height, color=colour, label=label)
        middle = (0.8 - height) / 2
        axes.set_yticks([line + middle for line in lines], [_short(found["Label"]) for found in classes])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        if len(models) > 1:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)  # above the bars

    worst = classes[0]
    text = f"The worst class of {len(models[0]['Multiclass']['Classes'])} is {worst['Label']}: F1 {worst['F1']:.3f}."
    return Figure("F1 by class, the worst first", text, draw("f1", "F1", "", drawing))


def _short(label: str) -> str:
    return label if len(label) <= MOST_LETTERS else f"{label[: MOST_LETTERS - 1]}…"


def predicted_by_true(models: Models, model: ModelReport) -> Figure:
    """Draw predictions over true values."""
    density = model["Regression"]["PredictedByTrue"]

    def drawing(axes: Axes) -> None:
        _density(axes, density)
        ends = [density["XEdges"][0], density["XEdges"][-1]]
        axes.plot(ends, ends, color=MARK, linewidth=1, label="prediction = true value")
        axes.legend(loc="upper left")

    text = f"{model['Rows']:,} rows; the mean absolute error is {model['Regression']['Metrics']['MAE']:.6g}."
    label = name(models, model)
    return Figure(
        f"Predicted by true value, {label}", text, draw(f"predicted {label}", "True value", "Prediction", drawing)
    )


def residuals(models: Models, model: ModelReport) -> Figure:
    """Draw the distribution of the residuals."""
    found = model["Regression"]

    def drawing(axes: Axes) -> None:
        axes.stairs(found["Residuals"]["Rows"], found["Residuals"]["Edges"], color=to_rgba(THIS, 0.5), fill=True)
        axes.axvline(0, color=MARK, linewidth=1)

    text = f"The mean residual is {found['Metrics']['MeanResidual']:.6g}; above 0 the model predicts too little."
    label = name(models, model)
    title = "Residual (true value less prediction)"
    return Figure(f"Residuals, {label}", text, draw(f"residuals {label}", title, "Rows", drawing))


def residuals_by_predicted(models: Models, model: ModelReport) -> Figure:
    """Draw residuals over predictions."""

    def drawing(axes: Axes) -> None:
        _density(axes, model["Regression"]["ResidualsByPredicted"])
        axes.axhline(0, color=MARK, linewidth=1)

    text = "A band that is level and equally wide shows errors that do not depend on the prediction."
    label = name(models, model)
    return Figure(
        f"Residuals by prediction, {label}", text, draw(f"residuals by {label}", "Prediction", "Residual", drawing)
    )


def _density(axes: Axes, density: Density) -> None:
    """Fill each cell of the grid that has rows, in a few shades: the more rows, the darker."""
    most = max(count for _, _, count in density["Cells"])
    steps: dict[int, list[Path]] = {}
    for column, row, count in density["Cells"]:
        steps.setdefault(math.ceil(DENSITY_STEPS * count / most), []).append(_cell(density, column, row))
    for step, cells in sorted(steps.items()):
        colour = to_rgba(THIS, 0.1 + 0.9 * step / DENSITY_STEPS)
        axes.add_patch(PathPatch(Path.make_compound_path(*cells), facecolor=colour, linewidth=0))
    axes.autoscale_view()


def _cell(density: Density, column: int, row: int) -> Path:
    (left, right), (low, high) = density["XEdges"][column : column + 2], density["YEdges"][row : row + 2]
    return Path([(left, low), (right, low), (right, high), (left, high), (left, low)], closed=True)


# The member that a model's report has → figures that all models share, and figures of each.
FIGURES: dict[str, tuple[Sequence[Callable[[Models], Figure]], Sequence[Callable[[Models, ModelReport], Figure]]]] = {
    "Binary": ((roc_curve, precision_recall_curve, calibration), (score_distribution,)),
    "Multiclass": ((f1_by_class,), ()),
    "Regression": ((), (predicted_by_true, residuals, residuals_by_predicted)),
}
