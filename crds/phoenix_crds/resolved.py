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

from phoenix_crds.account import TradingAccount, TradingAccountSpec
from phoenix_crds.consistency import conflicts
from phoenix_crds.documents import read_documents, write_document
from phoenix_crds.maker import MarketMaker, MarketMakerSpec
from phoenix_crds.problems import InvalidResourceError, Problem
from phoenix_crds.rules import Resource
from phoenix_crds.validation import validate

MAKER_FILE = "maker.yaml"
ACCOUNT_FILE = "account.yaml"
_DATA_LINK = "..data"  # the kubelet's own name for it

_READS = 5  # of a directory that somebody rewrites at the same moment; each takes well under a millisecond

Model = TypeVar("Model", MarketMaker, TradingAccount)


def resolved_hash(maker_spec: MarketMakerSpec, account_spec: TradingAccountSpec) -> str:
    """Digest of both defaulted specs, 16 hex digits; the same for `0.70` and `0.7`, for `60s` and `1m`."""
    both = {"maker": _written(maker_spec), "account": _written(account_spec)}
    canonical = json.dumps(both, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def manifest_yaml(resource: MarketMaker | TradingAccount) -> str:
    """The resource as a manifest, every default written out."""
    return write_document(_written(resource))


def _written(resource: Resource) -> dict[str, object]:
    return resource.model_dump(mode="json", by_alias=True, exclude_none=True)


def write_resolved(directory: Path, maker: MarketMaker, account: TradingAccount) -> str:
    """Writes both files, visible together and at once, and returns their hash. Raises OSError.

    The version before stays until the next one, for a reader that is in the middle of it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    version = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    for name, resource in ((MAKER_FILE, maker), (ACCOUNT_FILE, account)):
        (version / name).write_text(manifest_yaml(resource), encoding="utf-8")
    link = directory / _DATA_LINK
    previous = link.readlink().name if link.is_symlink() else None
    _link(version.name, link)
    for name in (MAKER_FILE, ACCOUNT_FILE):
        if not (directory / name).is_symlink():
            _link(f"{_DATA_LINK}/{name}", directory / name)
    for old in directory.glob("..*"):
        if old.is_dir() and not old.is_symlink() and old.name not in {version.name, previous}:
            shutil.rmtree(old)
    return resolved_hash(maker.spec, account.spec)


def _link(target: str, link: Path) -> None:
    """Points `link` at `target` in one step, whatever it was before."""
    fresh = link.with_name(f"{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def read_maker(path: Path) -> MarketMaker:
    """The maker of a resolved file, or of any manifest that holds one; InvalidResourceError says why not."""
    return _parse(path, _content(path, path), MarketMaker)


def read_account(path: Path) -> TradingAccount:
    """The account of a resolved file, as `read_maker`."""
    return _parse(path, _content(path, path), TradingAccount)


def read_resolved(maker_file: Path, account_file: Path) -> tuple[MarketMaker, TradingAccount]:
    """Both of one version, and that the account admits the maker; InvalidResourceError otherwise, with every reason."""
    maker_content, account_content = _one_version(maker_file, account_file)
    maker = _parse(maker_file, maker_content, MarketMaker)
    account = _parse(account_file, account_content, TradingAccount)
    found = tuple(
        Problem(str(maker_file), 0, f"spec.{conflict.field}", conflict.message, conflict.hint)
        for conflict in conflicts(maker.spec, account.spec)
    )
    if found:
        raise InvalidResourceError(found)
    return maker, account


def _one_version(maker_file: Path, account_file: Path) -> tuple[bytes, bytes]:
    """Both contents, of one version even while their directory is rewritten: read again where it moved meanwhile."""
    for _ in range(_READS):
        maker_now, account_now = maker_file.resolve(), account_file.resolve()
        try:
            contents = _content(maker_now, maker_file), _content(account_now, account_file)
        except InvalidResourceError:
            if maker_file.resolve() == maker_now and account_file.resolve() == account_now:
                raise
            continue
        if maker_file.parent != account_file.parent or maker_now.parent == account_now.parent:
            return contents
    return _content(maker_file, maker_file), _content(account_file, account_file)


def _content(path: Path, called: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        problem = Problem(str(called), 0, "", f"cannot be read: {reason}", "check the path")
        raise InvalidResourceError((problem,)) from None


def _parse(file: Path, content: bytes, model: type[Model]) -> Model:
    documents, problems = read_documents(str(file), content)
    if not problems and len(documents) != 1:
        message = f"holds {len(documents)} documents"
        problems = [Problem(str(file), 0, "", message, f"one {model.__name__} belongs here")]
    if not problems:
        resource, problems = validate(model, documents[0])
        if resource is not None:
            return resource
    raise InvalidResourceError(tuple(problems))
