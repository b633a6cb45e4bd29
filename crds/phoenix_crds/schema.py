"""From a model to the schema that the API server holds resources to: structural OpenAPI v3 with CEL beside it.

OpenAPI's minimum does not act on strings, and quantities are strings (or integers), so their ranges are CEL. What a
person reads is the same whoever refuses: the messages are those of the models.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from phoenix_crds.fields import Bounds, Declared, Kind, Shape, declared, first_sentence
from phoenix_crds.rules import Resource
from phoenix_crds.status import Observed
from phoenix_crds.validation import PATTERNS
from phoenix_crds.values import DECIMAL, DURATION, LONGEST_DECIMAL, LONGEST_DURATION, LOSS

Schema = dict[str, Any]

# How a value is written whose OpenAPI type says nothing (`kubectl explain` calls it an Object).
_FORMS = {Kind.DECIMAL: 'Decimal ("0.5", 12).', Kind.LOSS: 'Loss (50, "5%").'}
_COUNTED = {Kind.TEXT: "characters", Kind.LIST: "items", Kind.MAP: "entries"}


def schema_of(model: type[BaseModel], description: str) -> Schema:
    """The schema of a block: its fields, which of them are required, and the rules that span them."""
    fields = list(declared(model))
    schema: Schema = {"description": description, "type": "object"}
    required = [field.name for field in fields if field.required]
    if required:
        schema["required"] = required
    # A status has no defaults of the server's: what is absent has not been said, and only its writer may say it.
    defaulted = not issubclass(model, Observed)
    schema["properties"] = {field.name: _property(field, defaulted=defaulted) for field in fields}
    if issubclass(model, Resource) and model.rules:
        schema["x-kubernetes-validations"] = [
            {"rule": rule.cel, "message": rule.message, "fieldPath": f".{rule.fields[0]}"} for rule in model.rules
        ]
    return schema


def prose(model: type[BaseModel]) -> str:
    """The docstring of a block on one line."""
    return " ".join((model.__doc__ or "").split())


def explained(field: Declared) -> str:
    """The description of a field with its form, unit and range, which `kubectl explain` does not show otherwise."""
    shape = field.shape
    form = _FORMS.get(shape.kind, "")
    unit = "" if "Unit: " in field.description or not shape.unit else f"Unit: {shape.unit}."
    reach = f"Range: {span(shape)}." if span(shape) else ""
    return " ".join(filter(None, (field.description, form, unit, reach)))


def span(shape: Shape) -> str:
    """The range of a value in words; empty where there is none."""
    if shape.between is not None:
        return f"{shape.between.least} to {shape.between.most}"
    if shape.kind is Kind.LOSS:
        return "above 0, a share up to 100%"
    if shape.kind in _COUNTED and any(shape.length):
        least, most = (None if end is None else Decimal(end) for end in shape.length)
        return f"{Bounds(least=least, most=most)} {_COUNTED[shape.kind]}"
    return str(shape.bounds)


def _property(field: Declared, *, defaulted: bool) -> Schema:
    schema = _schema(field.shape, explained(field), first_sentence(field.description))
    if field.immutable is not None:
        message = f"{field.name} is immutable: {field.immutable.why}"
        schema.setdefault("x-kubernetes-validations", []).append({"rule": field.immutable.cel, "message": message})
    if defaulted and field.default is not None:
        schema["default"] = field.default
    return schema


def _schema(shape: Shape, description: str, about: str) -> Schema:
    """`about`: what the field is, for the messages of its rules."""
    if shape.model is not None:
        return schema_of(shape.model, description or prose(shape.model))
    schema: Schema = {"description": description} if description else {}
    schema |= _plain(shape, about)
    rules = [{"rule": rule, "message": message} for rule, message in _rules(shape, about)]
    if rules:
        schema["x-kubernetes-validations"] = rules
    return schema


def _plain(shape: Shape, about: str) -> Schema:
    """All but the rules."""
    match shape.kind:
        case Kind.DECIMAL:
            return _number_or_text(DECIMAL, LONGEST_DECIMAL)
        case Kind.LOSS:
            return _number_or_text(LOSS, LONGEST_DECIMAL + 1)
        case Kind.DURATION:
            return {"type": "string", "pattern": DURATION, "maxLength": LONGEST_DURATION}
        case Kind.INSTANT:
            return {"type": "string", "format": "date-time"}
        case Kind.INTEGER:
            return {"type": "integer", "format": "int64", **_integer_bounds(shape.bounds)}
        case Kind.BOOLEAN:
            return {"type": "boolean"}
        case Kind.TEXT:
            limits = {"pattern": shape.pattern, "minLength": shape.length[0], "maxLength": shape.length[1]}
            return {"type": "string", **{name: limit for name, limit in limits.items() if limit}}
        case Kind.CHOICE:
            return {"type": "string", "enum": list(shape.choices)}
        case Kind.LIST | Kind.MAP | Kind.OBJECT:
            return _collection(shape, about)


def _collection(shape: Shape, about: str) -> Schema:
    if shape.items is None:
        raise TypeError(f"a {shape.kind} of what?")
    inside = _schema(shape.items, "", about)
    if shape.kind is Kind.MAP:
        return {"type": "object", "additionalProperties": inside, **_counted(shape, "Properties")}
    merged = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(shape.map_keys)}
    return {
        "type": "array",
        "items": inside,
        **_counted(shape, "Items"),
        **(merged if shape.map_keys else {"x-kubernetes-list-type": "atomic"}),
    }


def _number_or_text(pattern: str, longest: int) -> Schema:
    return {
        "x-kubernetes-int-or-string": True,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": pattern,
        "maxLength": longest,
    }


def _integer_bounds(bounds: Bounds) -> dict[str, int]:
    named = {"minimum": bounds.least, "maximum": bounds.most}
    return {name: int(bound) for name, bound in named.items() if bound is not None}


def _counted(shape: Shape, what: str) -> dict[str, int]:
    least, most = shape.length
    named = {f"min{what}": least, f"max{what}": most}
    return {name: count for name, count in named.items() if count is not None}


def _rules(shape: Shape, about: str) -> Iterator[tuple[str, str]]:
    """CEL and message of what OpenAPI cannot say, `self` being the value."""
    match shape.kind:
        case Kind.DECIMAL:
            for operator, word, bound in (
                (">=", "at least", shape.bounds.least),
                (">", "greater than", shape.bounds.above),
                ("<=", "at most", shape.bounds.most),
                ("<", "less than", shape.bounds.below),
            ):
                if bound is not None:
                    yield f"double(self) {operator} {float(bound)}", _message(f"must be {word} {bound}", about)
        case Kind.LOSS:
            is_share = "string(self).endsWith('%')"
            yield (
                f"{is_share} || (size(string(self)) <= {LONGEST_DECIMAL} && double(self) > 0.0)",
                'must be greater than 0: write an amount such as "50", or a share such as "5%"',
            )
            share = "double(string(self).replace('%', ''))"
            yield (
                f"!{is_share} || ({share} > 0.0 && {share} <= 100.0)",
                'outside 0 % … 100 %: write a share such as "5%"',
            )
        case Kind.DURATION if shape.between is not None:
            yield shape.between.cel, _message(shape.between.refusal, shape.between.remedy)
        case Kind.MAP if shape.keys is not None:
            least, most = shape.keys.length
            yield (
                f"self.all(key, key.matches('{shape.keys.pattern}') && size(key) >= {least} && size(key) <= {most})",
                _message(
                    f"each key has {least} to {most} characters", PATTERNS.get(shape.keys.pattern, shape.keys.pattern)
                ),
            )
        case _:
            return


def _message(wrong: str, remedy: str) -> str:
    return f"{wrong} ({remedy})"
