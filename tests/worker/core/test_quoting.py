"""Adaptive market making as the formulas say, and what no plan may do."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.actions import Purpose
from phoenix_worker.core.events import Side
from phoenix_worker.core.inventory import EVERYTHING, Mask, Mode, mask_of
from phoenix_worker.core.quoting import (
    Market,
    decay_factor,
    distances_bps,
    half_spread_bps,
    plan,
    reservation_ticks,
    within_grant,
)
from samples import BTCUSDT, ETH_MAKER, ETHUSDC, GUARDS, MAKER, changed

STILL = Market(600_000, 600_001, 0.0, 2.0)
NOTHING_STUCK = {Side.BUY: 0, Side.SELL: 0}


def planned(
    parameters=MAKER, market=STILL, position=0, mask=EVERYTHING, stuck=NOTHING_STUCK, busy=(), instrument=BTCUSDT
):
    return plan(instrument, parameters, market, mask, Purpose.QUOTE, position, stuck, dict(busy))


def sides(ladder):
    return [[t for t in ladder.targets if t.side is side] for side in (Side.BUY, Side.SELL)]


# -- reservation price -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "funding_bps", "to_funding_ms", "lean_bps"),
    [
        (0, 0.0, 0, 0.0),
        (50, 0.0, 0, 5.0 * 0.5),
        (-100, 0.0, 0, -5.0),
        (0, 3.0, 1_800_000, 2.2 * 3.0),
        (0, 3.0, 4 * 3_600_000, 2.2 * 3.0 / 4),
        (0, -3.0, 0, -2.2 * 3.0),
        (50, 3.0, 7_200_000, 2.5 + 2.2 * 3.0 / 2),
    ],
    ids=[
        "flat: mid",
        "long leans down",
        "short leans up",
        "funding within the hour counts fully",
        "funding far off counts less",
        "shorts pay: lean long",
        "both",
    ],
)
def test_the_reservation_price_leans_against_position_and_funding(position, funding_bps, to_funding_ms, lean_bps):
    market = msgspec.structs.replace(STILL, predicted_funding_bps=funding_bps, to_funding_ms=to_funding_ms)
    expected = 600_000.5 * (1 - 1e-4 * lean_bps)
    assert reservation_ticks(market, MAKER, position) == pytest.approx(expected, rel=1e-12)


# -- spread and distances ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("market", "parameters", "half"),
    [
        ({}, {}, 2.5),
        ({}, {"min_spread_bps": 8.0}, 4.0),
        ({"maker_fee_bps": 4.0}, {}, 4.5),
        ({"maker_fee_bps": -1.0}, {"min_spread_bps": 0.0}, 0.0),
        ({"sigma_1s": 3e-4}, {}, 1e4 * 0.5 * 3e-4 * math.sqrt(10)),
        ({"toxicity": 2.0}, {}, 5.0),
    ],
    ids=[
        "fee and edge",
        "half the least spread",
        "a dear fee",
        "a rebate never narrows below mid",
        "volatility",
        "toxic flow widens",
    ],
)
def test_the_half_spread_is_the_largest_of_its_three_floors(market, parameters, half):
    market = msgspec.structs.replace(STILL, **market)
    assert half_spread_bps(market, changed(MAKER, **parameters)) == pytest.approx(half)


@pytest.mark.parametrize(
    ("near", "far", "expected"),
    [
        (3, 0, [2.5, 4.0, 5.5]),
        (3, 2, [2.5, 4.0, 5.5, 5.5 * 1.8, 5.5 * 1.8**2]),
        (0, 2, [2.5 * 1.8, 2.5 * 1.8**2]),
        (0, 0, []),
    ],
    ids=["near", "near and far", "far alone starts from h", "none"],
)
def test_distances_are_dense_near_and_geometric_far(near, far, expected):
    assert distances_bps(2.5, changed(MAKER, near_layers=near, far_layers=far)) == pytest.approx(expected)


@pytest.mark.parametrize(("exposure", "factor"), [(0, 1.0), (-20, 1.0), (100, math.exp(-3.8)), (50, math.exp(-1.9))])
def test_sizes_decay_with_the_exposure_they_would_add_to(exposure, factor):
    assert decay_factor(exposure, MAKER) == pytest.approx(factor)


# -- the ladder ----------------------------------------------------------------------------------------------


def naive_sizes(parameters, reach, layers):
    """Nearest layer first, each adding its size to the exposure of the next."""
    sizes = []
    for layer in range(layers):
        decay = math.exp(-parameters.size_decay_k * max(0, reach) / parameters.net_max_steps)
        size = int(parameters.base_size_steps * parameters.layer_decay**layer * decay)
        size = max(0, min(size, parameters.worst_case_steps - reach))
        sizes.append(size)
        reach += size
    return sizes


@pytest.mark.parametrize("position", [0, 40, -40, 100])
def test_sizes_and_prices_are_those_of_the_formulas(position):
    # A minimum that nothing falls below: merging has tests of its own.
    instrument = msgspec.structs.replace(BTCUSDT, min_notional=1)
    parameters = changed(MAKER, base_size_steps=40, net_max_steps=400)
    ladder = planned(parameters, position=position, instrument=instrument)
    reservation = 600_000.5 * (1 - 1e-4 * 5.0 * position / 400)
    for side, targets in zip((Side.BUY, Side.SELL), sides(ladder), strict=True):
        assert [target.qty_steps for target in targets] == naive_sizes(parameters, side * position, 5)
        for target, distance in zip(targets, distances_bps(2.5, parameters), strict=True):
            exact = reservation * (1 - side * 1e-4 * distance)
            assert target.price_ticks == (math.floor(exact) if side is Side.BUY else math.ceil(exact))


def test_reducing_orders_are_never_shrunk():
    _, sells = sides(planned(position=40))
    assert sells[0].qty_steps == 8
    assert sells[1].qty_steps == int(8 * 0.9)


def test_what_cannot_be_withdrawn_counts_as_exposure_of_its_side():
    free, _ = sides(planned())
    stuck, sells = sides(planned(stuck={Side.BUY: 30, Side.SELL: 0}))
    assert stuck[0].qty_steps == int(8 * math.exp(-3.8 * 0.3)) < free[0].qty_steps
    assert sells[0].qty_steps == 8


def test_a_slot_whose_order_is_in_flight_is_planned_around():
    buys, _ = sides(planned(busy={(Side.BUY, 0): 8}.items()))
    free, _ = sides(planned())
    assert [target.layer for target in buys] == [1, 2, 3, 4]
    assert buys == free[1:]


@pytest.mark.parametrize("position", [150, -150], ids=["long", "short"])
def test_a_skewed_quote_never_crosses_the_other_touch(position):
    market = msgspec.structs.replace(STILL, ask_ticks=600_030)
    ladder = planned(changed(MAKER, inventory_skew_bps=60.0, net_max_steps=200), market=market, position=position)
    buys, sells = sides(ladder)
    assert all(target.price_ticks <= 600_029 for target in buys)
    assert all(target.price_ticks >= 600_001 for target in sells)
    nearest = sells[0] if position > 0 else buys[0]
    assert nearest.price_ticks == (600_001 if position > 0 else 600_029)


def test_at_the_touch_layers_step_back_from_it():
    mask = mask_of(Mode.PIN, 75, GUARDS)
    buys, sells = sides(planned(position=75, mask=mask))
    assert buys == []
    assert [target.price_ticks for target in sells][:3] == [600_001, 600_091, 600_181]
    assert sells[0].keep_ticks == 0
    assert sells[1].keep_ticks > 0
    assert sum(target.qty_steps for target in sells) <= 75


def test_a_reducing_side_offers_no_more_than_the_position():
    _, sells = sides(planned(position=10, mask=Mask(buys=False, sells=True, reduce_only=True)))
    assert sum(target.qty_steps for target in sells) == 10


def test_far_layers_may_be_further_off():
    buys, _ = sides(planned(changed(MAKER, base_size_steps=40, net_max_steps=400)))
    assert [target.keep_ticks for target in buys[:3]] == [45, 45, 45]
    assert buys[3].keep_ticks == int(0.75 * (5.5 * 0.8 / 1.5) * 1e-4 * 600_000.5)


def test_prices_outside_the_exchanges_range_are_not_planned():
    instrument = msgspec.structs.replace(BTCUSDT, max_price_ticks=600_200)
    _, sells = sides(planned(instrument=instrument))
    assert [target.layer for target in sells] == [0]


# -- the exchange's minimum --------------------------------------------------------------------------------

SMALL = changed(MAKER, near_layers=3, far_layers=0, size_decay_k=0.0, layer_decay=1.0)


@pytest.mark.parametrize(
    ("base", "sizes", "dropped"),
    [(4, [4, 4, 4], 0), (2, [2, 2, 2], 0), (1, [2, 2], 1), (0, [2], 2)],
    ids=["all clear it", "all just clear it", "merged inward, the nearest raised", "only the nearest is raised"],
)
def test_what_is_below_the_minimum_merges_inward_and_the_nearest_is_raised(base, sizes, dropped):
    assert BTCUSDT.min_steps_at(599_850) == 2
    ladder = planned(changed(SMALL, base_size_steps=base))
    buys, _ = sides(ladder)
    assert [target.qty_steps for target in buys] == sizes
    assert buys[0].layer == 0
    assert ladder.dropped == 2 * dropped


def test_the_nearest_is_not_raised_beyond_the_worst_case():
    ladder = planned(changed(SMALL, net_max_steps=1, base_size_steps=1))
    assert ladder.targets == []
    assert ladder.dropped == 6


def test_a_reducing_order_may_be_below_the_minimum_notional():
    _, sells = sides(planned(position=1, mask=Mask(buys=False, sells=True, reduce_only=True)))
    assert [target.qty_steps for target in sells] == [1]


# -- the grant ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "stuck", "busy", "kept"),
    [
        (100, 0, {}, [8, 5, 3, 3, 2]),
        (13, 0, {}, [8, 5]),
        (10, 0, {}, [8, 2]),
        (9, 0, {}, [8]),
        (13, 8, {}, [5]),
        (13, 0, {(Side.BUY, 9): 8}, [5]),
        (0, 0, {}, []),
    ],
    ids=[
        "all",
        "the nearest",
        "the next in part",
        "no less than the minimum",
        "beside stuck",
        "beside in flight",
        "none",
    ],
)
def test_what_is_not_granted_is_left_out_from_the_outside(granted, stuck, busy, kept):
    targets, _ = sides(planned())
    room = {Side.BUY: granted, Side.SELL: 0}
    result = within_grant(targets, room, {Side.BUY: stuck, Side.SELL: 0}, busy, BTCUSDT)
    assert [target.qty_steps for target in result] == kept


def test_reducing_orders_need_no_grant():
    _, sells = sides(planned(position=10, mask=Mask(buys=False, sells=True, reduce_only=True)))
    none = {Side.BUY: 0, Side.SELL: 0}
    assert within_grant(sells, none, none, {}, BTCUSDT) == sells


# -- whatever the market, the parameters and the position ------------------------------------------------------


@given(
    bid=st.integers(10_000, 2_000_000),
    spread=st.integers(1, 500),
    position=st.integers(-230, 230),
    sigma=st.floats(0.0, 1e-3),
    base=st.integers(1, 60),
    near=st.integers(0, 5),
    far=st.integers(0, 3),
    skew=st.floats(0.0, 80.0),
    stuck=st.tuples(st.integers(0, 80), st.integers(0, 80)),
    mode=st.sampled_from(Mode),
    market=st.sampled_from([(BTCUSDT, MAKER), (ETHUSDC, ETH_MAKER)]),
)
def test_every_plan_is_on_the_grid_above_the_minima_within_the_limit_and_does_not_cross(
    bid, spread, position, sigma, base, near, far, skew, stuck, mode, market
):
    instrument, parameters = market
    parameters = changed(
        parameters, base_size_steps=base, near_layers=near, far_layers=far, inventory_skew_bps=skew, net_max_steps=200
    )
    view = Market(bid, bid + spread, sigma, 2.0)
    stuck = dict(zip((Side.BUY, Side.SELL), stuck, strict=True))
    ladder = planned(parameters, view, position, mask_of(mode, position, GUARDS), stuck, instrument=instrument)
    buys, sells = sides(ladder)
    for target in ladder.targets:
        assert instrument.min_price_ticks <= target.price_ticks <= instrument.max_price_ticks
        assert instrument.min_qty_steps <= target.qty_steps <= instrument.max_qty_steps
        if not target.reduce_only:
            assert instrument.notional(target.price_ticks, target.qty_steps) >= instrument.min_notional
    assert all(target.price_ticks < view.ask_ticks for target in buys)
    assert all(target.price_ticks > view.bid_ticks for target in sells)
    if buys and sells:
        assert buys[0].price_ticks < sells[0].price_ticks
    for side, targets in ((Side.BUY, buys), (Side.SELL, sells)):
        if targets:
            limit = 0 if targets[0].reduce_only else parameters.worst_case_steps
            assert side * position + stuck[side] + sum(target.qty_steps for target in targets) <= limit
        prices = [side * target.price_ticks for target in targets]
        assert prices == sorted(prices, reverse=True), "nearest first"
