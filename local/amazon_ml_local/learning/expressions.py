"""The expressions of a recipe: names and functions, read from text.

Source: Amazon Machine Learning developer guide, "Recipe Format Reference" and "Data Transformations Reference".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from amazon_ml_local.learning.errors import LearningError
from amazon_ml_local.learning.schema import Kind

MOST_NESTED = 50  # functions inside each other in one expression: our bound, far above any recipe's need
TOKEN = re.compile(
    r"""\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\s,'"()\\]+)|(?P<mark>[(),]))""",
)


class Function(NamedTuple):
    """A function of the recipe language.

    :ivar takes: the kinds of variable that it can be applied to
    :ivar gives: the kind of its result; None for that of its input
    :ivar parameter: the integers that may be its last argument; None if it takes inputs alone
    """

    takes: tuple[Kind, ...] = ()
    gives: Kind | None = None
    most_inputs: int = 1
    least_inputs: int = 1
    parameter: range | None = None


FUNCTIONS = {
    "ngram": Function(("TEXT",), parameter=range(1, 11)),
    "osb": Function(("TEXT",), parameter=range(2, 11)),
    "lowercase": Function(("TEXT", "CATEGORICAL")),
    "no_punct": Function(("TEXT", "CATEGORICAL")),
    "normalize": Function(("NUMERIC",)),
    # The bounds of the bins are our choice.
    "quantile_bin": Function(("NUMERIC",), "CATEGORICAL", parameter=range(2, 1001)),
    "cartesian": Function(("TEXT", "CATEGORICAL", "BINARY"), "TEXT", most_inputs=100, least_inputs=2),
}
GROUPING = ("group", "group_remove")  # which put variables together or leave some out, and change none


@dataclass(frozen=True)
class Name:
    """The name of a variable, a group or an assignment in a recipe."""

    name: str


class NeedsQuotes(Name):
    """A word without quotes that does not begin with a letter: only a function's parameter may be one."""


@dataclass(frozen=True)
class FunctionCall:
    """A call of a function in a recipe."""

    function: str
    arguments: tuple[Expression, ...]
    parameter: int | None = None


Expression: TypeAlias = Name | FunctionCall


def parse_expression(where: str, line: object) -> Expression:
    """Return the expression in a line of a recipe; ``where`` names the line in errors.

    Raises LearningError with the column of the error.
    """
    if not isinstance(line, str):
        raise LearningError(f"The recipe's {where} must be a string, not {line!r}.")
    return _Parser(where, line).parse()


class _Parser:
    """Read one expression: a name, quoted or not, or a function with its arguments."""

    def __init__(self, where: str, text: str) -> None:
        self.where, self.text, self.position = where, text, 0

    def parse(self) -> Expression:
        expression = self._check_quotes(self._expression())
        if self.text[self.position :].strip():
            raise self._error("expected the end")
        return expression

    def _expression(self, depth: int = 0) -> Expression:
        if depth > MOST_NESTED:
            raise self._error(f"more than {MOST_NESTED} functions inside each other")
        name, quoted = self._name()
        if quoted:
            return Name(name)
        if not self._skip("("):
            return Name(name) if name[0].isalpha() else NeedsQuotes(name)
        arguments: list[Expression] = [self._expression(depth + 1)]
        while self._skip(","):
            arguments.append(self._expression(depth + 1))
        if not self._skip(")"):
            raise self._error("expected ',' or ')'")
        return self._call(name, arguments)

    def _call(self, name: str, arguments: list[Expression]) -> FunctionCall:
        if name in GROUPING:
            return FunctionCall(name, tuple(map(self._check_quotes, arguments)))
        if name not in FUNCTIONS:
            raise self._error(f"{name!r} is no function; known are {', '.join([*GROUPING, *FUNCTIONS])}")
        function = FUNCTIONS[name]
        parameter = self._parameter(name, arguments.pop(), function.parameter) if function.parameter else None
        if not function.least_inputs <= len(arguments) <= function.most_inputs:
            raise self._error(f"{name} has the wrong number of arguments")
        return FunctionCall(name, tuple(map(self._check_quotes, arguments)), parameter)

    def _check_quotes(self, expression: Expression) -> Expression:
        """Return the expression, or raise LearningError if it is ``NeedsQuotes``."""
        if isinstance(expression, NeedsQuotes):
            raise self._error(f"the name {expression.name!r} needs quotes, since it does not begin with a letter")
        return expression

    def _parameter(self, name: str, argument: Expression, allowed: range) -> int:
        text = argument.name if isinstance(argument, Name) else ""
        if not text.isdecimal() or int(text) not in allowed:
            raise self._error(f"{name} must end with an integer from {allowed[0]} to {allowed[-1]}")
        return int(text)

    def _name(self) -> tuple[str, bool]:
        """Return the name that comes next, and whether it is in quotes."""
        match = TOKEN.match(self.text, self.position)
        if match is None or match["mark"]:
            raise self._error("expected a name")
        self.position = match.end()
        if match["bare"]:
            return match["bare"], False
        return match["single"] or match["double"] or "", True

    def _skip(self, mark: str) -> bool:
        """Skip a mark if it comes next; return whether it did."""
        match = TOKEN.match(self.text, self.position)
        if match is None or match["mark"] != mark:
            return False
        self.position = match.end()
        return True

    def _error(self, what: str) -> LearningError:
        return LearningError(f"The recipe's {self.where}: {what} at column {self.position + 1} of {self.text!r}.")
