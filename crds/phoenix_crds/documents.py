"""YAML as people write it for kubectl, with the line of every field.

Reading goes over PyYAML's nodes, which know their lines. Scalars are typed as kubectl types them where it matters:
dates and sexagesimal numbers stay strings, a key twice in one mapping is refused. Hostile files (anchors that multiply,
endless nesting, huge numbers) end in a `Problem` like any other mistake.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml

from phoenix_crds.problems import Problem

Path = tuple[str | int, ...]

_LARGEST_FILE_BYTES = 3 * 1024 * 1024  # the API server takes no larger request
_MOST_NODES = 50_000  # after following aliases
_DEEPEST = 50

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with the scalars of YAML 1.2's core schema, which are those that kubectl's users mean."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML copies it on write


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])


if TYPE_CHECKING:
    _SafeDumper = yaml.SafeDumper
else:  # a sixth of the time where PyYAML has libyaml (its wheels have): a thousand makers are written in one second
    _SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Tags(yaml.resolver.Resolver):
    """What PyYAML's readers or ours would take a plain scalar for."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {  # noqa: RUF012 - as above
        first: [
            *yaml.SafeDumper.yaml_implicit_resolvers.get(first, []),
            *_Loader.yaml_implicit_resolvers.get(first, []),
        ]
        for first in {*yaml.SafeDumper.yaml_implicit_resolvers, *_Loader.yaml_implicit_resolvers}
    }


_tag: Callable[[type[yaml.Node], Any, Any], str] = _Tags().resolve  # PyYAML leaves it untyped


@lru_cache(maxsize=4096)
def _tag_of_scalar(text: str, implicit: tuple[bool, bool]) -> str:
    """Asked twice for each scalar that is written; most are names and defaults, ever the same."""
    return _tag(yaml.ScalarNode, text, implicit)


class _Dumper(_SafeDumper):
    """Quotes what would be taken for something else than text (`1e3`); no anchors."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:  # noqa: ANN401 - PyYAML's signature
        return _tag_of_scalar(value, implicit) if kind is yaml.ScalarNode else _tag(kind, value, implicit)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def write_document(value: object) -> str:
    """Plain data as a document that `read_documents` reads as it was."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


@dataclass(slots=True)
class Document:
    """One document: its value as plain data, and the line (from 1) of every path in it."""

    file: str
    value: object
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest parent that was written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def at(self, path: Path) -> "Document":
        """The part below `path` as a document of its own (an item of a List)."""
        value = self.value
        for step in path:
            value = value[step]  # type: ignore[index]  # the caller walked this way
        inner = {key[len(path) :]: line for key, line in self.lines.items() if key[: len(path)] == path}
        return Document(self.file, value, inner)


class _RefusedError(Exception):
    def __init__(self, node: yaml.Node | None, message: str, hint: str) -> None:
        super().__init__(message)
        self.line = node.start_mark.line + 1 if node is not None else 0
        self.message, self.hint = message, hint


def read_documents(file: str, content: bytes) -> tuple[list[Document], list[Problem]]:
    """Every document of a YAML (or JSON) file that is not empty. Stops at the first thing that is no YAML."""
    documents: list[Document] = []
    if len(content) > _LARGEST_FILE_BYTES:
        return [], [Problem(file, 0, "", "the file is larger than 3 MiB, which the API server refuses", "split it")]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        return [], [Problem(file, line, "", "not UTF-8 text", "save the file as UTF-8")]
    try:
        for node in _compose(text):
            reader = _Reader()
            value = reader.read(node, (), ())
            if value is not None:
                documents.append(Document(file, value, reader.lines))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        problem = Problem(file, mark.line + 1 if mark else 0, "", f"not YAML: {what}", _yaml_hint(what))
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        problem = Problem(
            file, line, "", "not YAML: a character that text must not have", "remove the control character"
        )
    except RecursionError:
        problem = Problem(file, 0, "", "nested too deeply", f"at most {_DEEPEST} levels are read")
    except _RefusedError as refused:
        problem = Problem(file, refused.line, "", refused.message, refused.hint)
    else:
        return documents, []
    return documents, [problem]


def _yaml_hint(what: str) -> str:
    if "\\t" in what:
        return "indent with spaces: YAML allows no tabs"
    if "mapping values are not allowed" in what or "could not find expected ':'" in what:
        return "check the indentation and the colon; quote a text that contains one"
    return "check indentation, quotes and brackets from here upwards"


def _compose(text: str) -> Iterator[yaml.Node]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield node
    finally:
        loader.dispose()


class _Reader:
    """Builds plain data from nodes and notes where each path was written."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self._nodes = 0

    def read(self, node: yaml.Node, path: Path, above: tuple[int, ...]) -> object:
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise _RefusedError(
                node, "the document is too large once its anchors are followed", "write it without anchors"
            )
        if len(above) > _DEEPEST or id(node) in above:
            raise _RefusedError(node, "nested too deeply", f"at most {_DEEPEST} levels are read")
        self.lines.setdefault(path, node.start_mark.line + 1)
        inside = (*above, id(node))
        match node:
            case yaml.ScalarNode():
                return _scalar(node)
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return [self.read(item, (*path, index), inside) for index, item in enumerate(node.value)]
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return self._mapping(node, path, inside)
            case _:
                raise _RefusedError(node, f"the tag {node.tag[:60]} is not plain YAML", "write the value without a tag")

    def _mapping(self, node: yaml.MappingNode, path: Path, inside: tuple[int, ...]) -> dict[str, object]:
        merged: dict[str, object] = {}
        own: dict[str, object] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                for base in value_node.value if isinstance(value_node, yaml.SequenceNode) else (value_node,):
                    if not isinstance(base, yaml.MappingNode):
                        raise _RefusedError(base, "<< merges mappings only", "point it at a mapping")
                    inherited = self.read(base, path, inside)
                    if isinstance(inherited, dict):
                        merged = inherited | merged
                continue
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                raise _RefusedError(key_node, "a key that is no text", "put the key in quotes")
            key = key_node.value
            if key in own:
                raise _RefusedError(key_node, f'the key "{key[:60]}" is here twice', "keep one of them")
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            own[key] = self.read(value_node, (*path, key), inside)
        return merged | own


def _scalar(node: yaml.ScalarNode) -> object:
    text: str = node.value
    match node.tag.removeprefix("tag:yaml.org,2002:"):
        case "null":
            return None
        case "bool" if text in _BOOLEANS:
            return _BOOLEANS[text]
        case "int" if len(text) <= 40 and _INT.fullmatch(text):
            return int(text)
        case "int" | "float":
            try:
                return float(text.replace(".inf", "inf").replace(".nan", "nan"))
            except ValueError:
                raise _RefusedError(node, f'"{text[:40]}" is not a number', "put it in quotes") from None
        case "str":
            return text
        case _:
            raise _RefusedError(node, f"the tag {node.tag[:60]} is not plain YAML", "write the value without a tag")
