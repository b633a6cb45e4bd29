"""The reference of the resources for people, from the declarations that the schema comes from: `docs/reference.md`."""

from collections.abc import Iterator

from pydantic import BaseModel

from phoenix_crds.definitions import CATEGORY, DEFINITIONS, Definition
from phoenix_crds.fields import Declared, Kind, Shape, declared
from phoenix_crds.metadata import API_VERSION
from phoenix_crds.parameters import TradingParameters
from phoenix_crds.rules import Resource
from phoenix_crds.schema import prose, span
from phoenix_crds.status import Observed

_HEAD = f"""\
# Reference of the resources

Every field of `{API_VERSION}`, written from the models that the API server's schema comes from
(`make generate`; change a model, not this page). `kubectl explain mm.spec.guards` says the same.

A **decimal** is an integer or a quoted decimal number (`12`, `"0.5"`), never a bare `0.5`, whose digits are not
exact. A **duration** is one integer and one of `ms`, `s`, `m`, `h` (`500ms`, `1m`). A **loss** is an amount of the
quote asset or a share (`50`, `"5%"`). What has no default and is not required may be left out. Fields are added or
deprecated, never renamed or given another default within a version.

The API server holds every manifest to this and says what to do. A field that it does not know it refuses where it is
asked to (`kubectl`, every server-side apply), and else drops with a warning (Helm 3): `phoenix check -f` finds those.
"""

_WRITTEN = {
    Kind.LOSS: "loss",
    Kind.DURATION: "duration",
    Kind.INSTANT: "time",
    Kind.INTEGER: "integer",
    Kind.BOOLEAN: "`true`, `false`",
    Kind.OBJECT: "block",
}


def reference() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *(line for definition in DEFINITIONS for line in _of_kind(definition))]).rstrip() + "\n"


def _of_kind(definition: Definition) -> Iterator[str]:
    model = definition.model
    yield f"## {definition.kind}"
    yield ""
    yield (
        f"{prose(model)} `kubectl get {definition.short}` (or `{definition.plural}`; `kubectl get {CATEGORY}` for"
        f" all). A name has at most 52 lower-case letters, digits and `-`. Field selectors: "
        f"{', '.join(f'`{path[1:]}`' for path in definition.selectable)}."
    )
    yield ""
    for field in declared(model):
        if field.name in {"spec", "status"} and field.shape.model is not None:
            yield from _block(definition.kind, field.name, field.shape.model)


def _block(kind: str, path: str, model: type[BaseModel]) -> Iterator[str]:
    """A table of the block's fields, its rules, then the blocks inside it."""
    fields = list(declared(model))
    yield f"### {kind} {path}"
    yield ""
    yield prose(model)
    yield ""
    if issubclass(model, Observed):
        yield "| field | type | what |"
        yield "|---|---|---|"
        yield from (f"| `{field.name}` | {_type(field.shape)} | {_cell(field.description)} |" for field in fields)
    else:
        yield "| field | type | default | range | what |"
        yield "|---|---|---|---|---|"
        yield from (_row(field) for field in fields)
    yield ""
    if issubclass(model, Resource) and model.rules:
        yield from (f"* {rule.message}." for rule in model.rules)
        yield ""
    for field in fields:
        inside = field.shape.model or (field.shape.items.model if field.shape.items else None)
        if inside is TradingParameters:  # a second set of what is described above
            continue
        if inside is not None:
            below = f"{path}.{field.name}" + ("[]" if field.shape.kind is Kind.LIST else "")
            yield from _block(kind, below, inside)


def _row(field: Declared) -> str:
    shape = field.shape
    if field.required:
        default = "**required**"
    elif field.default is None:
        default = ""
    elif shape.kind is Kind.OBJECT:
        default = "its own"
    else:
        default = f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"
    return f"| `{field.name}` | {_type(shape)} | {default} | {_cell(span(shape))} | {_cell(field.description)} |"


def _type(shape: Shape) -> str:
    match shape.kind:
        case Kind.DECIMAL:
            return f"decimal, {shape.unit}"
        case Kind.CHOICE:
            return ", ".join(f"`{choice}`" for choice in shape.choices)
        case Kind.TEXT:
            return "text"
        case Kind.OBJECT if shape.model is TradingParameters:
            return "block, as the parameters from `netMax` on"
        case Kind.LIST if shape.items is not None:
            return f"list of {_type(shape.items)}s"
        case Kind.MAP if shape.items is not None:
            return f"map of {_type(shape.items)}"
        case kind:
            return _WRITTEN[kind]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
