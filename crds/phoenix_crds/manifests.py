"""Manifests as people keep them: files and directories, several documents a file, `kind: List`, foreign kinds."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from phoenix_crds.account import TradingAccount
from phoenix_crds.documents import Document, read_documents
from phoenix_crds.maker import MarketMaker
from phoenix_crds.metadata import API_VERSION
from phoenix_crds.problems import Problem, Severity
from phoenix_crds.validation import validate

MANIFEST_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
STDIN = "-"
STDIN_NAME = "(standard input)"
"""What standard input is called where a file would be named."""
_KINDS: dict[str, type[MarketMaker] | type[TradingAccount]] = {
    "MarketMaker": MarketMaker,
    "TradingAccount": TradingAccount,
}
_GROUP = API_VERSION.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A valid resource and where it was written."""

    resource: MarketMaker | TradingAccount
    document: Document

    @property
    def file(self) -> str:
        return self.document.file

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, namespace (empty: kubectl's present one) and name: one object of the API server."""
        meta = self.resource.metadata
        return self.resource.kind, meta.namespace or "", meta.name

    def line(self, dotted_field: str = "") -> int:
        """The line of a field such as `spec.netMax`, or of the nearest parent that was written."""
        return self.document.line(tuple(dotted_field.split(".")) if dotted_field else ())

    def problem(self, dotted_field: str, message: str, hint: str = "", severity: Severity = Severity.ERROR) -> Problem:
        return Problem(self.file, self.line(dotted_field), dotted_field, message, hint, severity)


@dataclass(slots=True)
class Loaded:
    """What lay in the files. `others`: documents of our group that are no resource of the API server (scenarios)."""

    manifests: list[Manifest] = field(default_factory=list)
    others: list[Document] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def makers(self) -> list[tuple[Manifest, MarketMaker]]:
        return [(m, m.resource) for m in self.manifests if isinstance(m.resource, MarketMaker)]

    @property
    def accounts(self) -> list[tuple[Manifest, TradingAccount]]:
        return [(m, m.resource) for m in self.manifests if isinstance(m.resource, TradingAccount)]


def load_manifests(paths: Iterable[str | Path]) -> Loaded:
    """Reads files, directories (with what lies below) and `-` (standard input). Mistakes become `problems`."""
    loaded = Loaded()
    for path in paths:
        for file, content in _contents(path, loaded):
            documents, problems = read_documents(file, content)
            loaded.problems += problems
            if not documents and not problems:
                loaded.problems.append(Problem(file, 0, "", "no document in this file", "remove the file, or fill it"))
            for document in documents:
                _sort_in(document, loaded)
    return loaded


def _contents(path: str | Path, loaded: Loaded) -> Iterator[tuple[str, bytes]]:
    if str(path) == STDIN:
        yield STDIN_NAME, sys.stdin.buffer.read()
        return
    found = Path(path)
    files = [found]
    if found.is_dir():
        files = sorted(file for file in found.rglob("*") if file.suffix in MANIFEST_SUFFIXES and file.is_file())
        if not files:
            hint = f"name a directory that holds {', '.join(sorted(MANIFEST_SUFFIXES))} files"
            loaded.problems.append(Problem(str(path), 0, "", "no manifest in this directory", hint))
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            loaded.problems.append(Problem(str(file), 0, "", f"cannot be read: {reason}", "check the path"))
        except ValueError:
            loaded.problems.append(Problem(repr(str(file)), 0, "", "is no file name", "check the path"))
        else:
            yield str(file), content


def _sort_in(document: Document, loaded: Loaded) -> None:
    value = document.value
    if not isinstance(value, dict):
        problem = Problem(document.file, document.line(()), "", "is no object with apiVersion and kind", "see configs/")
        loaded.problems.append(problem)
        return
    api_version, kind = value.get("apiVersion"), value.get("kind")
    for name, given in (("apiVersion", api_version), ("kind", kind)):
        if not isinstance(given, str):
            line = document.line((name,))
            loaded.problems.append(
                Problem(document.file, line, name, "is required", f"ours: {API_VERSION}, MarketMaker")
            )
            return
    if str(kind).endswith("List") and isinstance(value.get("items"), list):
        for index in range(len(value["items"])):
            _sort_in(document.at(("items", index)), loaded)
        return
    if str(api_version).partition("/")[0] != _GROUP:
        loaded.problems.append(_foreign(document, f"{kind} of {api_version} is not ours and was not checked"))
        return
    if api_version != API_VERSION:
        line, message = document.line(("apiVersion",)), f'"{api_version}" is not served'
        loaded.problems.append(Problem(document.file, line, "apiVersion", message, f"write {API_VERSION}"))
        return
    model = _KINDS.get(str(kind))
    if model is None:
        loaded.others.append(document)
        return
    resource, problems = validate(model, document)
    loaded.problems += problems
    if resource is not None:
        loaded.manifests.append(Manifest(resource, document))


def _foreign(document: Document, message: str) -> Problem:
    return Problem(document.file, document.line(("kind",)), "kind", message, "", Severity.WARNING)
