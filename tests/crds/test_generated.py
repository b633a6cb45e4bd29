"""What is committed is what the models give, and says of every field what a person needs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from phoenix_crds import MarketMaker, TradingAccount
from phoenix_crds.definitions import DEFINITIONS, Definition, custom_resource_definition
from phoenix_crds.fields import Kind, Shape, declared
from phoenix_crds.generate import drifted, generated
from phoenix_crds.schema import schema_of
from phoenix_crds.values import Duration
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[2]


def test_what_is_committed_is_what_the_models_give() -> None:
    assert drifted(ROOT) == [], "make generate"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    for path in generated():
        (tmp_path / path).parent.mkdir(exist_ok=True)
    return tmp_path


def _generate(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "phoenix_crds.generate", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_file_that_is_missing_or_edited_is_named_and_written_anew(elsewhere: Path) -> None:
    assert _generate(str(elsewhere))[0] == 0
    assert _generate("--check", str(elsewhere)) == (0, "")
    edited = elsewhere / "crds/marketmakers.yaml"
    edited.write_text(edited.read_text().replace("maximum: 20", "maximum: 30", 1))
    (elsewhere / "docs/reference.md").unlink()
    status, said = _generate("--check", str(elsewhere))
    assert status == 1
    assert [line.split()[0] for line in said.splitlines()] == ["crds/marketmakers.yaml", "docs/reference.md"]
    assert _generate(str(elsewhere))[0] == 0
    assert drifted(elsewhere) == []


@pytest.mark.parametrize("arguments", [(), ("--check",), ("/nowhere/at/all",), ("a", "b")])
def test_it_says_how_it_is_used(arguments: tuple[str, ...]) -> None:
    status, said = _generate(*arguments)
    assert (status, said.split(":")[0]) == (2, "usage")


def _blocks(schema: dict[str, Any], path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every property of a schema by its path."""
    inside: dict[str, Any] = dict(schema.get("properties", {}))
    for name in ("items", "additionalProperties"):
        inside |= schema.get(name, {}).get("properties", {})
    found = []
    for name, each in inside.items():
        found += [(f"{path}.{name}", each), *_blocks(each, f"{path}.{name}")]
    return found


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.short)
def test_a_definition_is_structural_and_every_field_is_described(definition: Definition) -> None:
    root = custom_resource_definition(definition)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path, schema in _blocks(root):
        assert ("type" in schema) != ("x-kubernetes-int-or-string" in schema), path
        if not path.startswith(".metadata"):
            assert schema["description"], path
        if schema.get("type") == "string" and path.startswith(".spec"):
            assert {"enum", "maxLength"} & set(schema), f"{path}: rules over it need its longest"


def _empty(value: Any, path: str = "") -> list[str]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    nothing = [path] if value is None or value in ("", [], {}) else []
    return nothing + [each for name, inner in inside for each in _empty(inner, f"{path}.{name}")]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.short)
def test_nothing_in_a_definition_is_empty(definition: Definition) -> None:
    """The server drops what is empty, and who applies the file again would see a difference for ever."""
    found = _empty(custom_resource_definition(definition))
    assert [path for path in found if not path.endswith(".subresources.status")] == []


def _fields(model: type[BaseModel], path: str) -> list[tuple[str, Shape, Any]]:
    found = []
    for field in declared(model):
        found.append((f"{path}.{field.name}", field.shape, field.default))
        if field.shape.model is not None:
            found += _fields(field.shape.model, f"{path}.{field.name}")
    return found


@pytest.mark.parametrize("model", [MarketMaker, TradingAccount], ids=lambda each: each.__name__)
def test_every_default_of_a_spec_stands_in_the_schema_in_the_form_the_model_reads(model: type[BaseModel]) -> None:
    (spec,) = (field for field in declared(model) if field.name == "spec")
    assert spec.shape.model is not None
    told = dict(_blocks(schema_of(spec.shape.model, ""), "spec"))
    for path, shape, default in _fields(spec.shape.model, "spec"):
        assert told[path].get("default") == default, path
        if default is not None and shape.kind is Kind.DURATION:
            assert str(Duration.parse(default)) == default, "as the model writes it, or it would drift"


def test_a_status_has_no_default_of_the_servers() -> None:
    for definition in DEFINITIONS:
        root = custom_resource_definition(definition)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert not [path for path, schema in _blocks(root) if path.startswith(".status") and "default" in schema]


def test_a_definition_fits_the_annotation_of_a_client_side_apply() -> None:
    for path, text in generated().items():
        if path.endswith(".yaml"):
            assert len(str(yaml.safe_load(text))) < 262_144, f"{path}: kubectl apply keeps it in an annotation"


def test_the_reference_names_every_field_and_rule() -> None:
    page = generated()["docs/reference.md"]
    for definition in DEFINITIONS:
        (spec,) = (field for field in declared(definition.model) if field.name == "spec")
        assert spec.shape.model is not None
        for path, _, _ in _fields(spec.shape.model, "spec"):
            assert f"| `{path.rpartition('.')[2]}` |" in page, path
        for rule in getattr(spec.shape.model, "rules", ()):
            assert rule.message in page
