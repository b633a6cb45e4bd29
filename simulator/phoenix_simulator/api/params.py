"""Parameters of a request, read as leniently as the venue reads them and judged as strictly.

The raw bytes decide the signature (see `auth`), so nothing here re-encodes anything: a query string and a form body
are split on ``&`` and at the first ``=``; what a client left unencoded (the JSON of a batch) is taken as it stands.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import unquote_plus

import msgspec
import orjson

from phoenix_simulator.exchange.errors import VenueError

_INTEGER: Final = re.compile(r"[0-9]{1,20}")
_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
INTEGER_RANGE: Final = "^[0-9]{1,20}$"
DECIMAL_RANGE: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
_LONG_MAX: Final = 2**63 - 1
_ANY_CASE: Final = {"orderidlist": "orderIdList", "origclientorderidlist": "origClientOrderIdList"}
"""Some clients send the two list parameters in lower case and the venue takes them."""


def missing(name: str) -> VenueError:
    return VenueError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal_range: str) -> VenueError:
    return VenueError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal_range}'.")


def not_required(name: str) -> VenueError:
    return VenueError(-1106, f"Parameter '{name}' sent when not required.")


def invalid(name: str) -> VenueError:
    return VenueError(-1130, f"Data sent for parameter '{name}' is not valid.")


def parse_pairs(raw: str) -> dict[str, str]:
    """Split ``a=1&b=2`` into a mapping; the first of two equal names wins. Percent escapes and ``+`` are decoded."""
    pairs: dict[str, str] = {}
    for part in raw.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        pairs.setdefault(_ANY_CASE.get(name.lower(), name), unquote_plus(value))
    return pairs


class Params:
    """Named strings with typed readers; every reader raises the venue's own error for what it cannot read."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    @classmethod
    def of_request(cls, raw_query: str, raw_body: str) -> "Params":
        """Of a REST request. Query string and body may be mixed; on duplicates the query string wins."""
        if not raw_body:
            return cls(parse_pairs(raw_query))
        return cls({**parse_pairs(raw_body), **parse_pairs(raw_query)})

    @classmethod
    def of_json(cls, values: Mapping[str, object]) -> "Params":
        """Of a JSON object (WebSocket API, items of a batch): numbers, booleans and strings mean the same."""
        return cls({name: wire_text(value) for name, value in values.items() if value is not None})

    def __contains__(self, name: str) -> bool:
        return bool(self._values.get(name))

    def peek(self, name: str) -> str:
        """The text as sent, "" where absent; judges nothing."""
        return self._values.get(name, "")

    def raw(self, name: str) -> str | None:
        """The text as sent, or None where absent. An empty value is a mistake of the caller: -1105."""
        value = self._values.get(name)
        if value == "":
            raise VenueError(-1105, f"Parameter '{name}' was empty.")
        return value

    def text(self, name: str) -> str:
        value = self._values.get(name)
        if not value:
            raise missing(name)
        return value

    def integer(self, name: str) -> int:
        if not self._values.get(name):
            raise missing(name)
        return _integer(name, self._values[name])

    def integer_or(self, name: str, default: int) -> int:
        value = self.raw(name)
        return default if value is None else _integer(name, value)

    def optional_integer(self, name: str) -> int | None:
        value = self.raw(name)
        return None if value is None else _integer(name, value)

    def limit(self, default: int, largest: int) -> int:
        """`limit` of a listing: beyond the largest is refused, as the venue does, not cut."""
        value = self.integer_or("limit", default)
        if not 1 <= value <= largest:
            raise invalid("limit")
        return value

    def optional_decimal(self, name: str) -> Decimal | None:
        value = self.raw(name)
        if value is None:
            return None
        if not _DECIMAL.fullmatch(value):
            raise illegal(name, DECIMAL_RANGE)
        return Decimal(value)

    def decimal(self, name: str) -> Decimal:
        if not self._values.get(name):
            raise missing(name)
        value = self.optional_decimal(name)
        if value is None:
            raise missing(name)
        return value

    def boolean(self, name: str) -> bool:
        return _boolean(name, self.text(name))

    def flag(self, name: str) -> bool:
        """An optional boolean, false where absent."""
        value = self.raw(name)
        return value is not None and _boolean(name, value)

    def json_list(self, name: str) -> list[object]:
        """A JSON array inside a parameter (batches, lists of ids)."""
        text = self.text(name)
        try:
            # A list rendered by a client's own printer may carry blanks and single quotes; the venue takes only JSON.
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise invalid(name) from None
        if not isinstance(value, list):
            raise invalid(name)
        return value


def wire_text(value: object) -> str:
    """How a JSON value reads as a parameter: true → "true", 5 → "5", nested structures stay JSON."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            # repr gives the shortest text that reads back the same: what the client wrote, in all but odd cases.
            return repr(value)
        case _:
            return msgspec.json.encode(value).decode()


def parse_integer(text: str) -> int | None:
    """None for what is no integer from 0 to the largest of 64 bits, however long the text."""
    if not _INTEGER.fullmatch(text) or (number := int(text)) > _LONG_MAX:
        return None
    return number


def _integer(name: str, value: str) -> int:
    number = parse_integer(value)
    if number is None:
        raise illegal(name, INTEGER_RANGE)
    return number


def _boolean(name: str, value: str) -> bool:
    match value.lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            raise invalid(name)
