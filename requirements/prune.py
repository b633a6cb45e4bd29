#!/usr/bin/env python3
"""`prune.py SITE-PACKAGES`: takes out what none of our programs imports, which would be more than half of the image.

Part of the image's build, so it needs nothing but Python. What is left says so: RECORD lists no file that is not there,
and PRUNED beside it names what was taken out, which the image's list (sbom.py) repeats.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PRUNED: Mapping[str, Sequence[str]] = {
    # Its clients are generated: a module for each kind and each group of the API, twice, loaded where somebody asks for
    # it by name. We send JSON as it is; of this package we want what reads kubeconfigs and service accounts.
    "kubernetes": (
        "kubernetes/client/api/[!_]*.py",
        "kubernetes/client/models/[!_]*.py",
        "kubernetes/aio/client/api/[!_]*.py",
        "kubernetes/aio/client/models/[!_]*.py",
        "kubernetes/**/*_test.py",
    ),
    # rich colours source code with it, and we show none.
    "pygments": ("pygments/lexers/[!_]*.py", "pygments/lexers/_*_builtins.py"),
}
"""By distribution, as its metadata's directory spells it: globs of files. Each must find something: else what it meant
has moved, and would be back unseen."""


class PruneError(Exception):
    """What is there is not what is known of it."""


def prune(site_packages: Path, pruned: Mapping[str, Sequence[str]]) -> None:
    for name, patterns in pruned.items():
        info = list(site_packages.glob(f"{name}-*.dist-info"))
        if len(info) != 1:
            raise PruneError(f"{name} is not installed in {site_packages}: take it off the list")
        gone = set(found(site_packages, name, patterns))
        for each in gone:
            each.unlink()
        record(info[0], gone, patterns)


def found(site_packages: Path, name: str, patterns: Sequence[str]) -> Iterator[Path]:
    for pattern in patterns:
        files = list(site_packages.glob(pattern))
        if not files:
            raise PruneError(f"{name} has no {pattern}: look where that has gone, or take it off the list")
        yield from files


def record(info: Path, gone: set[Path], patterns: Sequence[str]) -> None:
    installed = info / "RECORD"
    lines = installed.read_text(encoding="utf-8").splitlines(keepends=True)
    left = [line for line in lines if info.parent / line.partition(",")[0] not in gone]
    (info / "PRUNED").write_text("".join(f"{pattern}\n" for pattern in patterns), encoding="utf-8")
    installed.write_text("".join([*left, f"{info.name}/PRUNED,,\n"]), encoding="utf-8")


def main(words: Sequence[str]) -> int:
    if len(words) != 1:
        sys.stderr.write("usage: prune.py SITE-PACKAGES\n")
        return 2
    try:
        prune(Path(words[0]), PRUNED)
    except PruneError as error:
        sys.stderr.write(f"prune: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
