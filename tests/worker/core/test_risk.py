"""The gate: every refusal, in its order, and no way round it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phoenix_worker.core.actions import ApprovedOrder, Purpose, WantedOrder
from phoenix_worker.core.events import EmergencyLevel, Request, Side
from phoenix_worker.core.instrument import SymbolStatus
from phoenix_worker.core.inventory import EVERYTHING, NOTHING, Mask, Mode, mask_of, reducing_only, strictest
from phoenix_worker.core.risk import ORDERS_KEPT_FOR_REDUCING, Denial, Pass, approve
from samples import BTCUSDT, GUARDS

BID, ASK = 600_000, 600_001
REDUCE_SELLS = Mask(buys=False, sells=True, reduce_only=True)


def facts(**fields):
    values = {
        "now_ns": 100,
        "trigger_ns": 90,
        "token": 1,
        "deadline_ns": 200,
        "blocked_until_ns": 0,
        "emergency": EmergencyLevel.NONE,
        "book_ok": True,
        "user_ok": True,
        "mask": EVERYTHING,
        "longest": 0,
        "shortest": 0,
        "buy_exposure": 0,
        "sell_exposure": 0,
        "worst_case_limit": 115,
        "buy_granted": 200,
        "sell_granted": 200,
        "bid_ticks": BID,
        "ask_ticks": ASK,
        "mark_ticks": 600_000.0,
        "sane_band": 0.02,
        "highest_own_buy": 0,
        "lowest_own_sell": 0,
        "open_orders": 0,
        "orders_left": 1_000,
    }
    assert fields.keys() <= values.keys()
    return Pass(**{**values, **fields})


def wanted(side=Side.BUY, price=None, qty=10, **fields):
    price = (BID - 10 if side is Side.BUY else ASK + 10) if price is None else price
    order = WantedOrder(Request.PLACE, "id", side, price, qty, False, Purpose.QUOTE, 0)
    return msgspec.structs.replace(order, **fields)


def verdict(order, *, added=None, instrument=BTCUSDT, **fields):
    return approve(order, order.qty_steps if added is None else added, instrument, facts(**fields))


REDUCING = {"reduce_only": True, "purpose": Purpose.PIN}
EMERGENCY = {"reduce_only": True, "purpose": Purpose.LIQUIDATE, "price_ticks": 0, "layer": -1}
REDUCES = msgspec.structs.replace(BTCUSDT, status=SymbolStatus.REDUCE_ONLY)
CLOSED = msgspec.structs.replace(BTCUSDT, status=SymbolStatus.NOT_TRADING)

LONG = {"longest": 50, "shortest": 50}
DENIALS = [
    (Denial.LEASE, wanted(), {"token": 0}),
    (Denial.LEASE, wanted(**EMERGENCY), {"token": 0}),
    (Denial.DEADLINE, wanted(), {"now_ns": 200}),
    (Denial.DEADLINE, wanted(**EMERGENCY), {"now_ns": 201}),
    (Denial.BLOCKED, wanted(), {"blocked_until_ns": 101}),
    (Denial.EMERGENCY, wanted(), {"emergency": EmergencyLevel.HALT}),
    (Denial.EMERGENCY, wanted(Side.SELL, **REDUCING), {"emergency": EmergencyLevel.FLATTEN, "shortest": 10}),
    (Denial.BOOK, wanted(), {"book_ok": False}),
    (Denial.USER_STREAM, wanted(), {"user_ok": False}),
    (Denial.MASK, wanted(), {"mask": NOTHING}),
    (Denial.MASK, wanted(), {"mask": REDUCE_SELLS}),
    (Denial.MASK, wanted(Side.SELL), {"mask": REDUCE_SELLS}),
    (Denial.SYMBOL, wanted(), {"instrument": CLOSED}),
    (Denial.SYMBOL, wanted(**EMERGENCY), {"instrument": CLOSED}),
    (Denial.SYMBOL, wanted(), {"instrument": REDUCES}),
    (Denial.GRID, wanted(price=0), {}),
    (Denial.GRID, wanted(**EMERGENCY, qty_steps=120_001), {"longest": -130_000}),
    (Denial.GRID, wanted(**EMERGENCY, qty_steps=0), LONG),
    (Denial.GRID, wanted(**{**EMERGENCY, "reduce_only": False}), {}),
    (Denial.GRID, wanted(price=5_560), {}),
    (Denial.GRID, wanted(Side.SELL, price=8_100_000), {}),
    (Denial.GRID, wanted(qty=0), {}),
    (Denial.GRID, wanted(qty=1_000_001), {}),
    (Denial.NOTIONAL, wanted(qty=1), {}),
    (Denial.WORST_CASE, wanted(qty=116), {}),
    (Denial.WORST_CASE, wanted(qty=10), {"longest": 100, "buy_exposure": 6}),
    (Denial.WORST_CASE, wanted(Side.SELL, qty=10), {"shortest": -100, "sell_exposure": 6}),
    (Denial.WORST_CASE, wanted(request=Request.AMEND), {"longest": 115, "added": 1}),
    (Denial.WORST_CASE, wanted(**REDUCING), {"buy_exposure": 106}),
    (Denial.WORST_CASE, wanted(**REDUCING), {**LONG, "buy_exposure": 56}),
    (Denial.WORST_CASE, wanted(Side.SELL), {**LONG, "sell_exposure": 156}),
    (Denial.WORST_CASE, wanted(Side.SELL, **REDUCING), {"sell_exposure": 106}),
    (Denial.RESERVATION, wanted(qty=10), {"buy_granted": 15, "buy_exposure": 6}),
    (Denial.RESERVATION, wanted(Side.SELL, qty=10), {"sell_granted": 9}),
    (Denial.PRICE_BAND, wanted(price=BID - 10), {"mark_ticks": 570_000.0}),
    (Denial.PRICE_BAND, wanted(Side.SELL), {"mark_ticks": 640_000.0}),
    (Denial.SANE_BAND, wanted(price=587_990), {}),
    (Denial.SANE_BAND, wanted(Side.SELL, price=612_010), {}),
    (Denial.WOULD_TAKE, wanted(price=ASK), {}),
    (Denial.WOULD_TAKE, wanted(Side.SELL, price=BID), {}),
    (Denial.OWN_CROSS, wanted(price=BID - 10), {"lowest_own_sell": BID - 10}),
    (Denial.OWN_CROSS, wanted(Side.SELL), {"highest_own_buy": ASK + 10}),
    (Denial.OPEN_ORDERS, wanted(), {"open_orders": 200}),
    (Denial.BUDGET, wanted(), {"orders_left": ORDERS_KEPT_FOR_REDUCING}),
    (Denial.BUDGET, wanted(request=Request.AMEND), {"orders_left": ORDERS_KEPT_FOR_REDUCING, "added": 0}),
    (Denial.BUDGET, wanted(Side.SELL, **REDUCING), {"orders_left": 0, "shortest": 20, "longest": 20}),
]


@pytest.mark.parametrize(
    ("denial", "order", "situation"), DENIALS, ids=lambda value: value if isinstance(value, Denial) else ""
)
def test_the_gate_refuses(denial, order, situation):
    assert verdict(order, **situation) is denial


def admitted(mode, halted, order):
    """Section 3, in plain words; the position is long."""
    if order.purpose is Purpose.LIQUIDATE and order.reduce_only:
        return True
    if mode is Mode.LIQUIDATE:
        return False
    if mode is Mode.NORMAL and not halted:
        return True
    if order.side is Side.SELL:
        return order.reduce_only
    return order.purpose is Purpose.REENTRY and mode is Mode.PIN and not halted


@pytest.mark.parametrize("reduce_only", [True, False], ids=["reduce-only", "opening"])
@pytest.mark.parametrize("side", list(Side), ids=lambda side: side.name.lower())
@pytest.mark.parametrize("purpose", list(Purpose), ids=lambda purpose: purpose.name.lower())
@pytest.mark.parametrize("halted", [False, True], ids=["", "halted"])
@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.name.lower())
def test_what_each_guard_admits(mode, halted, purpose, side, reduce_only):
    mask = mask_of(mode, 50, GUARDS)
    if halted:
        mask = strictest(mask, reducing_only(50))
    order = wanted(side, purpose=purpose, reduce_only=reduce_only)
    judged = verdict(order, mask=mask, longest=50, shortest=50)
    assert (judged is not Denial.MASK) is admitted(mode, halted, order)
    assert isinstance(judged, ApprovedOrder) is admitted(mode, halted, order), "nothing else stands against it"


@pytest.mark.parametrize(
    ("purpose", "reduce_only", "takes"),
    [(purpose, reduce_only, purpose in (Purpose.GRIND, Purpose.LIQUIDATE) and reduce_only)
     for purpose in Purpose for reduce_only in (True, False)],
    ids=lambda value: value.name.lower() if isinstance(value, Purpose) else "",
)  # fmt: skip
def test_only_what_takes_a_position_off_may_take(purpose, reduce_only, takes):
    judged = verdict(wanted(Side.SELL, BID, purpose=purpose, reduce_only=reduce_only), longest=50, shortest=50)
    assert (judged is not Denial.WOULD_TAKE) is takes


def test_a_taker_never_crosses_an_order_of_our_own():
    order = wanted(Side.SELL, BID - 20, purpose=Purpose.GRIND, reduce_only=True)
    assert verdict(order, longest=50, shortest=50, highest_own_buy=BID - 20) is Denial.OWN_CROSS
    assert isinstance(verdict(order, longest=50, shortest=50, highest_own_buy=BID - 21), ApprovedOrder)


def test_every_reason_of_the_gate_is_in_the_table():
    assert {denial for denial, _, _ in DENIALS} == set(Denial)


def market(bid, ask, **fields):
    """A book with room for any size."""
    room = {"worst_case_limit": 2_000_000, "buy_granted": 2_000_000, "sell_granted": 2_000_000, "sane_band": 0.1}
    return {"bid_ticks": bid, "ask_ticks": ask, "mark_ticks": 0.0, **room, **fields}


APPROVED = [
    ("a quote", wanted(), {}),
    ("up to the worst case", wanted(qty=115), {}),
    ("a sell up to the worst case", wanted(Side.SELL, qty=115), {}),
    ("up to what is granted", wanted(qty=10), {"buy_granted": 10}),
    ("the last moment before the deadline", wanted(), {"now_ns": 199}),
    ("a reducing order beyond the worst case", wanted(Side.SELL, **REDUCING), {**LONG, "sell_exposure": 500}),
    ("a reducing buy beyond it", wanted(**REDUCING), {"longest": -50, "shortest": -50, "buy_exposure": 500}),
    ("a reducing order of the last step", wanted(Side.SELL, **REDUCING), {"shortest": 1, "sell_exposure": 500}),
    ("a reducing order without a grant", wanted(Side.SELL, **REDUCING), {**LONG, "sell_granted": 0}),
    ("a reducing order below the minimum notional", wanted(Side.SELL, qty=1, **REDUCING), LONG),
    ("a reducing order from the reserve of the budget", wanted(Side.SELL, **REDUCING), {**LONG, "orders_left": 1}),
    ("a reducing order of a symbol that only reduces", wanted(Side.SELL, **REDUCING), {**LONG, "instrument": REDUCES}),
    ("an amend that adds nothing beyond the limit", wanted(request=Request.AMEND), {"longest": 200, "added": 0}),
    ("an amend where as many orders rest as may", wanted(request=Request.AMEND, venue_id=5), {"open_orders": 200}),
    ("an amend before its venue id is known", wanted(request=Request.AMEND), {"open_orders": 200}),
    ("without a mark there is no band of it", wanted(), {"mark_ticks": 0.0}),
    ("at the touch", wanted(price=BID), {}),
    ("at the least price", wanted(price=5_561, qty=200), market(5_561, 5_562)),
    ("at the largest price", wanted(Side.SELL, price=8_099_999), market(8_099_997, 8_099_998)),
    ("of the largest quantity", wanted(qty=1_000_000), market(BID, ASK)),
    ("an emergency order of the least quantity", wanted(Side.SELL, **EMERGENCY, qty_steps=1), LONG),
    ("an emergency order of the largest", wanted(Side.SELL, **EMERGENCY, qty_steps=120_000), {"shortest": 130_000}),
    ("of just the least notional", wanted(price=500_000, qty=2), market(500_000, 500_001)),
    ("a buy at the end of the exchange's band", wanted(price=105_000), market(105_000, 105_001, mark_ticks=1e5)),
    ("a sell at its other end", wanted(Side.SELL, 95_000, 20), market(94_999, 95_000, mark_ticks=1e5)),
    ("a buy at the end of our own", wanted(price=98_000, qty=20), market(99_000, 101_000, sane_band=0.02)),
    ("a sell at its other end, too", wanted(Side.SELL, 102_000), market(99_000, 101_000, sane_band=0.02)),
    ("a tick below our own sell", wanted(price=BID - 10), {"lowest_own_sell": BID - 9}),
    ("a tick above our own buy", wanted(Side.SELL), {"highest_own_buy": ASK + 9}),
    ("where one more order may rest", wanted(), {"open_orders": 199}),
    ("with one more order in the budget", wanted(), {"orders_left": ORDERS_KEPT_FOR_REDUCING + 1}),
    ("once the exchange backs us off no longer", wanted(), {"blocked_until_ns": 100}),
    (
        "an emergency order under an emergency",
        wanted(Side.SELL, **EMERGENCY),
        {**LONG, "emergency": EmergencyLevel.FLATTEN},
    ),
    (
        "an emergency order on a broken book",
        wanted(Side.SELL, **EMERGENCY),
        {**LONG, "book_ok": False, "user_ok": False},
    ),
    ("an emergency order under any mask", wanted(Side.SELL, **EMERGENCY), {**LONG, "mask": NOTHING}),
    ("an emergency limit through the book", wanted(Side.SELL, **{**EMERGENCY, "price_ticks": 590_000}), LONG),
]


@pytest.mark.parametrize(("order", "situation"), [row[1:] for row in APPROVED], ids=[row[0] for row in APPROVED])
def test_the_gate_approves(order, situation):
    approved = verdict(order, **situation)
    assert isinstance(approved, ApprovedOrder)
    assert (approved.order, approved.deadline_ns, approved.trigger_ns) == (order, 200, 90)


@given(st.lists(st.tuples(st.sampled_from(list(Side)), st.integers(1, 60), st.integers(-400, 400)), max_size=30))
def test_what_one_pass_approves_together_fits_and_never_crosses(orders):
    situation = facts(longest=20, shortest=-10, buy_granted=90, sell_granted=100, orders_left=28)
    approved = []
    for side, qty, offset in orders:
        order = wanted(side, price=BID + offset, qty=qty)
        if isinstance(approve(order, qty, BTCUSDT, situation), ApprovedOrder):
            approved.append(order)
    buys = [order for order in approved if order.side is Side.BUY]
    sells = [order for order in approved if order.side is Side.SELL]
    assert 20 + sum(order.qty_steps for order in buys) <= 115
    assert 10 + sum(order.qty_steps for order in sells) <= 115
    assert sum(order.qty_steps for order in buys) <= 90
    assert len(approved) <= 8
    if buys and sells:
        assert max(order.price_ticks for order in buys) < min(order.price_ticks for order in sells)


@pytest.mark.parametrize(
    ("order", "added", "taken"),
    [
        (wanted(), 10, {"orders_left": 29, "open_orders": 6, "buy_exposure": 13, "highest_own_buy": BID - 10}),
        (wanted(price=BID - 30), 10, {"orders_left": 29, "open_orders": 6, "buy_exposure": 13}),
        (
            wanted(Side.SELL),
            10,
            {"orders_left": 29, "open_orders": 6, "sell_exposure": 14, "lowest_own_sell": ASK + 10},
        ),
        (wanted(Side.SELL, ASK + 30), 10, {"orders_left": 29, "open_orders": 6, "sell_exposure": 14}),
        (wanted(request=Request.AMEND), 2, {"orders_left": 29, "buy_exposure": 5, "highest_own_buy": BID - 10}),
    ],
    ids=["a buy", "a buy further away", "a sell", "a sell further away", "an amend"],
)
def test_an_approval_takes_its_room_and_nothing_else(order, added, taken):
    before = {"orders_left": 30, "open_orders": 5, "buy_exposure": 3, "sell_exposure": 4}
    prices = {"highest_own_buy": BID - 20, "lowest_own_sell": ASK + 20}
    situation = facts(**before, **prices)
    assert isinstance(approve(order, added, BTCUSDT, situation), ApprovedOrder)
    assert situation == facts(**{**before, **prices, **taken})


def test_the_first_own_sell_of_a_pass_is_the_lowest():
    situation = facts()
    assert isinstance(approve(wanted(Side.SELL), 10, BTCUSDT, situation), ApprovedOrder)
    assert situation.lowest_own_sell == ASK + 10


def test_a_market_order_moves_no_own_price():
    situation = facts(**LONG, lowest_own_sell=700_000)
    assert isinstance(approve(wanted(Side.SELL, **EMERGENCY), 10, BTCUSDT, situation), ApprovedOrder)
    assert situation.lowest_own_sell == 700_000


def test_the_first_reason_is_told():
    everything_wrong = {"token": 0, "now_ns": 300, "book_ok": False, "user_ok": False, "mask": NOTHING}
    assert verdict(wanted(qty=0), **everything_wrong) is Denial.LEASE


@pytest.mark.parametrize("side", list(Side), ids=lambda side: side.name.lower())
@pytest.mark.parametrize(
    ("room", "denial"),
    [
        ({}, Denial.WORST_CASE),
        ({"worst_case_limit": 200, "buy_granted": 80, "sell_granted": 80}, Denial.RESERVATION),
    ],
    ids=["limit", "grant"],
)
def test_what_one_approval_takes_is_gone_for_the_next_of_the_pass(side, room, denial):
    situation = facts(**room)
    assert isinstance(approve(wanted(side, qty=60), 60, BTCUSDT, situation), ApprovedOrder)
    assert approve(wanted(side, qty=60), 60, BTCUSDT, situation) is denial
