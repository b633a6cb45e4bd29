"""What brings Helm: only what is what it must be, only where none is there, and built only where that is asked for."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
TOOLS = ("sh", "grep", "tar", "gzip", "mkdir", "rm", "mv", "dirname")
ARCHIVE = "helm-v9.9.9-linux-amd64.tar.gz"


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _archive() -> bytes:
    buffer, content = io.BytesIO(), b"#!/bin/sh\n"
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        entry = tarfile.TarInfo("linux-amd64/helm")
        entry.mode, entry.size = 0o755, len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class Machine:
    """A Linux of which only a few tools are there, and a copy of the script."""

    def __init__(self, directory: Path) -> None:
        self.venv, self.tools, self.requirements = (directory / name for name in ("venv", "tools", "requirements"))
        self.venv.joinpath("bin").mkdir(parents=True)
        self.venv.joinpath("bin/python").symlink_to(sys.executable)
        self.tools.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.tools / tool).symlink_to(found)
        _program(self.tools / "uname", '[ "$1" = -s ] && echo Linux || echo x86_64')
        (self.requirements / "helm").mkdir(parents=True)
        shutil.copy(REQUIREMENTS / "bring-helm", self.requirements)
        self.expect(_archive())

    def expect(self, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        (self.requirements / "helm/archives.sha256").write_text(f"{digest}  {ARCHIVE}\n")

    def offer(self, content: bytes) -> Path:
        """The network has it; what is returned holds the addresses that were asked for."""
        offered, fetched = self.venv.parent / "offered", self.venv.parent / "fetched"
        offered.write_bytes(content)
        asked = f'while [ "$1" != --output ]; do shift; done; echo "$3" >>{fetched}; exec /bin/cat {offered} >"$2"'
        _program(self.tools / "curl", asked)
        return fetched

    def bring(self, *words: str) -> tuple[int, str]:
        command = [str(self.tools / "sh"), str(self.requirements / "bring-helm"), str(self.venv), *words]
        done = subprocess.run(command, env={"PATH": str(self.tools)}, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_archive_is_fetched_once(machine: Machine) -> None:
    fetched = machine.offer(_archive())
    assert machine.bring()[0] == 0
    assert (machine.venv / "helm" / "helm").is_file()
    assert machine.bring() == (0, "")
    (address,) = fetched.read_text().splitlines()
    assert address.endswith(f"/{ARCHIVE}")


def test_an_archive_that_is_another_is_not_used(machine: Machine) -> None:
    machine.expect(b"what it was")
    machine.offer(_archive())
    status, said = machine.bring()
    assert status == 1
    assert f"{ARCHIVE} is not what it must be" in said
    assert [path.name for path in machine.venv.iterdir()] == ["bin"], "nothing half brought stays"


def test_what_is_on_path_is_taken(machine: Machine) -> None:
    fetched = machine.offer(_archive())
    _program(machine.tools / "helm", "")
    assert machine.bring() == (0, "")
    assert not fetched.exists()


def test_it_is_built_only_where_that_is_asked_for(machine: Machine) -> None:
    built = machine.venv.parent / "built"
    _program(machine.tools / "go", f'while [ "$1" != -o ]; do shift; done; echo built >{built}; echo "#!/bin/sh" >"$2"')
    status, said = machine.bring()
    assert status == 1
    assert "`make helm` builds it" in said
    assert not built.exists()
    assert machine.bring("--build")[0] == 0
    assert built.exists()
    assert (machine.venv / "helm" / "helm").is_file()
