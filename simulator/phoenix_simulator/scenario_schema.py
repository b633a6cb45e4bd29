"""The JSON schema of a scenario, made from the types that read one: for editors, and for programs that write scenarios.

It knows what is well-formed. What contradicts itself (a fault that strikes nothing, changes out of order) is found by
`phoenix check` and by the exchange.
"""

from typing import Any, Final

import msgspec

from phoenix_simulator.exchange.symbols import BUILT_IN
from phoenix_simulator.scenario import API_VERSION, KIND, Document

Json = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DECIMAL: Final = {"type": "string", "format": "decimal"}


def scenario_schema() -> Json:
    """As plain data (draft 2020-12)."""
    made = msgspec.json.schema(Document)
    of_document, of_spec = made["$defs"]["Document"]["properties"], made["$defs"]["Scenario"]["properties"]
    of_document["apiVersion"], of_document["kind"] = {"const": API_VERSION}, {"const": KIND}
    of_spec["markets"]["propertyNames"] = {"enum": list(BUILT_IN)}
    return {"$schema": _DIALECT, "title": f"{KIND} of {API_VERSION}", **_members_as_written(made)}


def _as_written(part: object) -> object:
    """YAML writes a decimal as a number, too; and descriptions are not indented like our source."""
    match part:
        case dict() if part == _DECIMAL:
            return {"type": ["string", "number"]}
        case dict():
            return _members_as_written(part)
        case list():
            return [_as_written(value) for value in part]
        case _:
            return part


def _members_as_written(members: Json) -> Json:
    return {
        name: " ".join(value.split()) if name == "description" and isinstance(value, str) else _as_written(value)
        for name, value in members.items()
    }
