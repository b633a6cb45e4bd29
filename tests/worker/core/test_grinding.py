"""Section 3, Grinding: when a taker goes, what it takes, where and for how much the re-entry stands, what it saves."""

from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from phoenix_worker.core.actions import Purpose, TimeInForce
from phoenix_worker.core.events import Fill, Side
from phoenix_worker.core.grinding import (
    HOUR_NS,
    LAYER,
    RETRY_NS,
    Fees,
    Grinder,
    beside,
    block_steps,
    taker,
    taker_steps,
)
from phoenix_worker.core.inventory import Mode
from phoenix_worker.core.orders import Life, OrderBook, OwnOrder
from phoenix_worker.core.position import Position
from phoenix_worker.core.quoting import Target
from samples import BTCUSDT, GRINDING, MAKER, NO_GRINDING, SECOND

NOW = 10 * HOUR_NS
FLAT = 0.0037
TOUCH = (600_000, 600_001)
FEES = Fees(2.0, 5.0)
GRINDS = msgspec.structs.replace(MAKER, grinding=GRINDING)


def settings(**fields):
    return msgspec.structs.replace(GRINDING, **fields)


def grinds(**fields):
    return msgspec.structs.replace(MAKER, grinding=settings(**fields))


def fill(side, qty, price=600_000, fee=0, asset="USDT", trade_id=1, venue_id=1):
    return Fill(trade_id, venue_id, side, price, qty, fee, asset, 0, False, 0)


def order(purpose, life=Life.OPEN, qty=6, layer=LAYER, side=Side.BUY, price=599_568, **fields):
    return OwnOrder(f"id-{purpose.value}", side, layer, purpose, False, price, qty, 0, life, **fields)


def book_of(*orders):
    return OrderBook({each.client_id: each for each in orders})


def at(steps, by_account=None):
    return Position(by_fills=steps, by_account=steps if by_account is None else by_account)


def taken(steps=6, price=600_000, side=Side.SELL, position=90, grinder=None):
    """A grind whose taker has got its fill."""
    grinder = grinder or Grinder()
    grinder.sent("t", position, NOW)
    grinder.on_fill(fill(side, steps, price), Purpose.GRIND, BTCUSDT)
    grinder.judge(GRINDING, Mode.PIN, position - steps, OrderBook(), BTCUSDT)
    return grinder


# -- when a taker goes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "mode", "deviation", "parameters", "grinder", "due"),
    [
        pytest.param(87, Mode.PIN, FLAT, GRINDS, Grinder(), True, id="3: from 0.87 netMax on"),
        pytest.param(-87, Mode.PIN, FLAT, GRINDS, Grinder(), True, id="3: short, too"),
        pytest.param(86, Mode.PIN, FLAT, GRINDS, Grinder(), False, id="3: not below"),
        pytest.param(96, Mode.BLOCK, FLAT, GRINDS, Grinder(), True, id="3: under Block it takes"),
        pytest.param(90, Mode.NORMAL, FLAT, GRINDS, Grinder(), False, id="3: beside pinned quotes only"),
        pytest.param(103, Mode.FLATTEN, FLAT, GRINDS, Grinder(), False, id="3: not under Flatten"),
        pytest.param(112, Mode.LIQUIDATE, FLAT, GRINDS, Grinder(), False, id="3: not under Liquidate"),
        pytest.param(90, Mode.PIN, 0.0038, GRINDS, Grinder(), False, id="3: deviation not below 0.0038"),
        pytest.param(90, Mode.PIN, None, GRINDS, Grinder(), False, id="3: deviation not valid"),
        pytest.param(
            90, Mode.PIN, FLAT, msgspec.structs.replace(MAKER, grinding=NO_GRINDING), Grinder(), False, id="3: disabled"
        ),
        pytest.param(90, Mode.PIN, FLAT, GRINDS, Grinder(taker_id="t", running=True), False, id="one taker at a time"),
        pytest.param(90, Mode.PIN, FLAT, GRINDS, Grinder(tried_ns=NOW - 42 * SECOND), True, id="3: 42 s apart"),
        pytest.param(90, Mode.PIN, FLAT, GRINDS, Grinder(tried_ns=NOW - 42 * SECOND + 1), False, id="3: not sooner"),
        pytest.param(
            90, Mode.PIN, FLAT, GRINDS, Grinder(starts=[NOW - HOUR_NS + 1] * 17), True, id="3: 18 an hour at most"
        ),
        pytest.param(90, Mode.PIN, FLAT, GRINDS, Grinder(starts=[NOW - HOUR_NS + 1] * 18), False, id="3: not a 19th"),
        pytest.param(90, Mode.PIN, FLAT, GRINDS, Grinder(starts=[NOW - HOUR_NS] * 18), True, id="3: an hour is over"),
        pytest.param(90, Mode.PIN, FLAT, grinds(per_hour=0), Grinder(), False, id="none an hour is none"),
        pytest.param(90, Mode.PIN, FLAT, GRINDS, Grinder(retry_ns=NOW + 1), False, id="the gate refused one just now"),
    ],
)
def test_a_taker_is_due(position, mode, deviation, parameters, grinder, due):
    assert grinder.due(NOW, parameters, mode, position, deviation) is due


