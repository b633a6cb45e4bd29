"""What is kept of a run, for whoever goes on with it."""

import msgspec
import pytest
from phoenix_cli.rehearsal.figures import Figures
from quality.journal import Journal
from quality.study import MAIN, Done, Result, Unit

UNITS = [Unit("calm", seed, (MAIN,)) for seed in (1, 2, 3)]


def done(unit):
    figures = Figures(seconds=5, fills=unit.seed, inventory_variance=1 / 3, modes={"normal": 5})
    return Done(unit, [Result(unit.market, unit.seed, MAIN, "Phoenix", figures)], 0.25)


def test_what_was_written_is_read_back_to_the_last_digit_in_the_order_of_the_work(study, tmp_path):
    journal = Journal(tmp_path / "new", study)
    assert journal.read(UNITS) == []
    for unit in (UNITS[2], UNITS[0]):
        journal.write(done(unit))
    assert Journal(tmp_path / "new", study).read(UNITS) == [done(UNITS[0]), done(UNITS[2])]
    assert journal.read(UNITS[1:2]) == []


@pytest.mark.parametrize("left", [1, 20, 60])
def test_a_line_that_a_killed_process_left_unfinished_is_no_run_and_costs_no_other(study, tmp_path, left):
    journal = Journal(tmp_path, study)
    journal.write(done(UNITS[0]))
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    journal.write(done(UNITS[1]))
    path.write_bytes(path.read_bytes()[: len(whole) + left])
    assert journal.read(UNITS) == [done(UNITS[0])]
    journal.write(done(UNITS[2]))
    assert journal.read(UNITS) == [done(UNITS[0]), done(UNITS[2])]


@pytest.mark.parametrize("change", ["seconds", "parameters", "variants"])
def test_runs_of_something_else_are_never_taken_for_it(study, tmp_path, change):
    wider = msgspec.structs.replace(study.parameters, min_spread_bps=study.parameters.min_spread_bps + 1)
    other = {"seconds": study.seconds + 1, "parameters": wider, "variants": {"wide": wider}}
    Journal(tmp_path, study).write(done(UNITS[0]))
    assert Journal(tmp_path, msgspec.structs.replace(study, **{change: other[change]})).read(UNITS) == []
