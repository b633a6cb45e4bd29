"""Files that others replace while we run: told apart by what `stat` says of what their paths lead to.

Mounted volumes (ConfigMap, Secret) change by a symbolic link that is swapped, plain files by being rewritten; both
show.
"""

import os
from collections.abc import Iterable
from pathlib import Path

Look = tuple[tuple[int, ...] | None, ...]


def look(paths: Iterable[Path]) -> Look:
    """Identity, size and time of each file; `None` where there is none (it may come back). Equal looks: no change."""
    return tuple(_state_of(path) for path in paths)


def _state_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - several times a second: Path.stat costs twice as much
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
