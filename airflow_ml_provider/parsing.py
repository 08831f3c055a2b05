"""Refuse answers that do not come from the service, such as a proxy's page.

botocore's parsers read a page of HTML as an empty answer, and fail with all kinds of errors on JSON of another shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.parsers import ResponseParser, ResponseParserError, ResponseParserFactory

if TYPE_CHECKING:
    from botocore.model import Shape

PARSER_FAILURES = (AttributeError, TypeError, ValueError, RecursionError)  # on JSON of another shape


class _Parser(ResponseParser):
    def __init__(self, parser: ResponseParser, is_json: bool) -> None:
        super().__init__()
        self._parser, self._is_json = parser, is_json

    def parse(self, response: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
        """Return what botocore's parser returns.

        :raises ResponseParserError: when the answer does not come from the service.
        """
        status = response["status_code"]
        try:
            parsed: dict[str, Any] = self._parser.parse(response, shape)
            is_empty = not parsed.keys() - {"ResponseMetadata"}
        except PARSER_FAILURES as error:
            raise ResponseParserError(f"status {status}: this answer is not the service's: {error}") from error
        if self._is_json and 300 <= status < 400:
            raise ResponseParserError(f"status {status}: a redirect, which the service never sends")
        if self._is_json and is_empty and status < 300:
            raise ResponseParserError(f"status {status}: an answer without a member, most likely a proxy's page")
        return parsed


class ParserFactory(ResponseParserFactory):
    """Create botocore's parsers; those for JSON, the service's protocol, refuse answers that it never sends."""

    def create_parser(self, protocol_name: str) -> ResponseParser:
        return _Parser(super().create_parser(protocol_name), protocol_name == "json")
