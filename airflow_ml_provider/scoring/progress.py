"""The types of the record of progress: which parts are done, and what they contain."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Literal, TypedDict, cast

from airflow_ml_provider.scoring.answers import Tally, new_tally
from airflow_ml_provider.scoring.record import FORMAT_VERSION

if TYPE_CHECKING:
    from airflow_ml_provider.payloads import JSONObject
    from airflow_ml_provider.scoring.writing import Found

Kind = Literal["lines", "errors"]
MADE_OF, WHOLE = "made-of", "whole"  # the metadata of a complete output
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


def to_metadata(progress: Progress, whole: Whole) -> dict[str, str]:
    """Return the metadata of an output by which a later try sees that it is complete, though its record is deleted."""
    return {MADE_OF: _made_of(progress), WHOLE: json.dumps([whole, progress["seconds"]])}


def from_metadata(progress: Progress, found: Found, errors_etag: str | None) -> Progress | None:
    """Return the progress of an output that was made of what ``progress`` depends on; None if it was not.

    :param errors_etag: the ETag of the errors file that is there; None if there is none.
    """
    if found.metadata.get(MADE_OF) != _made_of(progress):
        return None
    whole, seconds = cast("tuple[Whole, float]", json.loads(found.metadata[WHOLE]))
    if whole["errors_etag"] != errors_etag:
        return None
    return {**progress, "whole": {**whole, "etag": found.etag}, "seconds": seconds}


def _made_of(progress: Progress) -> str:
    made_of = [FORMAT_VERSION, progress["depends_on"]]
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def object_name(part: Part, kind: Kind) -> str:
    """Return the name of a part's object of this kind."""
    return f"{part['name']}{SUFFIXES[kind]}"


def row_count(part: Part, kind: Kind) -> int:
    """Return the number of rows of this kind in a part."""
    piece = part["pieces"].get(kind)
    return piece["rows"] if piece else 0
