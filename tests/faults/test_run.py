"""What the last lines of `make test-faults` say, and with which status it ends."""

import pytest
import run
from storm import Result, Timings

NEVER_QUOTED = "cell 0 ended with status 1: the cell never quoted"


@pytest.fixture
def storm(monkeypatch, capsys):
    """Runs one whose cells end as told; gives (status, lines)."""

    def ended(*results: Result | str) -> tuple[int, list[str]]:
        left = iter(results)

        async def cell(*_: object) -> Result | str:
            return next(left)

        monkeypatch.setattr(run, "_cell", cell)
        arguments = ["--faults", str(len(results)), "--seed", "7", "--at-once", "1", "--no-figures"]
        return run.main(arguments), capsys.readouterr().out.splitlines()

    return ended


def ran(faults: int, violations: int = 0) -> Result:
    return Result(0, {"kill": faults}, 0, {}, violations, ["two traders"] * violations, Timings(), 10, 1)


def test_a_storm_that_violates_nothing_ends_well(storm):
    status, lines = storm(ran(1))
    assert (status, lines[-1]) == (0, "faults=1 violations=0 seed=7")
    assert not any("broken=" in line for line in lines)


def test_what_was_violated_is_counted(storm):
    status, lines = storm(ran(1, violations=2))
    assert (status, lines[-1]) == (1, "faults=1 violations=2 seed=7")


def test_a_cell_that_never_quoted_is_no_violation_and_no_proof_either(storm):
    status, lines = storm(NEVER_QUOTED)
    assert (status, lines[-1]) == (1, "faults=0 violations=0 seed=7")
    assert NEVER_QUOTED in lines
    assert lines[-2].startswith("broken=1: cells that never quoted (machine too busy?)")
