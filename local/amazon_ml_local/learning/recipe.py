"""Recipes: which variables a model learns from, and how each is transformed.

Source: Amazon Machine Learning developer guide, "Recipe Format Reference" and "Data Transformations Reference".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, NamedTuple

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.expressions import FUNCTIONS, Expression, FunctionCall, Name, parse_expression
from amazon_ml_local.learning.schema import KINDS, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from amazon_ml_local.learning.schema import Kind

SECTIONS = ("groups", "assignments", "outputs")
# Our bounds, so that no recipe keeps the service busy for ever.
MOST_TERMS = 10_000
MOST_DEEP = 16  # functions inside each other, those of the assignments that an expression names included


@dataclass(frozen=True)
class Term:
    """One variable, or a function of other terms, with all groups and assignments resolved.

    :ivar function: its name; ``variable`` for a variable, which has no inputs
    :ivar depth: how many functions are inside each other, this one included
    """

    function: str
    kind: Kind
    inputs: tuple[Term, ...] = ()
    parameter: int | None = None
    variable: str = ""
    depth: int = 0


class Recipe(NamedTuple):
    """A parsed recipe, whose names are not resolved yet."""

    groups: dict[str, Expression]
    assignments: dict[str, Expression]
    outputs: list[Expression]


def parse_recipe(text: str) -> Recipe:
    """Return the recipe in a JSON text. Raises LearningError, naming the line and the column of an error."""
    document = json_object(text, "The recipe")
    if unknown := sorted(set(document) - set(SECTIONS)):
        raise LearningError(f"The recipe has unknown sections: {', '.join(unknown)}. Known: {', '.join(SECTIONS)}.")
    if (found := list(document)) != [section for section in SECTIONS if section in document]:
        raise LearningError(
            f"The recipe's sections stand in the order {', '.join(found)}; write {', '.join(SECTIONS)}."
        )
    outputs = document.get("outputs")
    if not isinstance(outputs, list) or not outputs:
        raise LearningError('The recipe\'s outputs must be a list with at least one entry, such as "ALL_INPUTS".')
    return Recipe(
        _expressions_by_name(document, "groups"),
        _expressions_by_name(document, "assignments"),
        [parse_expression(f"outputs, entry {n}", line) for n, line in enumerate(outputs, start=1)],
    )


def validate_recipe(text: str) -> None:
    """Raise LearningError, a ValueError, for a recipe whose JSON or expressions are malformed."""
    parse_recipe(text)


def resolve(recipe: Recipe, inputs: Mapping[str, Kind]) -> list[Term]:
    """Return the recipe's outputs over these variables, each once.

    Raises LearningError for an unknown name, a function on the wrong kind of variable, or no output at all.
    """
    known: dict[str, list[Term]] = {name: [Term("variable", kind, variable=name)] for name, kind in inputs.items()}
    variables = [term for terms in known.values() for term in terms]
    for kind in KINDS:
        known[f"ALL_{kind}"] = [term for term in variables if term.kind == kind]
    known["ALL_INPUTS"] = variables
    for section in (recipe.groups, recipe.assignments):
        for name, expression in section.items():
            known[name] = _terms(expression, known)
    terms = list(dict.fromkeys(term for line in recipe.outputs for term in _terms(line, known)))
    if not terms:
        raise LearningError("The recipe's outputs select no variable: name at least one that the data has.")
    return terms


def default_recipe(inputs: Mapping[str, Kind], rows: int) -> str:
    """Return the recipe for a model without one: numeric variables in bins, all others as they are.

    The numbers of bins are those of the recipes that AWS generated (public examples: groups NUMERIC_VARS_QB_10 to
    _500). How AWS chose among them is unknown; here each of more than 10 bins holds at least 200 of the training rows.
    """
    bins = max((bins for bins in (10, 20, 50, 100, 200, 500) if rows / bins >= 200), default=10)
    output = {kind: f"ALL_{kind}" for kind in KINDS} | {"NUMERIC": f"quantile_bin(ALL_NUMERIC,{bins})"}
    outputs = [output[kind] for kind in KINDS if kind in inputs.values()]
    return json.dumps({"groups": {}, "assignments": {}, "outputs": outputs})


def _expressions_by_name(document: dict[str, object], section: str) -> dict[str, Expression]:
    """Return the expressions of the groups or the assignments in a recipe."""
    lines = document.get(section, {})
    if not isinstance(lines, dict):
        raise LearningError(f"The recipe's {section} must be a JSON object of names and expressions.")
    if section == "groups" and "ALL_INPUTS" in lines:
        raise LearningError("The recipe's groups define ALL_INPUTS, which is predefined: use another name.")
    return {name: parse_expression(f"{section}, {name!r}", line) for name, line in lines.items()}


def _terms(expression: Expression, known: Mapping[str, list[Term]]) -> list[Term]:
    """Return the terms of an expression: a function applies to every combination of its arguments' terms."""
    if isinstance(expression, Name):
        if expression.name not in known:
            raise LearningError(f"The recipe names {expression.name!r}, which is no variable, group or assignment.")
        return known[expression.name]
    arguments = [_terms(argument, known) for argument in expression.arguments]
    match expression.function:
        case "group":
            return list(dict.fromkeys(term for terms in arguments for term in terms))
        case "group_remove":
            return [term for term in arguments[0] if not any(term in rest for rest in arguments[1:])]
    terms = [_apply(expression, inputs) for inputs in islice(product(*arguments), MOST_TERMS + 1)]
    if len(terms) > MOST_TERMS:
        raise LearningError(f"The recipe's {expression.function} makes more than {MOST_TERMS} variables: name fewer.")
    return terms


def _apply(call: FunctionCall, inputs: tuple[Term, ...]) -> Term:
    function = FUNCTIONS[call.function]
    for term in inputs:
        if term.kind not in function.takes:
            raise LearningError(
                f"The recipe applies {call.function} to {_label(term)}, which is {term.kind}; "
                f"it takes {' or '.join(function.takes)}."
            )
    depth = 1 + max(term.depth for term in inputs)
    if depth > MOST_DEEP:
        raise LearningError(f"The recipe nests more than {MOST_DEEP} functions: simplify it.")
    return Term(call.function, function.gives or inputs[0].kind, inputs, call.parameter, depth=depth)


def _label(term: Term) -> str:
    return repr(term.variable) if term.variable else f"{term.function}({', '.join(map(_label, term.inputs))})"
