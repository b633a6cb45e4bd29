"""Resolved parameters: what a worker is started with and told anew, `maker.yaml` and `account.yaml` in one directory.

In a cluster the directory is a mounted ConfigMap; locally it is written here the way the kubelet does it, behind one
symbolic link, so that a reader never sees a new maker beside an old account.
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TypeVar

import yaml

from phoenix_crds.account import TradingAccount, TradingAccountSpec
from phoenix_crds.consistency import conflicts
from phoenix_crds.documents import read_documents
from phoenix_crds.maker import MarketMaker, MarketMakerSpec
from phoenix_crds.problems import InvalidResourceError, Problem
from phoenix_crds.rules import Resource
from phoenix_crds.validation import validate

MAKER_FILE = "maker.yaml"
ACCOUNT_FILE = "account.yaml"
_DATA_LINK = "..data"  # the kubelet's own name for it

Model = TypeVar("Model", MarketMaker, TradingAccount)


def resolved_hash(maker_spec: MarketMakerSpec, account_spec: TradingAccountSpec) -> str:
    """Digest of both defaulted specs, 16 hex digits; the same for `0.70` and `0.7`, for `60s` and `1m`."""
    both = {"maker": _written(maker_spec), "account": _written(account_spec)}
    canonical = json.dumps(both, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def manifest_yaml(resource: MarketMaker | TradingAccount) -> str:
    """The resource as a manifest, every default written out."""
    return yaml.safe_dump(_written(resource), sort_keys=False, allow_unicode=True)


def _written(resource: Resource) -> dict[str, object]:
    return resource.model_dump(mode="json", by_alias=True, exclude_none=True)


def write_resolved(directory: Path, maker: MarketMaker, account: TradingAccount) -> str:
    """Writes both files, visible together and at once, and returns their hash. Raises OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    version = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    for name, resource in ((MAKER_FILE, maker), (ACCOUNT_FILE, account)):
        (version / name).write_text(manifest_yaml(resource), encoding="utf-8")
    link = directory / _DATA_LINK
    previous = link.readlink() if link.is_symlink() else None
    _link(version.name, link)
    for name in (MAKER_FILE, ACCOUNT_FILE):
        if not (directory / name).is_symlink():
            _link(f"{_DATA_LINK}/{name}", directory / name)
    if previous is not None:
        shutil.rmtree(directory / previous)
    return resolved_hash(maker.spec, account.spec)


def _link(target: str, link: Path) -> None:
    """Points `link` at `target` in one step, whatever it was before."""
    fresh = link.with_name(f"{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def read_maker(path: Path) -> MarketMaker:
    """The maker of a resolved file, or of any manifest that holds one; InvalidResourceError says why not."""
    return _read(path, MarketMaker)


def read_account(path: Path) -> TradingAccount:
    """The account of a resolved file, as `read_maker`."""
    return _read(path, TradingAccount)


def read_resolved(maker_file: Path, account_file: Path) -> tuple[MarketMaker, TradingAccount]:
    """Both, and that the account admits the maker; InvalidResourceError otherwise, with every reason."""
    maker, account = read_maker(maker_file), read_account(account_file)
    found = tuple(
        Problem(str(maker_file), 0, f"spec.{conflict.field}", conflict.message, conflict.hint)
        for conflict in conflicts(maker.spec, account.spec)
    )
    if found:
        raise InvalidResourceError(found)
    return maker, account


def _read(path: Path, model: type[Model]) -> Model:
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidResourceError(
            (Problem(str(path), 0, "", f"cannot be read: {reason}", "check the path"),)
        ) from None
    documents, problems = read_documents(str(path), content)
    if not problems and len(documents) != 1:
        problems = [
            Problem(str(path), 0, "", f"holds {len(documents)} documents", f"one {model.__name__} belongs here")
        ]
    if not problems:
        resource, problems = validate(model, documents[0])
        if resource is not None:
            return resource
    raise InvalidResourceError(tuple(problems))
