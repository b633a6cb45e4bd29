import pytest
from phoenix_cli.rehearsal.run import Conditions, rehearse
from phoenix_worker.core import events as ev
from phoenix_worker.core.actions import Cancel, WantedOrder
from phoenix_worker.core.events import Side
from quality.contenders import AS, GLFT, GRID, policies
from quality.rivals import FixedGrid, Rival, Seen
from quality.study import MAIN

SECOND = 1_000_000_000


def seen(bid, ask, position=0):
    return Seen(bid, ask, 1.0, position, 0.0)


def test_a_grids_lines_stay_where_they_are_while_the_market_moves():
    grid = FixedGrid(10.0, 2)
    at_first = grid.prices(seen(99_990, 100_010))
    assert sorted(round(price) for price in at_first.values()) == [99_800, 99_900, 100_100, 100_200]
    moved = grid.prices(seen(100_120, 100_140))
    assert sorted(round(price) for price in moved.values()) == [99_900, 100_100, 100_200, 100_300]


def test_the_line_that_was_traded_last_stays_empty():
    grid = FixedGrid(10.0, 2)
    grid.prices(seen(99_990, 100_010))
    grid.on_fill(Side.BUY, 99_900)
    after = grid.prices(seen(99_860, 99_880))
    assert {slot[0]: round(price) for slot, price in after.items() if slot[1] in (0, -2)} == {
        Side.BUY: 99_800,
        Side.SELL: 100_000,
    }
    assert 99_900 not in [round(price) for price in after.values()]


@pytest.mark.parametrize("name", [AS, GLFT])
def test_a_full_position_moves_a_closed_form_by_as_much_as_phoenix_would_be_moved(parameters, calibration, name):
    policy = policies(parameters, calibration)[name]()
    lots = parameters.net_max_steps / parameters.base_size_steps
    flat, full = (policy.distances_bps(held, calibration.sigma_bps) for held in (0, lots))
    assert full[0] - flat[0] == pytest.approx(parameters.inventory_skew_bps)
    assert flat[1] - full[1] == pytest.approx(parameters.inventory_skew_bps)


def test_a_makers_fee_moves_both_quotes_out_by_as_much(parameters, calibration):
    policy = policies(parameters, calibration)[GLFT]()
    free, charged = (policy.prices(Seen(999_999, 1_000_001, 1.0, 0, fee)) for fee in (0.0, 2.0))
    assert [round(charged[slot] - free[slot]) for slot in free] == [-200, 200]


def rival(parameters, instrument, calibration, name=GRID):
    policy = policies(parameters, calibration)[name]()
    made = Rival(
        policy, instrument, size_steps=8, net_max_steps=20, keep_bps=parameters.requote_threshold_bps, requote_ns=1
    )
    made.start(SECOND, 0, (0.0, 4.0))
    made.on(ev.Minutes(SECOND, 0, calibration.day.closes))
    return made


def touch(at, bid, ask):
    return ev.Touch(at, 0, at, bid, 1.0, ask, 1.0)


def test_nothing_is_placed_that_would_break_the_limit_if_all_that_rests_were_filled(
    parameters, instrument, calibration
):
    made = rival(parameters, instrument, calibration)
    wishes = [wish for wish in made.on(touch(SECOND, 4_200.0, 4_200.01)) if isinstance(wish, WantedOrder)]
    assert sorted(wish.side for wish in wishes) == [Side.SELL, Side.SELL, Side.BUY, Side.BUY]  # 2 × 8 ≤ 20 < 3 × 8


def test_an_order_whose_request_is_on_its_way_is_left_alone(parameters, instrument, calibration):
    made = rival(parameters, instrument, calibration, GLFT)
    (bid, ask) = made.on(touch(SECOND, 4_200.0, 4_200.01))
    assert made.on(touch(2 * SECOND, 4_300.0, 4_300.01)) == []
    for wish in (bid, ask):
        answer = ev.Answer(3 * SECOND, wish.request, wish.client_id, ev.Outcome.CONFIRMED, 0, venue_id=7)
        made.on(answer)
    again = [*made.on(touch(4 * SECOND, 4_400.0, 4_400.01))]
    assert {wish.request for wish in again} == {ev.Request.AMEND}
    assert all(not isinstance(wish, Cancel) for wish in again)


@pytest.mark.parametrize("name", [GRID, AS, GLFT])
def test_each_trades_within_its_limit_and_no_order_of_it_is_refused_for_crossing_more_than_now_and_then(
    spec, tape, study, name
):
    figures = rehearse(
        spec,
        tape,
        study.contenders(MAIN)[name](),
        study.parameters.net_max_steps,
        study.seconds,
        Conditions(),
        study.calibration.day,
    )
    assert figures.maker_fills == figures.fills > 0
    assert figures.inventory_most <= 1.0
    assert figures.two_sided > study.seconds / 2
