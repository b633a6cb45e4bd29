"""The generator on a tiny study: what it says is what the runs say."""

from xml.etree import ElementTree as ET

import msgspec
import pytest
import quality_report
from phoenix_cli.rehearsal.figures import Figures
from quality.contenders import NO_GRINDING, PHOENIX
from quality.intervals import Interval
from quality.plots import Row, nice_ticks, whiskers
from quality.study import CELLS, MAIN, RECORDING, STUCK, Cell, Done, Result, Unit, run_all, run_unit
from quality.summary import summarise

MONEY = 100_000_000


@pytest.fixture(scope="module")
def results(study):
    work = [Unit("calm", 1, (MAIN, Cell("optimistic", 5))), Unit("jump", 2, (MAIN,))]
    return [result for done in run_all(study, work, 1) for result in done.results]


@pytest.fixture
def here(monkeypatch, calibration, tmp_path):
    """Two short hours, no recording, and nothing written into the repository."""
    monkeypatch.setattr(quality_report, "calibrate", lambda _: calibration)
    monkeypatch.setattr(quality_report, "CAPTURE", tmp_path / "nothing.gz")
    return tmp_path


def run_of(market, seed, contender, pnl, volume=100 * MONEY, cell=MAIN):
    return Result(market, seed, cell, contender, Figures(seconds=3600, fills=1, volume=volume, pnl=pnl))


def test_a_tiny_report_is_written_whole_and_names_what_it_skipped(here):
    arguments = ["--seeds=2", "--cell-seeds=1", "--seconds=5", "--jobs=1", f"--output={here / 'out'}"]
    assert quality_report.main(arguments) == 0
    page = (here / "out/quality.md").read_text()
    assert "{" not in page.replace("^{", "")
    for heading in ("## Everybody", "## Where Phoenix loses", "## Queue and latency", "Skipped: there is no recording"):
        assert heading in page
    assert str(here) not in page
    report = msgspec.json.decode((here / "out/report.json").read_bytes())
    of_all = [run for run in report["runs"] if not run["cell"]["held"]]
    assert len(of_all) == (len(CELLS) + 1) * len({run["contender"] for run in of_all})
    assert len(report["runs"]) == len(of_all) + 2
    for name in ("pnl", "differences", "cells"):
        assert f"(quality/{name}.svg)" in page
        ET.fromstring((here / f"out/quality/{name}.svg").read_text())  # noqa: S314 - our own


def test_who_interrupts_it_gets_a_report_of_what_is_done(here, monkeypatch, results, capsys):
    def interrupted(_, work, __):
        yield Done(work[0], [result for result in results if result.seed == 1], 60.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(quality_report, "run_all", interrupted)
    assert quality_report.main(["--seeds=9", "--cell-seeds=3", f"--output={here / 'out'}"]) == 0
    assert "interrupted" in capsys.readouterr().err
    page = (here / "out/quality.md").read_text()
    assert "--seeds 1 --cell-seeds 1" in page
    assert "1 minutes of a core" in page


def test_what_was_run_is_not_run_again_and_a_killed_run_goes_on(here, monkeypatch):
    arguments = ["--seeds=3", "--cell-seeds=0", "--seconds=5", "--jobs=1", f"--output={here / 'out'}"]
    ran = []

    def dies_in_the_third(study, work, _):
        for unit in work:
            if unit.seed == 3 and not ran.count(3):
                ran.append(3)
                raise BrokenPipeError  # whatever ends a process
            ran.append(unit.seed)
            yield run_unit(study, unit)

    monkeypatch.setattr(quality_report, "run_all", dies_in_the_third)
    with pytest.raises(BrokenPipeError):
        quality_report.main(arguments)
    assert quality_report.main([*arguments, "--minutes=0"]) == 0
    assert "--seeds 2" in (here / "out/quality.md").read_text()
    assert quality_report.main(arguments) == 0
    assert ran == [1, 2, 3, 3]
    assert "--seeds 3" in (here / "out/quality.md").read_text()


def test_nothing_done_is_nothing_to_report(here, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(quality_report, "run_all", interrupted)
    assert quality_report.main(["--seeds=9", f"--output={here / 'out'}"]) == 1
    assert "nothing to report" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--maker", "nowhere.yaml"], "nowhere.yaml", id="no such maker"),
        pytest.param(["--also", "wide"], "write 'NAME: field=value …'", id="a variant without changes"),
        pytest.param(["--also", "wide: spread=9"], "there is no field spread", id="an unknown field"),
        pytest.param(["--also", "wide: vpin.spread=9"], "there is no field vpin.spread", id="of a part"),
        pytest.param(["--also", "wide: near_layers=many"], "near_layers=many", id="no number"),
        pytest.param(["--also", 'wide: near_layers="3"'], "near_layers", id="of another type"),
    ],
)
def test_bad_input_gets_one_clear_error(here, capsys, arguments, said):
    assert quality_report.main([*arguments, "--seeds", "1", "--output", str(here / "out")]) == 1
    assert said in capsys.readouterr().err
    assert not (here / "out").exists()