def test_after_the_gates_refusal_it_is_tried_again_after_a_breath():
    grinder = Grinder()
    grinder.denied(NOW)
    assert not grinder.due(NOW + RETRY_NS - 1, GRINDS, Mode.PIN, 90, FLAT)
    assert grinder.due(NOW + RETRY_NS, GRINDS, Mode.PIN, 90, FLAT)
    assert (grinder.starts, grinder.tried_ns) == ([], None), "it was never sent"


# -- what it takes ---------------------------------------------------------------------------------------------

LARGE_LOTS = msgspec.structs.replace(BTCUSDT, market_min_steps=10, market_max_steps=40)


@pytest.mark.parametrize(
    ("position", "pays", "changes", "instrument", "steps"),
    [
        pytest.param(90, False, {}, BTCUSDT, 6, id="3: 7.5 % of 90, never more"),
        pytest.param(-90, False, {}, BTCUSDT, 6, id="3: of a short"),
        pytest.param(90, True, {}, BTCUSDT, 9, id="3: x 1.4 while the position pays"),
        pytest.param(90, False, {"size": 0.055}, BTCUSDT, 4, id="8: a smaller share"),
        pytest.param(10, False, {}, BTCUSDT, 1, id="at least what the exchange takes"),
        pytest.param(90, False, {}, LARGE_LOTS, 10, id="3: MARKET_LOT_SIZE, least"),
        pytest.param(900, False, {}, LARGE_LOTS, 40, id="3: MARKET_LOT_SIZE, most"),
        pytest.param(90, True, {"size": 0.5, "boost": 5.0}, BTCUSDT, 90, id="never more than is held"),
    ],
)
def test_a_taker_takes_its_share(position, pays, changes, instrument, steps):
    assert taker_steps(position, settings(**changes), instrument, pays) == steps


@pytest.mark.parametrize(
    ("position", "side", "price"),
    [(90, Side.SELL, 599_748), (-90, Side.BUY, 600_253)],
    ids=["long: sells, 4.2 bps below the bid at most", "short: buys, 4.2 bps above the ask at most"],
)
def test_a_taker_only_reduces_and_takes_at_once_within_reach(position, side, price):
    wanted = taker("id", position, 6, TOUCH, GRINDING)
    assert (wanted.side, wanted.price_ticks, wanted.qty_steps, wanted.reduce_only) == (side, price, 6, True)
    assert (wanted.purpose, wanted.time_in_force, wanted.layer) == (Purpose.GRIND, TimeInForce.IMMEDIATE, -1)


@pytest.mark.parametrize(
    ("sizes", "room", "kept"),
    [([8, 7, 6], 30, 3), ([8, 7, 6], 20, 2), ([8, 7, 6], 8, 1), ([8, 7, 6], 7, 0), ([], 5, 0)],
    ids=["all", "but the outermost", "the nearest", "none", "nothing"],
)
def test_the_quotes_beside_it_leave_it_room(sizes, room, kept):
    """The venue refuses reduce-only orders that are together more than the position (-2022)."""
    targets = [
        Target(Side.SELL, layer, 600_001, qty, 0, reduce_only=True, purpose=Purpose.PIN)
        for layer, qty in enumerate(sizes)
    ]
    assert beside(targets, room) == targets[:kept]


