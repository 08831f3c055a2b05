"""Which variables a model learns from and how each is transformed: the recipe's language.

Source: Amazon Machine Learning developer guide, "Recipe Format Reference" and "Data Transformations Reference".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from airflow_ml_provider.local.learning.errors import LearningError
from airflow_ml_provider.local.learning.schema import Kind, json_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECTIONS = ("groups", "assignments", "outputs")
TOKEN = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)"|([^\s,'"()\\]+)|([(),]))""")


class Function(NamedTuple):
    """What a function of the language takes and gives."""

    takes: tuple[Kind, ...] = ()
    gives: Kind | None = None  # None: what it took
    most_inputs: int = 1
    least_inputs: int = 1
    parameter: range | None = None


FUNCTIONS = {
    "ngram": Function(("TEXT",), parameter=range(1, 11)),
    "osb": Function(("TEXT",), parameter=range(2, 11)),
    "lowercase": Function(("TEXT", "CATEGORICAL")),
    "no_punct": Function(("TEXT", "CATEGORICAL")),
    "normalize": Function(("NUMERIC",)),
    # The bounds are our choice.
    "quantile_bin": Function(("NUMERIC",), "CATEGORICAL", parameter=range(2, 1001)),
    "cartesian": Function(("TEXT", "CATEGORICAL", "BINARY"), "TEXT", most_inputs=100, least_inputs=2),
}
GROUPING = ("group", "group_remove")


@dataclass(frozen=True)
class Name:
    """A variable, a group or an assignment, as it stands in a recipe."""

    name: str


@dataclass(frozen=True)
class Call:
    """A function of the language applied to something, as it stands in a recipe."""

    function: str
    arguments: tuple[Expression, ...]
    parameter: int | None = None


Expression: TypeAlias = Name | Call


@dataclass(frozen=True)
class Term:
    """One variable, or one transformation of terms: an output of the recipe with all groups resolved."""

    function: str
    kind: Kind
    inputs: tuple[Term, ...] = ()
    parameter: int | None = None
    variable: str = field(default="")


class Recipe(NamedTuple):
    """A recipe as parsed, names unresolved."""

    groups: dict[str, Expression]
    assignments: dict[str, Expression]
    outputs: list[Expression]


def parse_recipe(text: str) -> Recipe:
    """Return the recipe that a text describes. Raises LearningError, saying which line of it is wrong and where."""
    document = json_object(text, "The recipe")
    if unknown := sorted(set(document) - set(SECTIONS)):
        raise LearningError(f"The recipe has unknown sections: {', '.join(unknown)}. Known: {', '.join(SECTIONS)}.")
    outputs = document.get("outputs")
    if not isinstance(outputs, list) or not outputs:
        raise LearningError('The recipe\'s outputs must be a list with at least one entry, such as "ALL_INPUTS".')
    return Recipe(
        _named(document, "groups"),
        _named(document, "assignments"),
        [_parse(f"outputs, entry {n}", line) for n, line in enumerate(outputs, start=1)],
    )


def validate_recipe(text: str) -> None:
    """Refuse a recipe whose JSON or expressions are malformed. Raises LearningError, a ValueError."""
    parse_recipe(text)


def resolve(recipe: Recipe, inputs: Mapping[str, Kind]) -> list[Term]:
    """Return the recipe's outputs over these variables, each once.

    Raises LearningError for an unknown name, a function on the wrong kind of variable, or no output at all.
    """
    known: dict[str, list[Term]] = {name: [Term("variable", kind, variable=name)] for name, kind in inputs.items()}
    for group in ("ALL_TEXT", "ALL_NUMERIC", "ALL_CATEGORICAL", "ALL_BINARY", "ALL_INPUTS"):
        kinds = (group.removeprefix("ALL_"),)
        known[group] = [
            Term("variable", kind, variable=name)
            for name, kind in inputs.items()
            if kind in kinds or group == "ALL_INPUTS"
        ]
    for section in (recipe.groups, recipe.assignments):
        for name, expression in section.items():
            known[name] = list(_terms(expression, known))
    terms = list(dict.fromkeys(term for line in recipe.outputs for term in _terms(line, known)))
    if not terms:
        raise LearningError("The recipe's outputs select no variable: name at least one that the data has.")
    return terms


def default_recipe(inputs: Mapping[str, Kind], rows: int) -> str:
    """Return the recipe that is used when none is given: numeric variables binned, all else as it is.

    The form is that of the recipes which AWS generated (public examples: groups NUMERIC_VARS_QB_10 to _500). How AWS
    chose the number of bins is unknown; here each bin holds about 200 of the training rows.
    """
    bins = max((bins for bins in (10, 20, 50, 100, 200, 500) if rows / bins >= 200), default=5)
    numeric = [name for name, kind in inputs.items() if kind == "NUMERIC"]
    others = [kind for kind in ("BINARY", "CATEGORICAL", "TEXT") if kind in inputs.values()]
    group = f"NUMERIC_VARS_QB_{bins}"
    groups = {group: f"group({','.join(map(_quote, numeric))})"} if numeric else {}
    outputs = [f"ALL_{kind}" for kind in others] + [f"quantile_bin({name},{bins})" for name in groups]
    return json.dumps({"groups": groups, "assignments": {}, "outputs": outputs})


