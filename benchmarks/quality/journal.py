"""What has been run is kept as it comes: a report that was interrupted, or killed, goes on where it stopped.

One line of JSON for each unit. The file is named by what its runs depend on, parameters and source, so that nothing is
ever taken for a run of something else; what no longer holds lies beside it until somebody empties the folder.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import msgspec
import phoenix_cli.rehearsal
import phoenix_coordination
import phoenix_simulator.exchange
import phoenix_simulator.market
import phoenix_worker.core

from quality import closed_forms, contenders, rivals, study, tape
from quality.study import Done, Study, Unit

_PACKAGES = (
    phoenix_worker.core,
    phoenix_coordination,
    phoenix_simulator.exchange,
    phoenix_simulator.market,
    phoenix_cli.rehearsal,
)
_MODULES = (closed_forms, contenders, rivals, study, tape)
_DIGITS = 12


class Journal:
    """Of one study, in `folder`."""

    def __init__(self, folder: Path, of: Study) -> None:
        self._path = folder / f"runs-{_name(of)}.jsonl"

    def read(self, asked: Iterable[Unit]) -> list[Done]:
        """What is kept of these; a line that a killed process left unfinished is none."""
        kept = {}
        if self._path.exists():
            for line in self._path.read_bytes().splitlines():
                try:
                    done = msgspec.json.decode(line, type=Done)
                except msgspec.DecodeError:
                    continue
                kept[done.unit] = done
        return [kept[unit] for unit in asked if unit in kept]

    def write(self, done: Done) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            # The line begins with its own end of the one before: that one may have been cut.
            file.write(b"\n" + msgspec.json.encode(done))


def _name(of: Study) -> str:
    digest = hashlib.sha256(msgspec.json.encode(of))
    for path in _sources():
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:_DIGITS]


def _sources() -> list[Path]:
    packages = [path for package in _PACKAGES for path in sorted(Path(_file(package)).parent.rglob("*.py"))]
    return packages + [Path(_file(module)) for module in _MODULES]


def _file(module: ModuleType) -> str:
    assert module.__file__ is not None
    return module.__file__
