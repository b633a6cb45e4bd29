import msgspec
from phoenix_cli.rehearsal.run import Conditions, rehearse
from quality.contenders import NO_GRINDING, NO_VPIN, PHOENIX, contenders
from quality.study import CELLS, MAIN, REGIMES, Unit, run_unit, units


def test_seeds_take_the_regimes_in_turn_and_the_first_ones_go_through_every_cell():
    work = units(200, 20)
    assert [unit.market for unit in work[:8]] == [str(regime) for regime in REGIMES]
    assert {market: sum(unit.market == market for unit in work) for market in map(str, REGIMES)} == dict.fromkeys(
        map(str, REGIMES), 25
    )
    assert [len(unit.cells) for unit in work] == [len(CELLS)] * 20 + [1] * 180
    assert all(MAIN in unit.cells for unit in work)


def test_a_unit_is_the_same_whenever_it_is_run(study):
    unit = Unit("calm", 1, (MAIN,))
    first = run_unit(study, unit)
    assert msgspec.json.encode(first) == msgspec.json.encode(run_unit(study, unit))
    assert [result.contender for result in first] == list(study.contenders)
    assert next(result for result in first if result.contender == PHOENIX).figures.fills > 0


def test_without_a_part_that_cannot_have_acted_phoenix_is_the_same_to_the_last_order(spec, tape, study):
    def figures(maker):
        limit = study.parameters.net_max_steps
        return rehearse(spec, tape, maker, limit, study.seconds, Conditions(), study.calibration.day)

    whole = study.contenders[PHOENIX]()
    found = figures(whole)
    for part in (NO_VPIN, NO_GRINDING):
        assert whole.is_same_without(part)
        assert figures(study.contenders[part]()) == found


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
