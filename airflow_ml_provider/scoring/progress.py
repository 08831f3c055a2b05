"""The types of the record of progress: which parts are done, and what they contain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from airflow_ml_provider.scoring.answers import Tally, new_tally

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import JSONObject

Kind = Literal["lines", "errors"]
SUFFIXES: dict[Kind, str] = {"lines": "", "errors": ".errors"}  # of the names of a part's objects


class Piece(TypedDict):
    """One object of a part: the ETag and the digest with which it was written, and its number of rows."""

    etag: str
    digest: str
    rows: int


class End(TypedDict):
    """Where the rows of a part end: a place in the row range with the number ``range``."""

    range: int
    offset: int
    line: int


class Part(TypedDict):
    """The rows after those of the part before it, up to ``end``: an object of predictions, and one of errors."""

    name: str
    pieces: dict[Kind, Piece]
    end: End


class Whole(TypedDict):
    """The complete output: its ETag, that of its errors file, and the totals of its parts."""

    etag: str
    errors_etag: str | None
    rows: int
    errors: int
    parts: int


class Progress(TypedDict):
    """What is done. ``depends_on`` is what the predictions depend on: if any of it changes, scoring restarts."""

    depends_on: JSONObject
    parts: list[Part]
    columns: list[str]
    tally: Tally
    seconds: float
    whole: Whole | None


def new_progress(depends_on: JSONObject) -> Progress:
    """Return the progress at the first row."""
    return Progress(depends_on=depends_on, parts=[], columns=[], tally=new_tally(), seconds=0.0, whole=None)


def object_name(part: Part, kind: Kind) -> str:
    """Return the name of a part's object of this kind."""
    return f"{part['name']}{SUFFIXES[kind]}"


def row_count(part: Part, kind: Kind) -> int:
    """Return the number of rows of this kind in a part."""
    piece = part["pieces"].get(kind)
    return piece["rows"] if piece else 0
