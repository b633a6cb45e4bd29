"""What a model declares of each field, read once: the schema of the API server and the reference are written from it.

A declaration is the Python type with its annotations (bounds, unit, pattern), the default, and the string below it.
"""

import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from phoenix_crds.values import Between, Duration, Immutable, Instant, LossLimit, MapKeys, Unit, canonical_decimal


class Kind(StrEnum):
    """How a value is written."""

    DECIMAL = "decimal"
    LOSS = "loss"
    DURATION = "duration"
    INSTANT = "time"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    CHOICE = "choice"
    OBJECT = "object"
    LIST = "list"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a number; exclusive ones beside inclusive ones, None where there is none."""

    least: Decimal | None = None
    above: Decimal | None = None
    most: Decimal | None = None
    below: Decimal | None = None

    def __str__(self) -> str:
        """`0 to 1000`, `above 0, below 2`; empty where there is no bound."""
        if self.least is not None and self.most is not None:
            return f"{self.least} to {self.most}"
        named = (("at least", self.least), ("above", self.above), ("at most", self.most), ("below", self.below))
        return ", ".join(f"{word} {bound}" for word, bound in named if bound is not None)


@dataclass(frozen=True, slots=True)
class Shape:
    """A type with its bounds. `length`: of a text, or number of items; `items` and `keys` of a list or map."""

    kind: Kind
    bounds: Bounds = Bounds()
    between: Between | None = None
    unit: str = ""
    pattern: str = ""
    length: tuple[int | None, int | None] = (None, None)
    choices: tuple[str, ...] = ()
    model: type[BaseModel] | None = None
    items: "Shape | None" = None
    keys: "Shape | None" = None
    map_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Declared:
    """One field as it is written. `default`: as in YAML; None: none."""

    name: str
    shape: Shape
    required: bool
    default: Any
    description: str
    immutable: Immutable | None = field(default=None)


def declared(model: type[BaseModel]) -> Iterator[Declared]:
    """Every field of a model, its own before the inherited. TypeError for a type that no resource may have."""
    own = model.__annotations__
    for name, info in sorted(model.model_fields.items(), key=lambda item: item[0] not in own):
        marks = tuple(_flat(info.metadata))
        yield Declared(
            name=info.alias or name,
            shape=_shape(info.annotation, marks),
            required=info.is_required(),
            default=_default(info),
            description=" ".join((info.description or "").split()),
            immutable=next((mark for mark in marks if isinstance(mark, Immutable)), None),
        )


def first_sentence(text: str) -> str:
    """What a field is, without the reasons that follow."""
    return " ".join(text.split()).split(". ")[0].rstrip(".")


def _default(info: FieldInfo) -> Any:  # noqa: ANN401 - whatever YAML can hold
    value = info.get_default(call_default_factory=True, validated_data={})
    match value:
        case None | () | {}:
            return None
        case _ if value is PydanticUndefined:
            return None
        case Decimal():
            return canonical_decimal(value)
        case BaseModel():
            # In full: the server holds a default to the block's rules before it fills in what is missing there.
            return value.model_dump(mode="json", by_alias=True, exclude_none=True)
        case Duration() | LossLimit() | Instant() | StrEnum():
            return str(value)
        case _:
            return value


def _flat(metadata: Any) -> Iterator[Any]:  # noqa: ANN401 - anything may be a mark
    """Marks without their wrappers: `Field(gt=0)` inside an Annotated carries its own list."""
    for mark in metadata:
        if isinstance(mark, FieldInfo):
            yield from _flat(mark.metadata)
        else:
            yield mark


def _shape(annotation: object, marks: tuple[Any, ...]) -> Shape:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0], (*_flat(arguments[1:]), *marks))
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in arguments if each is not type(None))
        return _shape(inner, marks)
    if origin is Literal:
        return Shape(Kind.CHOICE, choices=arguments)
    if origin is dict:
        return Shape(Kind.MAP, length=_length(marks), keys=_shape(arguments[0], ()), items=_shape(arguments[1], ()))
    if origin is tuple:
        keys = next((mark.keys for mark in marks if isinstance(mark, MapKeys)), ())
        return Shape(Kind.LIST, length=_length(marks), items=_shape(arguments[0], ()), map_keys=keys)
    return _scalar(annotation, marks)


_PLAIN: dict[type, Kind] = {bool: Kind.BOOLEAN, LossLimit: Kind.LOSS, Instant: Kind.INSTANT}


def _scalar(annotation: object, marks: tuple[Any, ...]) -> Shape:
    if not isinstance(annotation, type):
        raise TypeError(f"{annotation} is no type of a resource's field")
    unit = next((mark.name for mark in marks if isinstance(mark, Unit)), "")
    if issubclass(annotation, BaseModel):
        return Shape(Kind.OBJECT, model=annotation)
    if issubclass(annotation, StrEnum):
        return Shape(Kind.CHOICE, choices=tuple(str(each.value) for each in annotation))
    if annotation in _PLAIN:
        return Shape(_PLAIN[annotation])
    if annotation is int:
        return Shape(Kind.INTEGER, bounds=_bounds(marks))
    if annotation is Decimal:
        return Shape(Kind.DECIMAL, bounds=_bounds(marks), unit=unit)
    if annotation is Duration:
        between = next((mark for mark in marks if isinstance(mark, Between)), None)
        return Shape(Kind.DURATION, between=between)
    if annotation is str:
        limits = next((mark for mark in marks if isinstance(mark, StringConstraints)), StringConstraints())
        return Shape(
            Kind.TEXT, pattern=str(limits.pattern or ""), length=(limits.min_length or None, limits.max_length)
        )
    raise TypeError(f"{annotation} is no type of a resource's field")


def _bounds(marks: tuple[Any, ...]) -> Bounds:
    bounds: dict[str, Decimal] = {}
    for mark in marks:
        match mark:
            case Ge():
                bounds["least"] = Decimal(str(mark.ge))
            case Gt():
                bounds["above"] = Decimal(str(mark.gt))
            case Le():
                bounds["most"] = Decimal(str(mark.le))
            case Lt():
                bounds["below"] = Decimal(str(mark.lt))
    return Bounds(**bounds)


def _length(marks: tuple[Any, ...]) -> tuple[int | None, int | None]:
    least = next((mark.min_length for mark in marks if isinstance(mark, MinLen)), None)
    most = next((mark.max_length for mark in marks if isinstance(mark, MaxLen)), None)
    return least, most
