"""YAML (and so JSON) of a scenario, read strictly: what a person would misread is refused, or read as he means it.

A key twice in one mapping is refused. Scalars are typed as in YAML 1.2, as everywhere in Phoenix: `10:30` and
`2024-08-08` are texts, `on` and `no` too. There is one document in a file.
"""

import re
from dataclasses import dataclass
from typing import Final

import yaml

Steps = tuple[str | int, ...]

_MERGE: Final = "tag:yaml.org,2002:merge"
_CORE: Final = {
    "bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    "int": (re.compile(r"[-+]?(?:0|[1-9][0-9]*)"), "-+0123456789"),
    "float": (
        re.compile(
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        "-+0123456789.",
    ),
    "null": (re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    "merge": (re.compile(r"<<"), "<"),
}


class TextError(ValueError):
    """What is wrong with a text, and in which line where that is known."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Text:
    """The document as plain data, and where each part of it was written."""

    document: object
    node: yaml.Node | None

    def line_of(self, steps: Steps) -> int | None:
        """Of the value at the path, or of the deepest part of it that is there."""
        node = self.node
        if node is None:
            return None
        line: int = node.start_mark.line + 1
        for step in steps:
            match node:
                case yaml.MappingNode():
                    found = next(((key, value) for key, value in node.value if key.value == step), None)
                    if found is None:
                        return line
                    line, node = found[0].start_mark.line + 1, found[1]
                case yaml.SequenceNode() if isinstance(step, int) and step < len(node.value):
                    node = node.value[step]
                    line = node.start_mark.line + 1
                case _:
                    return line
        return line


def read_text(text: str) -> Text:
    """Raises TextError."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return Text(None, None)
            _refuse_doubles(node)
            return Text(loader.construct_document(node), node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or "is no YAML"
        raise TextError(reason, mark.line + 1 if mark is not None else None) from None
    except yaml.YAMLError:
        raise TextError("is no YAML: a character that text must not have") from None
    except RecursionError:
        raise TextError("nested too deeply") from None
    except ValueError as error:
        # A scalar that is tagged as a number or a date and is none, or has more digits than can be read.
        if isinstance(error, TextError):
            raise
        raise TextError(f"a value that cannot be read: {error}") from None


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML copies it on write


for _name, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern.pattern})$"), list(_first))


def _refuse_doubles(root: yaml.Node) -> None:
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        inner: list[yaml.Node] = []
        match node:
            case yaml.MappingNode():
                _refuse_doubles_in(node)
                inner = [part for pair in node.value for part in pair]
            case yaml.SequenceNode():
                inner = node.value
        # What an anchor repeats is looked at once.
        fresh = [part for part in inner if id(part) not in seen]
        seen.update(map(id, fresh))
        waiting += fresh


def _refuse_doubles_in(node: yaml.MappingNode) -> None:
    keys: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            continue
        if key.value in keys:
            raise TextError(f'the key "{key.value[:60]}" is here twice: keep one of them', key.start_mark.line + 1)
        keys.add(key.value)
