"""Judge, where an answer is parsed, whether it is one of the service's at all.

botocore's parsers make an empty answer of a proxy's page, and trip over JSON of another shape than the service's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.parsers import ResponseParser, ResponseParserError, ResponseParserFactory

if TYPE_CHECKING:
    from botocore.model import Shape

MISREAD = (AttributeError, TypeError, ValueError, RecursionError)  # of botocore's parsers, on JSON of another shape


class _Parser(ResponseParser):
    def __init__(self, parser: ResponseParser, is_json: bool) -> None:
        super().__init__()
        self._parser, self._is_json = parser, is_json

    def parse(self, response: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
        """Parse as botocore does.

        :raises ResponseParserError: when the answer is none of the service's.
        """
        status = response["status_code"]
        try:
            parsed: dict[str, Any] = self._parser.parse(response, shape)
            is_empty = not parsed.keys() - {"ResponseMetadata"}
        except MISREAD as error:
            raise ResponseParserError(f"status {status}: an answer that is none of the service's: {error}") from error
        if self._is_json and 300 <= status < 400:
            raise ResponseParserError(f"status {status}: a redirect, which the service never sends")
        if self._is_json and is_empty and status < 300:
            raise ResponseParserError(f"status {status}: an answer without a member: a proxy's page, most likely")
        return parsed


class ParserFactory(ResponseParserFactory):
    """Make botocore's parsers; those of JSON, which the service speaks, refuse what it never says."""

    def create_parser(self, protocol_name: str) -> ResponseParser:
        return _Parser(super().create_parser(protocol_name), protocol_name == "json")
