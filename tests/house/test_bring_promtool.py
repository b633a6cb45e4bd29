"""What brings Prometheus for the tests: only what is what it must be, and only where there is none."""

from pathlib import Path

import pytest
from bare_machine import BareMachine, archive_of, make_program

FOLDER = "prometheus"
PROGRAMS = ("prometheus", "promtool")
ARCHIVE = "prometheus-9.9.9.linux-amd64.tar.gz"
ARCHIVED = archive_of(f"{ARCHIVE.removesuffix('.tar.gz')}/{name}" for name in PROGRAMS)


@pytest.fixture
def machine(tmp_path: Path) -> BareMachine:
    machine = BareMachine(
        tmp_path, "bring-promtool", "prometheus/prometheus.sha256", ARCHIVE, ["cat", "touch", "chmod"]
    )
    machine.expect(ARCHIVED)
    return machine


def offer_package(machine: BareMachine) -> None:
    """The distribution has it."""
    make_program(machine.tools / "apt-get", '[ "$*" = "download prometheus" ] && touch prometheus_9_amd64.deb')
    made = "; ".join(f'echo "#!/bin/sh" >"$3/usr/bin/{name}"; chmod +x "$3/usr/bin/{name}"' for name in PROGRAMS)
    make_program(machine.tools / "dpkg-deb", f'[ -f "$2" ] && mkdir -p "$3/usr/bin"; {made}')


def test_the_archive_is_fetched_once(machine: BareMachine) -> None:
    machine.offer(ARCHIVED)
    assert machine.bring()[0] == 0
    assert machine.brought(FOLDER) == sorted(PROGRAMS)
    assert machine.bring() == (0, "")
    (address,) = machine.fetched.read_text().splitlines()
    assert address.endswith(f"/v9.9.9/{ARCHIVE}")


def test_an_archive_that_is_another_is_not_used(machine: BareMachine) -> None:
    machine.expect(b"what it was")
    machine.offer(ARCHIVED)
    status, said = machine.bring()
    assert status == 1
    assert f"{ARCHIVE} is not what it must be" in said
    assert [path.name for path in machine.venv.iterdir()] == ["bin"], "nothing half brought stays"


def test_where_the_archive_is_out_of_reach_the_distribution_s_package_is_unpacked(machine: BareMachine) -> None:
    offer_package(machine)
    assert machine.bring()[0] == 0
    assert machine.brought(FOLDER) == sorted(PROGRAMS)


def test_without_either_it_says_what_to_do(machine: BareMachine) -> None:
    status, said = machine.bring()
    assert status == 1
    assert "apt install prometheus" in said


def test_what_is_on_the_path_is_taken(machine: BareMachine, tmp_path: Path) -> None:
    machine.offer(ARCHIVED)
    for name in PROGRAMS:
        make_program(tmp_path / "given" / name, "")
    assert machine.bring(path=[tmp_path / "given"]) == (0, "")
    assert not machine.fetched.exists()
