"""What brings the API server of the tests: only what is what it must be, and only where none is given."""

import re
import shutil
from pathlib import Path

import pytest
from bare_machine import REQUIREMENTS, BareMachine, archive_of, make_program

FOLDER = "kube"
PROGRAMS = ("etcd", "kube-apiserver", "kubectl")
ARCHIVE = "envtest-v9.9.9-linux-amd64.tar.gz"
ARCHIVED = archive_of(f"controller-tools/envtest/{name}" for name in PROGRAMS)


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    machine = BareMachine(tmp_path, "bring-kube", "kube/envtest.sha512", ARCHIVE, ["sed"])
    shutil.copy(REQUIREMENTS / "kube/go.mod", machine.requirements / "kube")
    machine.expect(ARCHIVED)
    return machine


def test_the_archive_is_fetched_once(machine: BareMachine) -> None:
    machine.offer(ARCHIVED)
    assert machine.bring()[0] == 0
    assert machine.brought(FOLDER) == sorted(PROGRAMS)
    assert machine.bring() == (0, "")
    (address,) = machine.fetched.read_text().splitlines()
    assert address.endswith(f"/envtest-v9.9.9/{ARCHIVE}")


def test_an_archive_that_is_another_is_not_used(machine: BareMachine) -> None:
    machine.expect(b"what it was")
    machine.offer(ARCHIVED)
    status, said = machine.bring()
    assert status == 1
    assert f"{ARCHIVE} is not what it must be" in said
    assert machine.brought(FOLDER) == []
    assert [path.name for path in machine.venv.iterdir()] == ["bin"], "nothing half brought stays"


def test_without_network_and_go_it_says_what_to_do(machine: BareMachine) -> None:
    status, said = machine.bring()
    assert status == 1
    assert "set KUBEBUILDER_ASSETS to a directory" in said


def test_what_is_given_is_taken(machine: BareMachine, tmp_path: Path) -> None:
    machine.offer(ARCHIVED)
    for name in PROGRAMS:
        make_program(tmp_path / "given" / name, "")
    assert machine.bring(KUBEBUILDER_ASSETS=str(tmp_path / "given")) == (0, "")
    assert not machine.fetched.exists()


def test_half_of_it_is_not_taken(machine: BareMachine, tmp_path: Path) -> None:
    machine.offer(ARCHIVED)
    make_program(tmp_path / "given" / "kubectl", "")
    assert machine.bring(KUBEBUILDER_ASSETS=str(tmp_path / "given"))[0] == 0
    assert machine.fetched.exists()


def test_without_network_go_builds_what_go_mod_names(machine: BareMachine, tmp_path: Path) -> None:
    """A version with the comment behind it was no flag that the linker knew."""
    asked, script = tmp_path / "asked", "#!/bin/sh"
    make_program(
        machine.tools / "go",
        f"""while [ "$1" != -ldflags ]; do shift; done
        echo "$2" >>{asked}; mkdir -p "${{4%/*}}"; echo "{script}" >"$4"; /bin/chmod 755 "$4\"""",
    )
    status, said = machine.bring()
    assert status == 0, said
    assert machine.brought(FOLDER) == sorted(PROGRAMS)
    (_, version), *_ = {tuple(flags.rsplit("=", 1)) for flags in asked.read_text().splitlines()}
    assert re.fullmatch(r"v\d+\.\d+\.\d+", version)
