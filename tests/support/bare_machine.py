"""A machine on which a `requirements/bring-…` script runs: few tools, and a network that has only what it is given."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
SCRIPT = b"#!/bin/sh\n"
TOOLS = ("sh", "grep", "tar", "gzip", "mkdir", "rm", "mv", "dirname")


def make_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def archive_of(programs: Iterable[str]) -> bytes:
    """By their paths in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in programs:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(SCRIPT)
            archive.addfile(entry, io.BytesIO(SCRIPT))
    return buffer.getvalue()


class BareMachine:
    """A Linux of which only a few tools are there, and a copy of the script. `checksums`: its list, beside the script,
    whose ending names the algorithm, and in which only `archive` stands. `tools`: further ones.
    """

    def __init__(self, directory: Path, script: str, checksums: str, archive: str, tools: Iterable[str] = ()) -> None:
        self.venv, self.tools, self.requirements = (directory / name for name in ("venv", "tools", "requirements"))
        self.fetched = directory / "fetched"
        """The addresses that were asked for."""
        self._offered = directory / "offered"
        self._script, self._archive = self.requirements / script, archive
        self._checksums = self.requirements / checksums
        self.venv.joinpath("bin").mkdir(parents=True)
        self.venv.joinpath("bin/python").symlink_to(sys.executable)
        self.tools.mkdir()
        for tool in (*TOOLS, *tools):
            found = shutil.which(tool)
            assert found, tool
            (self.tools / tool).symlink_to(found)
        make_program(self.tools / "uname", '[ "$1" = -s ] && echo Linux || echo x86_64')
        self._checksums.parent.mkdir(parents=True)
        for name in (script, "fetch"):
            shutil.copy(REQUIREMENTS / name, self.requirements)

    def expect(self, content: bytes) -> None:
        digest = hashlib.new(self._checksums.suffix[1:], content).hexdigest()
        self._checksums.write_text(f"{digest}  {self._archive}\n")

    def offer(self, content: bytes) -> None:
        """The network has it."""
        self._offered.write_bytes(content)
        make_program(
            self.tools / "curl",
            f"""while [ "$1" != --output ]; do shift; done
            echo "$3" >>{self.fetched}; exec /bin/cat {self._offered} >"$2\"""",
        )

    def bring(self, *words: str, path: Iterable[Path] = (), **environment: str) -> tuple[int, str]:
        """Status, and what it said. `path`: where programs are besides."""
        command = [str(self.tools / "sh"), str(self._script), str(self.venv), *words]
        given = {"PATH": ":".join(map(str, (self.tools, *path))), **environment}
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def brought(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.venv / folder).glob("*"))
