"""What runs here: the version and a hash of the worker's own source, so that a recording names its code."""

import functools
import hashlib
from importlib import metadata
from pathlib import Path

import phoenix_coordination

import phoenix_worker

DISTRIBUTION = "phoenix-market-maker"


@functools.cache
def build() -> str:
    """`<version>+<12 hex digits>`; the digits change with any line of the worker or of what it shares."""
    return f"{_version()}+{_source_hash()[:12]}"


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:  # run from a checkout that was never installed
        return "0"


def _source_hash() -> str:
    digest = hashlib.sha256()
    for package in (phoenix_worker, phoenix_coordination):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
