"""Show every argument of an operator to ``inspect.signature`` and ``help``, inherited ones too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspect import Signature


class WholeSignature:
    """Compute the signature of a class when it is read: the class's own arguments, then those of its bases.

    Set as ``__signature__`` of the class. ``__init__`` keeps its own signature, since Airflow reads that one.
    """

    def __get__(self, instance: object, owner: type) -> Signature:
        from inspect import Parameter, Signature, signature

        found: dict[str, Parameter] = {}
        for base in owner.__mro__:
            if "__init__" in vars(base) and base is not object:
                _self, *parameters = signature(vars(base)["__init__"]).parameters.values()
                for parameter in parameters:
                    if parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY):
                        found.setdefault(parameter.name, parameter.replace(kind=Parameter.KEYWORD_ONLY))
        return Signature(list(found.values()))
