"""What brings the API server of the tests: only what is what it must be, and only where none is given."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
PROGRAMS = ("etcd", "kube-apiserver", "kubectl")
TOOLS = ("sh", "grep", "tar", "gzip", "mkdir", "rm", "mv", "sed", "dirname")
ARCHIVE = "envtest-v9.9.9-linux-amd64.tar.gz"


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in PROGRAMS:
            entry = tarfile.TarInfo(f"controller-tools/envtest/{name}")
            entry.mode, content = 0o755, b"#!/bin/sh\n"
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


class Machine:
    """A Linux of which only a few tools are there, a network that gives `offered`, and a copy of the script."""

    def __init__(self, directory: Path) -> None:
        self.venv, self._tools, self._requirements = (directory / name for name in ("venv", "tools", "requirements"))
        self.fetched = directory / "fetched"
        self._offered = directory / "offered"
        self.venv.joinpath("bin").mkdir(parents=True)
        self.venv.joinpath("bin/python").symlink_to(sys.executable)
        self._tools.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self._tools / tool).symlink_to(found)
        _program(self._tools / "uname", '[ "$1" = -s ] && echo Linux || echo x86_64')
        (self._requirements / "kube").mkdir(parents=True)
        shutil.copy(REQUIREMENTS / "bring-kube", self._requirements)
        shutil.copy(REQUIREMENTS / "kube/go.mod", self._requirements / "kube")
        self.expect(_archive())

    def expect(self, content: bytes) -> None:
        digest = hashlib.sha512(content).hexdigest()
        (self._requirements / "kube/envtest.sha512").write_text(f"{digest}  {ARCHIVE}\n")

    def offer(self, content: bytes) -> None:
        """The network has it; `fetched` holds the addresses that were asked for."""
        self._offered.write_bytes(content)
        _program(
            self._tools / "curl",
            f"""while [ "$1" != --output ]; do shift; done
            echo "$3" >>{self.fetched}; exec /bin/cat {self._offered} >"$2\"""",
        )

    def bring(self, **environment: str) -> tuple[int, str]:
        command = [str(self._tools / "sh"), str(self._requirements / "bring-kube"), str(self.venv)]
        done = subprocess.run(
            command, env={"PATH": str(self._tools), **environment}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    def brought(self) -> list[str]:
        return sorted(path.name for path in (self.venv / "kube").glob("*"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_archive_is_fetched_once(machine: Machine) -> None:
    machine.offer(_archive())
    assert machine.bring()[0] == 0
    assert machine.brought() == sorted(PROGRAMS)
    assert machine.bring() == (0, "")
    (address,) = machine.fetched.read_text().splitlines()
    assert address.endswith(f"/envtest-v9.9.9/{ARCHIVE}")


def test_an_archive_that_is_another_is_not_used(machine: Machine) -> None:
    machine.expect(b"what it was")
    machine.offer(_archive())
    status, said = machine.bring()
    assert status == 1
    assert f"{ARCHIVE} is not what it must be" in said
    assert machine.brought() == []
    assert [path.name for path in machine.venv.iterdir()] == ["bin"], "nothing half brought stays"


def test_without_network_and_go_it_says_what_to_do(machine: Machine) -> None:
    status, said = machine.bring()
    assert status == 1
    assert "set KUBEBUILDER_ASSETS to a directory" in said


def test_what_is_given_is_taken(machine: Machine, tmp_path: Path) -> None:
    machine.offer(_archive())
    for name in PROGRAMS:
        _program(tmp_path / "given" / name, "")
    assert machine.bring(KUBEBUILDER_ASSETS=str(tmp_path / "given")) == (0, "")
    assert not machine.fetched.exists()


def test_half_of_it_is_not_taken(machine: Machine, tmp_path: Path) -> None:
    machine.offer(_archive())
    _program(tmp_path / "given" / "kubectl", "")
    assert machine.bring(KUBEBUILDER_ASSETS=str(tmp_path / "given"))[0] == 0
    assert machine.fetched.exists()