# -- its end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "ended"),
    [
        (order(Purpose.GRIND, Life.SENT), False),
        (order(Purpose.GRIND, Life.OPEN), False),
        (order(Purpose.GRIND, Life.CANCELLING), False),
        (order(Purpose.GRIND, Life.UNKNOWN), False),
        (order(Purpose.GRIND, Life.CLOSED, executed_steps=6), False),
        (order(Purpose.GRIND, Life.CLOSED, executed_steps=6, filled_steps=6), True),
        (None, True),
    ],
    ids=["sent", "open", "cancelling", "unknown", "fills missing", "all fills told", "forgotten: accounted for"],
)
def test_a_taker_is_tracked_to_its_end_and_to_its_last_fill(known, ended):
    grinder = Grinder()
    grinder.sent("id-g", 90, NOW)
    grinder.judge(GRINDING, Mode.PIN, 90, book_of(known) if known else OrderBook(), BTCUSDT)
    assert (grinder.taker_id == "") is ended
    assert grinder.reentry(OrderBook(), GRINDS, at(90), FEES, BTCUSDT, TOUCH) is None, "nothing of it is confirmed"


def test_a_taker_that_provably_got_nothing_costs_no_grind_of_the_hour_but_its_interval():
    grinder = Grinder(starts=[NOW - 100 * SECOND])
    grinder.sent("t", 90, NOW)
    assert len(grinder.starts) == 2
    grinder.judge(GRINDING, Mode.PIN, 90, OrderBook(), BTCUSDT)
    assert (grinder.starts, grinder.tried_ns, grinder.count) == ([NOW - 100 * SECOND], NOW, 0)
    assert not grinder.running
    assert not grinder.due(NOW + 41 * SECOND, GRINDS, Mode.PIN, 90, FLAT)


@pytest.mark.parametrize(
    ("mode", "position", "runs"),
    [
        (Mode.PIN, 84, True),
        (Mode.BLOCK, 95, True),
        (Mode.NORMAL, 60, False),
        (Mode.FLATTEN, 101, False),
        (Mode.LIQUIDATE, 111, False),
        (Mode.PIN, 0, False),
        (Mode.PIN, -84, False),
    ],
    ids=["pinned", "blocked", "normal", "flatten", "liquidate", "flat", "turned"],
)
def test_a_grind_is_over_when_the_position_is_not_stuck_any_more(mode, position, runs):
    grinder = taken()
    grinder.judge(GRINDING, mode, position, OrderBook(), BTCUSDT)
    assert grinder.running is runs


def test_a_grind_is_over_when_all_has_come_back():
    grinder = taken()
    grinder.on_fill(fill(Side.BUY, 12, 599_568), Purpose.REENTRY, BTCUSDT)
    grinder.judge(GRINDING, Mode.PIN, 90, book_of(order(Purpose.REENTRY, Life.CANCELLING)), BTCUSDT)
    assert grinder.running, "while anything is left of it"
    grinder.judge(GRINDING, Mode.PIN, 90, OrderBook(), BTCUSDT)
    assert not grinder.running


# -- the re-entry ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("position", "fees", "touch", "price"),
    [
        pytest.param(84, Fees(2.0, 5.0), TOUCH, 599_568, id="3: fees and 0.2 bps below the average"),
        pytest.param(84, Fees(0.0, 0.0), TOUCH, 599_748, id="3: 4.2 bps without fees"),
        pytest.param(84, Fees(-1.0, 3.0), TOUCH, 599_748, id="3: 4.2 bps where the rebate is more"),
        pytest.param(84, Fees(-1.0, 6.0), TOUCH, 599_688, id="3: a rebate is off the fees"),
        pytest.param(84, Fees(-0.5, -0.5), TOUCH, 599_748, id="3: negative fees"),
        pytest.param(-84, Fees(2.0, 5.0), TOUCH, 600_432, id="3: short: above the average"),
        pytest.param(84, Fees(2.0, 5.0), (599_500, 599_501), 599_500, id="2: never taking, long"),
        pytest.param(-84, Fees(2.0, 5.0), (600_700, 600_701), 600_701, id="2: never taking, short"),
    ],
)
def test_the_re_entry_is_better_than_the_takers_average_by_more_than_both_fees(position, fees, touch, price):
    side = Side.SELL if position > 0 else Side.BUY
    grinder = taken(side=side, position=position + 6 * -side)
    target = grinder.reentry(OrderBook(), GRINDS, at(position), fees, BTCUSDT, touch)
    assert (target.side, target.price_ticks) == (Side(-side), price)
    assert (target.layer, target.reduce_only, target.purpose) == (LAYER, False, Purpose.REENTRY)


