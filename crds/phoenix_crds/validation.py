"""From pydantic's verdict to problems: the field as written, the line, what is wrong, what to do."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from phoenix_crds.documents import Document, Path
from phoenix_crds.fields import first_sentence
from phoenix_crds.problems import Problem
from phoenix_crds.rules import RULE_ERROR
from phoenix_crds.values import DNS_LABEL, DNS_SUBDOMAIN

Model = TypeVar("Model", bound=BaseModel)

# Of a pattern, what somebody is to write; by the pattern, for the messages here and of the API server.
PATTERNS = {
    DNS_LABEL: "only lower-case letters, digits and -, beginning and ending with a letter or digit",
    DNS_SUBDOMAIN: "only lower-case letters, digits, - and ., beginning and ending with a letter or digit",
    r"^[A-Z0-9]+$": "write the symbol as the exchange does, capitals and digits only: BTCUSDT",
}


def validate(model: type[Model], document: Document) -> tuple[Model | None, list[Problem]]:
    """The model that the document describes, or every problem with it in the order of the file."""
    try:
        return model.model_validate(document.value), []
    except ValidationError as error:
        details = error.errors()
        found = [
            problem
            for detail in details
            if not _follows_from_another(detail, details)
            for problem in _problems(model, document, detail)
        ]
    return None, sorted(found, key=lambda problem: problem.line)


def _follows_from_another(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Items that are wrong are not counted by pydantic, so their list seems too short: that is no second mistake."""
    loc = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in details
    )


def _problems(model: type[BaseModel], document: Document, detail: ErrorDetails) -> Iterator[Problem]:
    path: Path = tuple(detail["loc"])
    context: Mapping[str, Any] = detail.get("ctx", {})
    if detail["type"] == RULE_ERROR:
        for fields, message in context["broken"]:
            # The first of the fields that stands in the file, so that the name and the line are of one place.
            named = [_split(path, name) for name in fields]
            blamed = next((at for at in named if at in document.lines), None)
            line = document.line(path if blamed is None else blamed)
            yield Problem(document.file, line, dotted(named[0] if blamed is None else blamed), message)
        return
    message, hint = _describe(model, path, detail, context)
    line = document.line(path)
    yield Problem(document.file, line, dotted(path), message, hint)


def _split(path: Path, name: str) -> Path:
    return (*path, *name.split("."))


def dotted(path: Path) -> str:
    """`("spec", "ramp", "stages", 0)` → `spec.ramp.stages[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


# By pydantic's kind of error: what is wrong and what to do, over its context and `about`, the field's first sentence.
_TEXTS: dict[str, tuple[str, str]] = {
    "missing": ("is required", "{about}"),
    "greater_than": ("must be greater than {gt}", "{about}"),
    "greater_than_equal": ("must be at least {ge}", "{about}"),
    "less_than": ("must be less than {lt}", "{about}"),
    "less_than_equal": ("must be at most {le}", "{about}"),
    "enum": ("must be one of {expected}", "{about}"),
    "literal_error": ("must be {expected}", "{about}"),
    "string_too_long": ("is longer than {max_length} characters", "{about}"),
    "string_too_short": ("must have at least {min_length} characters", "{about}"),
    "too_long": ("must have at most {max_length} items", "{about}"),
    "too_short": ("must have at least {min_length} items", "{about}"),
    "string_type": ("must be text", "put it in quotes"),
    "int_type": ("must be an integer", "write it without quotes and without a decimal point"),
    "bool_type": ("must be true or false", "write one of the two, without quotes"),
    "model_type": ("must be a mapping of fields", "{about}"),
    "dict_type": ("must be a mapping", "{about}"),
    "tuple_type": ("must be a list", "{about}"),
}


def _describe(model: type[BaseModel], path: Path, detail: ErrorDetails, context: Mapping[str, Any]) -> tuple[str, str]:
    if detail["type"] == "extra_forbidden":
        return _unknown(model, path)
    if "message" in context and "hint" in context:
        return str(context["message"]), str(context["hint"])
    info = field_at(model, path)
    about = first_sentence(info.description or "") if info else ""
    if detail["type"] == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return "is not written as required", PATTERNS.get(pattern, f"it must match {pattern}")
    message, hint = _TEXTS.get(detail["type"], (detail["msg"].replace("{", "{{").replace("}", "}}"), "{about}"))
    words = {**context, "about": about, "expected": str(context.get("expected", "")).replace("'", "")}
    return message.format_map(words), hint.format_map(words)


def _unknown(model: type[BaseModel], path: Path) -> tuple[str, str]:
    known = sorted(info.alias or name for name, info in _model_at(model, path[:-1]).model_fields.items())
    name = str(path[-1])
    folded = {other.lower(): other for other in known}
    begun = [other for other in folded if other.startswith(name.lower())]  # `pin` for `pinRatio`
    close = begun or get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    if close:
        return "unknown field", f"did you mean {folded[close[0]]}?"
    return "unknown field", f"known here: {', '.join(known)}"


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    for step in path:
        if isinstance(step, int):
            continue
        found = next((info for name, info in model.model_fields.items() if (info.alias or name) == step), None)
        if found is None:
            break
        model = next(_models_in(found.annotation), model)
    return model


def field_at(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The declaration of a field by its path as written; None where there is none (a key of a map, a misspelling)."""
    if not path or isinstance(path[-1], int):
        return None
    fields = _model_at(model, path[:-1]).model_fields
    return next((info for name, info in fields.items() if (info.alias or name) == path[-1]), None)
