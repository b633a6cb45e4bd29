"""What brings Prometheus for the tests: only what is what it must be, and only where there is none."""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
PROGRAMS = ("prometheus", "promtool")
TOOLS = ("sh", "grep", "tar", "gzip", "mkdir", "rm", "mv", "dirname", "cat", "touch", "chmod")
ARCHIVE = "prometheus-9.9.9.linux-amd64.tar.gz"
SCRIPT = b"#!/bin/sh\n"


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in PROGRAMS:
            entry = tarfile.TarInfo(f"{ARCHIVE.removesuffix('.tar.gz')}/{name}")
            entry.mode, entry.size = 0o755, len(SCRIPT)
            archive.addfile(entry, io.BytesIO(SCRIPT))
    return buffer.getvalue()


class Machine:
    """A Linux of which only a few tools are there, and a copy of the script."""

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
        (self._requirements / "prometheus").mkdir(parents=True)
        shutil.copy(REQUIREMENTS / "bring-promtool", self._requirements)
        self.expect(_archive())

    def expect(self, content: bytes) -> None:
        text = f"{hashlib.sha256(content).hexdigest()}  {ARCHIVE}\n"
        (self._requirements / "prometheus/prometheus.sha256").write_text(text)

    def offer(self, content: bytes) -> None:
        """The network has it; `fetched` holds the addresses that were asked for."""
        self._offered.write_bytes(content)
        _program(
            self._tools / "curl",
            f"""while [ "$1" != --output ]; do shift; done
            echo "$3" >>{self.fetched}; exec /bin/cat {self._offered} >"$2\"""",
        )

    def offer_package(self) -> None:
        """The distribution has it."""
        _program(self._tools / "apt-get", '[ "$*" = "download prometheus" ] && touch prometheus_9_amd64.deb')
        made = "; ".join(f'echo "#!/bin/sh" >"$3/usr/bin/{name}"; chmod +x "$3/usr/bin/{name}"' for name in PROGRAMS)
        _program(self._tools / "dpkg-deb", f'[ -f "$2" ] && mkdir -p "$3/usr/bin"; {made}')

    def bring(self, *more: Path) -> tuple[int, str]:
        command = [str(self._tools / "sh"), str(self._requirements / "bring-promtool"), str(self.venv)]
        path = ":".join(str(each) for each in (self._tools, *more))
        done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def brought(self) -> list[str]:
        return sorted(path.name for path in (self.venv / "prometheus").glob("*"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_archive_is_fetched_once(machine: Machine) -> None:
    machine.offer(_archive())
    assert machine.bring()[0] == 0
    assert machine.brought() == sorted(PROGRAMS)
    assert machine.bring() == (0, "")
    (address,) = machine.fetched.read_text().splitlines()
    assert address.endswith(f"/v9.9.9/{ARCHIVE}")


def test_an_archive_that_is_another_is_not_used(machine: Machine) -> None:
    machine.expect(b"what it was")
    machine.offer(_archive())
    status, said = machine.bring()
    assert status == 1
    assert f"{ARCHIVE} is not what it must be" in said
    assert [path.name for path in machine.venv.iterdir()] == ["bin"], "nothing half brought stays"


def test_where_the_archive_is_out_of_reach_the_distribution_s_package_is_unpacked(machine: Machine) -> None:
    machine.offer_package()
    assert machine.bring()[0] == 0
    assert machine.brought() == sorted(PROGRAMS)


def test_without_either_it_says_what_to_do(machine: Machine) -> None:
    status, said = machine.bring()
    assert status == 1
    assert "apt install prometheus" in said


def test_what_is_on_the_path_is_taken(machine: Machine, tmp_path: Path) -> None:
    machine.offer(_archive())
    for name in PROGRAMS:
        _program(tmp_path / "given" / name, "")
    assert machine.bring(tmp_path / "given") == (0, "")
    assert not machine.fetched.exists()
