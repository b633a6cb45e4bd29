import msgspec
import pytest
from phoenix_cli.rehearsal.run import Conditions, rehearse
from quality.contenders import NO_GRINDING, NO_VPIN, PHOENIX, contenders
from quality.study import CELLS, MAIN, REGIMES, STUCK, STUCK_REGIME, Unit, run_unit, units


def test_seeds_take_the_regimes_in_turn_and_the_first_ones_go_through_every_cell():
    work = units(200, 20)
    assert [unit.market for unit in work[:8]] == [str(regime) for regime in REGIMES]
    assert {market: sum(unit.market == market for unit in work) for market in map(str, REGIMES)} == dict.fromkeys(
        map(str, REGIMES), 25
    )
    assert [set(unit.cells) >= set(CELLS) for unit in work] == [True] * 20 + [False] * 180
    assert all(MAIN in unit.cells for unit in work)


def test_who_begins_stuck_is_looked_at_in_every_regime_and_wherever_it_lasts():
    stuck = [unit for unit in units(200, 20) if STUCK in unit.cells]
    assert {unit.market for unit in stuck} == set(map(str, REGIMES))
    assert sum(unit.market == STUCK_REGIME for unit in stuck) == 25


def test_seeds_that_defaults_are_chosen_on_are_others_and_take_the_same_turns():
    chosen_on, reported = units(24, 0, first=1001), units(200, 20)
    assert not {unit.seed for unit in chosen_on} & {unit.seed for unit in reported}
    assert [unit.market for unit in chosen_on] == [unit.market for unit in reported[:24]]


def test_who_begins_stuck_holds_it_from_the_first_second_long_and_short_in_turn(study):
    runs = [run_unit(study, Unit("quiet", seed, (STUCK,))).results for seed in (7, 15)]
    for results in runs:
        assert [result.contender for result in results] == [PHOENIX, NO_GRINDING]
        for result in results:
            assert result.figures.inventory_most == pytest.approx(STUCK.held)
            assert result.figures.beyond[1] > 0
            assert result.figures.fees > 0  # it was taken
    assert runs[0] != runs[1]


def test_a_unit_is_the_same_whenever_it_is_run(study):
    unit = Unit("calm", 1, (MAIN,))
    first = run_unit(study, unit).results
    assert msgspec.json.encode(first) == msgspec.json.encode(run_unit(study, unit).results)
    assert [result.contender for result in first] == list(study.contenders(MAIN))
    assert next(result for result in first if result.contender == PHOENIX).figures.fills > 0


def test_without_a_part_that_cannot_have_acted_phoenix_is_the_same_to_the_last_order(spec, tape, study):
    def figures(maker):
        limit = study.parameters.net_max_steps
        return rehearse(spec, tape, maker, limit, study.seconds, Conditions(), study.calibration.day)

    whole = study.contenders(MAIN)[PHOENIX]()
    found = figures(whole)
    for part in (NO_VPIN, NO_GRINDING):
        assert whole.is_same_without(part)
        assert figures(study.contenders(MAIN)[part]()) == found


def test_a_part_that_may_have_acted_is_run_without(spec, instrument, tape, study):
    replace = msgspec.structs.replace
    nervous = replace(
        study.parameters,
        vpin=replace(study.parameters.vpin, threshold=0.01, resume=0.02, halt=0.9),
        grinding=replace(study.parameters.grinding, ratio=0.001),
    )
    maker = contenders(nervous, instrument, study.calibration, {})[PHOENIX]()
    rehearse(spec, tape, maker, nervous.net_max_steps, study.seconds, Conditions(), study.calibration.day)
    assert not maker.is_same_without(NO_VPIN)
    assert not maker.is_same_without(NO_GRINDING)


def test_other_parameters_run_in_the_main_cell_alone(study):
    varied = msgspec.structs.replace(study, variants={"wide": study.parameters})
    assert "wide" in varied.contenders(MAIN)
    assert "wide" not in varied.contenders(CELLS[-1])