def test_the_average_is_of_all_fills_of_the_taker():
    grinder = Grinder()
    grinder.sent("t", 90, NOW)
    for number, (qty, price) in enumerate([(1, 600_000), (2, 599_990), (3, 599_900)]):
        grinder.on_fill(fill(Side.SELL, qty, price, trade_id=number), Purpose.GRIND, BTCUSDT)
    grinder.judge(GRINDING, Mode.PIN, 84, OrderBook(), BTCUSDT)
    average = Fraction(1 * 600_000 + 2 * 599_990 + 3 * 599_900, 6)
    target = grinder.reentry(OrderBook(), GRINDS, at(84), FEES, BTCUSDT, TOUCH)
    assert target.price_ticks == int(average * (1 - Fraction(72, 100_000)))


@pytest.mark.parametrize(
    ("position", "changes", "others", "regained", "steps"),
    [
        pytest.param(80, {}, 0, 0, 12, id="3: 2.1 x what was taken"),
        pytest.param(84, {}, 0, 0, 11, id="3: up to Block, no further"),
        pytest.param(80, {}, 9, 0, 6, id="3: less the worst case of what else may fill"),
        pytest.param(80, {}, 0, 5, 7, id="less what has come back already"),
        pytest.param(95, {}, 0, 0, None, id="3: no room under Block"),
        pytest.param(94, {}, 0, 0, None, id="less than the exchange takes is never raised"),
        pytest.param(80, {"reentry": 0.0}, 0, 0, None, id="8: no re-entry"),
    ],
)
def test_the_re_entry_fits_under_block(position, changes, others, regained, steps):
    grinder = taken()
    grinder.regained_steps = regained
    others = book_of(order(Purpose.QUOTE, qty=others, layer=0)) if others else OrderBook()
    target = grinder.reentry(others, grinds(**changes), at(position), FEES, BTCUSDT, TOUCH)
    assert (target and target.qty_steps) == steps


RESTS = order(Purpose.REENTRY)


@pytest.mark.parametrize(
    ("known", "position", "stays"),
    [
        pytest.param([RESTS], at(84), True, id="what rests stays, wherever the market is"),
        pytest.param([order(Purpose.REENTRY, qty=12)], at(84), False, id="3: beyond Block it goes"),
        pytest.param([order(Purpose.REENTRY, qty=12)], at(83, 84), True, id="a fill told by the account first"),
        pytest.param([order(Purpose.REENTRY, Life.SENT)], at(84), False, id="on its way: nothing beside it"),
        pytest.param([order(Purpose.REENTRY, Life.UNKNOWN)], at(84), False, id="unknown: nothing beside it"),
        pytest.param([order(Purpose.REENTRY, Life.CANCELLING)], at(84), False, id="3: confirmed as gone first"),
        pytest.param([order(Purpose.REENTRY, Life.CLOSED, executed_steps=3)], at(84), False, id="fills missing"),
        pytest.param([order(Purpose.REENTRY, layer=-1)], at(84), False, id="of an older token"),
    ],
)
def test_there_is_one_re_entry(known, position, stays):
    target = taken().reentry(book_of(*known), GRINDS, position, FEES, BTCUSDT, (610_000, 610_001))
    assert (target is not None) is stays
    if target is not None:
        assert (target.price_ticks, target.qty_steps) == (known[0].price_ticks, known[0].exposure_steps)
        assert target.keep_ticks > 10**9, "its place is where it is"


def test_nothing_new_is_sent_while_fills_and_account_tell_different_positions():
    assert taken().reentry(OrderBook(), GRINDS, at(80, 86), FEES, BTCUSDT, TOUCH) is None


def test_block_is_where_the_guard_is():
    assert block_steps(GRINDS) == 95
    assert block_steps(msgspec.structs.replace(GRINDS, net_max_steps=7)) == 6


# -- what it saves ---------------------------------------------------------------------------------------------

LEGS = st.lists(st.tuples(st.integers(1, 9), st.integers(590_000, 610_000), st.integers(-900, 9_000)), max_size=6)


