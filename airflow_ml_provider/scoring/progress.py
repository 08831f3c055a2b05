"""What the record of progress holds: the parts that are done, and what they came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from airflow_ml_provider.scoring.answers import Tally, new_tally

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import Description

Kind = Literal["lines", "errors"]
SUFFIXES: dict[Kind, str] = {"lines": "", "errors": ".errors"}


class Piece(TypedDict):
    """One object of a part, as it was written: its ETag, the digest of its bytes, and how many rows it holds."""

    etag: str
    digest: str
    rows: int


class End(TypedDict):
    """Where the rows of a part end: a place in one of the row ranges."""

    range: int
    offset: int
    line: int


class Part(TypedDict):
    """Rows that follow on those of the part before it; what was predicted for them, and what was refused."""

    name: str
    pieces: dict[Kind, Piece]
    end: End


class Whole(TypedDict):
    """The finished output: its ETag and its errors file's, and what the parts came to."""

    etag: str
    errors_etag: str | None
    rows: int
    errors: int
    parts: int


class Progress(TypedDict):
    """What is done; ``depends_on`` is what the predictions depend on: when it changes, they begin anew."""

    depends_on: Description
    parts: list[Part]
    columns: list[str]
    tally: Tally
    seconds: float
    whole: Whole | None


def new_progress(depends_on: Description) -> Progress:
    """Return the progress of a run that begins."""
    return Progress(depends_on=depends_on, parts=[], columns=[], tally=new_tally(), seconds=0.0, whole=None)


def object_name(part: Part, kind: Kind) -> str:
    """Return the name of one object of a part."""
    return f"{part['name']}{SUFFIXES[kind]}"


def row_count(part: Part, kind: Kind) -> int:
    """Count the rows of one kind in a part."""
    piece = part["pieces"].get(kind)
    return piece["rows"] if piece else 0
