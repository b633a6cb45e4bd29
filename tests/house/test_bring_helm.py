"""What brings Helm: only what is what it must be, only where none is there, and built only where that is asked for."""

from pathlib import Path

import pytest
from bare_machine import BareMachine, archive_of, make_program

ARCHIVE = "helm-v9.9.9-linux-amd64.tar.gz"
ARCHIVED = archive_of(["linux-amd64/helm"])


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    machine = BareMachine(tmp_path, "bring-helm", "helm/archives.sha256", ARCHIVE)
    machine.expect(ARCHIVED)
    return machine


def test_the_archive_is_fetched_once(machine: BareMachine) -> None:
    machine.offer(ARCHIVED)
    assert machine.bring()[0] == 0
    assert (machine.venv / "helm" / "helm").is_file()
    assert machine.bring() == (0, "")
    (address,) = machine.fetched.read_text().splitlines()
    assert address.endswith(f"/{ARCHIVE}")


def test_an_archive_that_is_another_is_not_used(machine: BareMachine) -> None:
    machine.expect(b"what it was")
    machine.offer(ARCHIVED)
    status, said = machine.bring()
    assert status == 1
    assert f"{ARCHIVE} is not what it must be" in said
    assert [path.name for path in machine.venv.iterdir()] == ["bin"], "nothing half brought stays"


def test_what_is_on_path_is_taken(machine: BareMachine) -> None:
    machine.offer(ARCHIVED)
    make_program(machine.tools / "helm", "")
    assert machine.bring() == (0, "")
    assert not machine.fetched.exists()


def test_it_is_built_only_where_that_is_asked_for(machine: BareMachine) -> None:
    built = machine.venv.parent / "built"
    make_program(
        machine.tools / "go", f'while [ "$1" != -o ]; do shift; done; echo built >{built}; echo "#!/bin/sh" >"$2"'
    )
    status, said = machine.bring()
    assert status == 1
    assert "`make helm` builds it" in said
    assert not built.exists()
    assert machine.bring("--build")[0] == 0
    assert built.exists()
    assert (machine.venv / "helm" / "helm").is_file()