@bounded(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([90, -90]), LEGS, LEGS), max_size=5))
def test_saved_is_the_sum_over_the_fills_to_the_last_digit(runs):
    grinder, earned, fees, count = Grinder(), Fraction(0), 0, 0
    for position, takes, returns in runs:
        grinder.sent("t", position, NOW)
        side = 1 if position > 0 else -1
        for qty, price, fee in takes:
            grinder.on_fill(fill(Side(-side), qty, price, fee), Purpose.GRIND, BTCUSDT)
            fees += fee
        taken_steps = sum(qty for qty, _, _ in takes)
        if not taken_steps:
            continue
        count += 1
        average = Fraction(sum(BTCUSDT.notional(price, qty) for qty, price, _ in takes), taken_steps)
        for qty, price, fee in returns:
            grinder.on_fill(fill(Side(side), qty, price, fee), Purpose.REENTRY, BTCUSDT)
            fees += fee
        exact = side * sum(average * qty - BTCUSDT.notional(price, qty) for qty, price, _ in returns)
        earned += exact.__floor__()
    assert grinder.earned == earned
    assert sum(grinder.fees.values()) == fees
    assert grinder.count == count


def test_fees_are_kept_by_asset_and_other_orders_are_none_of_it():
    grinder = taken()
    grinder.on_fill(fill(Side.BUY, 3, 599_568, fee=7, asset="BNB"), Purpose.REENTRY, BTCUSDT)
    before = msgspec.msgpack.encode(grinder)
    for purpose in (Purpose.QUOTE, Purpose.PIN, Purpose.BLOCK, Purpose.FLATTEN, Purpose.LIQUIDATE, None):
        grinder.on_fill(fill(Side.SELL, 3, fee=9), purpose, BTCUSDT)
    assert msgspec.msgpack.encode(grinder) == before
    assert grinder.fees == {"BNB": 7}
    assert grinder.earned == 3 * BTCUSDT.notional(432, 1)


def test_a_fill_of_a_re_entry_that_came_when_the_grind_was_over_counts():
    grinder = taken()
    grinder.judge(GRINDING, Mode.NORMAL, 60, OrderBook(), BTCUSDT)
    grinder.on_fill(fill(Side.BUY, 2, 599_568), Purpose.REENTRY, BTCUSDT)
    assert grinder.earned == 2 * BTCUSDT.notional(432, 1)


# -- the next leader -------------------------------------------------------------------------------------------


def test_the_next_leader_counts_from_when_it_was_and_one_more_for_what_nobody_saw():
    grinder = taken()
    left = grinder.remembered(NOW + 5 * SECOND, OrderBook())
    theirs = left.recalled(3 * SECOND, observed_ns=2 * SECOND)
    assert theirs.starts == [-4 * SECOND, 3 * SECOND], "7 s ago at least, by another clock"
    assert theirs.tried_ns == 3 * SECOND
    assert (theirs.taken_steps, theirs.count, theirs.running) == (6, 1, True)
    assert grinder.starts == [NOW], "remembering changes nothing"


def test_who_remembers_nothing_takes_the_hour_for_used_up():
    grinder = Grinder()
    grinder.forgotten(NOW, 18)
    assert not grinder.due(NOW + HOUR_NS - 1, GRINDS, Mode.PIN, 90, FLAT)
    assert grinder.due(NOW + HOUR_NS, GRINDS, Mode.PIN, 90, FLAT)


def test_fills_of_the_orders_that_a_leader_has_left_are_of_its_grind():
    grinder = taken()
    mine = order(Purpose.REENTRY, Life.SENT)
    mine.client_id = "pxk3f9a0-0mf2x9q1-r1z"
    theirs = grinder.remembered(NOW, book_of(mine, order(Purpose.PIN))).recalled(0, 0)
    assert theirs.unresolved() == [mine.client_id]
    assert theirs.leg_of(77) is None
    theirs.named("somebody else's", 76)
    theirs.named(mine.client_id, 77)
    theirs.resolved()
    assert (theirs.unresolved(), theirs.leg_of(77)) == ([], Purpose.REENTRY)
    theirs.sent("t2", 90, NOW)
    assert theirs.leg_of(77) is None


def test_an_order_that_the_exchange_does_not_know_is_not_asked_for_again():
    grinder = Grinder(left={"pxk3f9a0-0mf2x9q1-g1z": 0})
    grinder.resolved()
    assert grinder.unresolved() == []