def _quote(name: str) -> str:
    return f'"{name}"' if "'" in name else f"'{name}'"


def _named(document: dict[str, object], section: str) -> dict[str, Expression]:
    lines = document.get(section, {})
    if not isinstance(lines, dict):
        raise LearningError(f"The recipe's {section} must be a JSON object of names and expressions.")
    if section == "groups" and "ALL_INPUTS" in lines:
        raise LearningError("The recipe's groups define ALL_INPUTS, which is predefined: use another name.")
    return {name: _parse(f"{section}, {name!r}", line) for name, line in lines.items()}


def _terms(expression: Expression, known: Mapping[str, list[Term]]) -> Iterator[Term]:
    if isinstance(expression, Name):
        if expression.name not in known:
            raise LearningError(f"The recipe names {expression.name!r}, which is no variable, group or assignment.")
        yield from known[expression.name]
        return
    arguments = [list(_terms(argument, known)) for argument in expression.arguments]
    match expression.function:
        case "group":
            yield from dict.fromkeys(term for terms in arguments for term in terms)
        case "group_remove":
            yield from (term for term in arguments[0] if not any(term in rest for rest in arguments[1:]))
        case "cartesian":
            yield from _products(expression, arguments)
        case _:
            yield from (_apply(expression, (term,)) for term in arguments[0])


def _products(call: Call, arguments: list[list[Term]]) -> Iterator[Term]:
    from itertools import product

    yield from (_apply(call, inputs) for inputs in product(*arguments))


def _apply(call: Call, inputs: tuple[Term, ...]) -> Term:
    function = FUNCTIONS[call.function]
    for term in inputs:
        if term.kind not in function.takes:
            raise LearningError(
                f"The recipe applies {call.function} to {_label(term)}, which is {term.kind}; "
                f"it takes {' or '.join(function.takes)}."
            )
    return Term(call.function, function.gives or inputs[0].kind, inputs, call.parameter)


def _label(term: Term) -> str:
    return repr(term.variable) if term.variable else f"{term.function}({', '.join(map(_label, term.inputs))})"


def _parse(where: str, line: object) -> Expression:
    if not isinstance(line, str):
        raise LearningError(f"The recipe's {where} must be a string, not {line!r}.")
    return _Parser(where, line).whole()


class _Parser:
    """Read one expression: a name, quoted or not, or a function with its arguments."""

    def __init__(self, where: str, text: str) -> None:
        self.where, self.text, self.position = where, text, 0

    def whole(self) -> Expression:
        expression = self._expression()
        if self.text[self.position :].strip():
            raise self._wrong("expected the end")
        return expression

    def _expression(self) -> Expression:
        name, quoted = self._name()
        if quoted or not self._skip("("):
            return Name(name)
        arguments: list[Expression] = [self._expression()]
        while self._skip(","):
            arguments.append(self._expression())
        if not self._skip(")"):
            raise self._wrong("expected ',' or ')'")
        return self._call(name, arguments)

    def _call(self, name: str, arguments: list[Expression]) -> Call:
        if name in GROUPING:
            return Call(name, tuple(arguments))
        if name not in FUNCTIONS:
            raise self._wrong(f"{name!r} is no function; known are {', '.join([*GROUPING, *FUNCTIONS])}")
        function = FUNCTIONS[name]
        parameter = self._parameter(name, arguments.pop(), function.parameter) if function.parameter else None
        if not function.least_inputs <= len(arguments) <= function.most_inputs:
            raise self._wrong(f"{name} has the wrong number of arguments")
        return Call(name, tuple(arguments), parameter)

    def _parameter(self, name: str, argument: Expression, allowed: range) -> int:
        text = argument.name if isinstance(argument, Name) else ""
        if not text.isdecimal() or int(text) not in allowed:
            raise self._wrong(f"{name} must end with an integer from {allowed[0]} to {allowed[-1]}")
        return int(text)

    def _name(self) -> tuple[str, bool]:
        match = TOKEN.match(self.text, self.position)
        if match is None or match[4]:
            raise self._wrong("expected a name")
        self.position = match.end()
        single, double, bare = match[1], match[2], match[3]
        return next((part, part is not bare) for part in (single, double, bare) if part is not None)

    def _skip(self, mark: str) -> bool:
        match = TOKEN.match(self.text, self.position)
        if match is None or match[4] != mark:
            return False
        self.position = match.end()
        return True

    def _wrong(self, what: str) -> LearningError:
        return LearningError(f"The recipe's {self.where}: {what} at column {self.position + 1} of {self.text!r}.")