def test_a_variant_is_phoenix_with_other_parameters(parameters):
    name, changed = quality_report._variant("wide: min_spread_bps=9 vpin.halt=0.9", parameters)
    assert name == "wide"
    assert (changed.min_spread_bps, changed.vpin.halt) == (9.0, 0.9)
    assert (
        msgspec.structs.replace(changed, min_spread_bps=parameters.min_spread_bps, vpin=parameters.vpin) == parameters
    )


def test_every_run_is_counted_once_and_cells_compare_the_same_seeds(results):
    summary = summarise(results)
    phoenix = next(line for line in summary.lines if line.contender == PHOENIX)
    assert phoenix.runs == 2
    assert [line.runs for lines in summary.cells.values() for line in lines] == [1] * 2 * len(summary.lines)
    assert phoenix.pnl_bps.value == pytest.approx(
        phoenix.spread_bps - phoenix.fees_bps + phoenix.funding_bps + phoenix.inventory_bps
    )


def test_a_pair_is_one_hour_and_phoenix_loses_where_it_does():
    results = []
    for seed in range(1, 13):
        market = ("calm", "toxic")[seed % 2]
        noise = seed * MONEY  # hours differ by far more than the two do
        results.append(run_of(market, seed, PHOENIX, noise - (MONEY // 2 if market == "toxic" else -MONEY // 2)))
        results.append(run_of(market, seed, "fixed grid", noise))
    summary = summarise(results)
    found = {each.market: each.pnl_per_hour for each in summary.differences}
    assert (found["toxic"].value, found["toxic"].low, found["toxic"].high) == (-0.5, -0.5, -0.5)
    assert found["toxic"].is_below_zero
    assert found["calm"].is_above_zero
    assert found[""].value == pytest.approx(0.0)


def test_the_recordings_table_lists_who_was_in_it():
    runs = [run_of("calm", 1, name, MONEY) for name in (PHOENIX, "skew 10")]
    summary = summarise([*runs, run_of(RECORDING, 0, PHOENIX, MONEY)])
    assert [line.contender for line in summary.recording[str(MAIN)]] == [PHOENIX]
    assert summary.markets == ["calm"]


def test_runs_that_differ_are_counted_and_those_that_begin_stuck_are_told_apart():
    results = [run_of("quiet", seed, PHOENIX, seed * MONEY, cell=cell) for seed in (1, 2) for cell in (MAIN, STUCK)]
    results += [run_of("quiet", seed, NO_GRINDING, 2 * MONEY, cell=cell) for seed in (1, 2) for cell in (MAIN, STUCK)]
    summary = summarise(results)
    (difference, _) = summary.differences
    assert (difference.other, difference.unlike, difference.runs) == (NO_GRINDING, 1, 2)
    assert [line.runs for line in summary.lines] == [2, 2]
    (stuck,) = summary.stuck
    assert [line.contender for line in stuck.lines] == [PHOENIX, NO_GRINDING]
    assert (stuck.difference.unlike, stuck.difference.runs) == (1, 2)
    assert summary.cells == {}


def test_a_plot_says_each_figure_and_its_interval():
    drawn = whiskers("title & more", "bps", [Row("all", Interval(-1.5, -2.0, -1.0, 20)), Row("none"), Row("")])
    texts = [element.text for element in ET.fromstring(drawn).iter() if element.text and element.text.strip()]  # noqa: S314
    assert "title & more" in texts
    assert "-1.50  [-2.00, -1.00]" in texts


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3.2, 0.4, [-4.0, -3.0, -2.0, -1.0, 0.0, 1.0]),
        (0.0, 0.0, [0.0, 1.0]),
    ],
)
def test_an_axis_has_round_numbers_that_hold_everything(low, high, ticks):
    assert nice_ticks(low, high) == ticks
