"""The JSON schema of scenarios: printed, committed for editors, and true of what is committed."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from phoenix_cli.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "docs/scenario.schema.json"
SCENARIOS = sorted((ROOT / "configs/scenarios").glob("*.yaml"))
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def mistakes(value: Any, schema: Any, root: Any) -> list[str]:
    """What a validator would say, as far as this schema uses the language."""
    if "$ref" in schema:
        return mistakes(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        tried = [mistakes(value, each, root) for each in schema["anyOf"]]
        return [] if [] in tried else [f"{value} is nothing of what it may be"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{value} is none of {schema['enum']}")
    if "const" in schema and value != schema["const"]:
        found.append(f"{value} is not {schema['const']}")
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[kind]) for kind in kinds):
        return [f"{value} is not {kinds}"]
    if "minimum" in schema and value < schema["minimum"]:
        found.append(f"{value} is too small")
    return found + _mistakes_inside(value, schema, root)


def _mistakes_inside(value: Any, schema: Any, root: Any) -> list[str]:
    found = []
    if isinstance(value, dict):
        for name, part in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            found += [f"{name} is unknown"] if inner is False else mistakes(part, inner, root)
            found += mistakes(name, schema.get("propertyNames", {}), root)
        found += [f"{name} is missing" for name in schema.get("required", []) if name not in value]
    if isinstance(value, list):
        found += [mistake for part in value for mistake in mistakes(part, schema.get("items", {}), root)]
    return found


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads(COMMITTED.read_text(encoding="utf-8"))


def test_the_committed_schema_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--schema"]) == 0
    printed = capsys.readouterr().out
    assert COMMITTED.read_text(encoding="utf-8") == printed, "run: phoenix check --schema > docs/scenario.schema.json"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_it_is_true_of_the_scenarios_that_users_copy(schema: Any, path: Path) -> None:
    assert mistakes(yaml.safe_load(path.read_text(encoding="utf-8")), schema, schema) == []


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"faults": [{"kind": "earthquake"}]}, id="no such fault"),
        pytest.param({"faults": [{"kind": "late"}]}, id="a field is missing"),
        pytest.param({"faults": [{"kind": "gap", "counts": 3}]}, id="an unknown field"),
        pytest.param({"markets": {"BTCUSDT": {"regime": "wild"}}}, id="no such regime"),
        pytest.param({"markets": {"DOGEUSDT": {}}}, id="no such symbol"),
        pytest.param({"venue": {"queueModel": "magic"}}, id="no such queue model"),
        pytest.param({"seed": -1}, id="a negative seed"),
    ],
)
def test_it_refuses_what_is_not_well_formed(schema: Any, spec: dict[str, Any]) -> None:
    document = {"apiVersion": "phoenix.trading/v1alpha1", "kind": "Scenario", "spec": spec}
    assert mistakes(document, schema, schema)
    assert not mistakes({**document, "spec": {}}, schema, schema)
