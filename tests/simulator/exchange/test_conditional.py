"""Conditional orders: which price meets which condition, what is placed then, and what becomes of it."""

from decimal import Decimal

import pytest
from phoenix_simulator.exchange.algo_orders import AlgoRef, AlgoStatus, ConditionalType, NewAlgoOrder, WorkingType
from phoenix_simulator.exchange.conditional import ConditionalOrders
from phoenix_simulator.exchange.events import AlgoUpdated, OrderUpdated
from phoenix_simulator.exchange.orders import OrderRef, OrderStatus, OrderType, PositionSide, Side, TimeInForce
from phoenix_simulator.exchange.symbols import E8

BUY, SELL = Side.BUY, Side.SELL
STOP, TAKE = ConditionalType.STOP_MARKET, ConditionalType.TAKE_PROFIT_MARKET
TRAIL = ConditionalType.TRAILING_STOP_MARKET
MARK = WorkingType.MARK_PRICE


class Desk:
    """Conditional orders on a venue with a deep book around 60 000."""

    def __init__(self, venue):
        self.venue = venue
        self.orders = ConditionalOrders(venue.exchange)

    def place(self, side, kind, trigger=None, quantity="0.010", account_id="maker", **fields):
        fields.setdefault("working_type", MARK)
        for name in ("price", "activate_price", "callback_rate"):
            if name in fields:
                fields[name] = Decimal(fields[name])
        request = NewAlgoOrder(
            symbol="BTCUSDT",
            side=side,
            type=kind,
            trigger_price=None if trigger is None else Decimal(trigger),
            quantity=None if quantity is None else Decimal(quantity),
            **fields,
        )
        return self.orders.place(account_id, request, self.venue.now)

    def status(self, algo):
        return self.orders.find(algo.account_id, AlgoRef(algo.algo_id)).status

    def story(self):
        return [event.algo.status for event in self.venue.heard(AlgoUpdated)]


@pytest.fixture
def desk(open_venue):
    levels = range(0, 5000, 10)
    venue = open_venue(bids=tuple((600_000 - i, 1000) for i in levels), asks=tuple((600_001 + i, 1000) for i in levels))
    venue.account()
    return Desk(venue)


@pytest.mark.parametrize(
    ("side", "kind", "trigger", "misses", "meets"),
    [
        pytest.param(BUY, STOP, "60100", "60099.9", "60100", id="a stop buys at or above"),
        pytest.param(SELL, STOP, "59900", "59900.1", "59900", id="a stop sells at or below"),
        pytest.param(BUY, TAKE, "59900", "59900.1", "59900", id="a profit is bought at or below"),
        pytest.param(SELL, TAKE, "60100", "60099.9", "60100", id="a profit is sold at or above"),
    ],
)
def test_a_price_meets_the_condition_or_does_not(desk, side, kind, trigger, misses, meets):
    algo = desk.place(side, kind, trigger)
    desk.venue.mark(misses)
    assert desk.status(algo) is AlgoStatus.NEW
    desk.venue.mark(meets)
    assert desk.status(algo) is AlgoStatus.FINISHED
    assert desk.venue.position().steps == 10 * side.sign
    assert desk.story() == [AlgoStatus.NEW, AlgoStatus.TRIGGERING, AlgoStatus.TRIGGERED, AlgoStatus.FINISHED]


def test_the_contracts_price_is_that_of_the_last_trade_and_the_mark_another_one(desk):
    by_trade = desk.place(BUY, STOP, "60050", working_type=WorkingType.CONTRACT_PRICE)
    by_mark = desk.place(BUY, STOP, "60050")
    desk.venue.mark("60049")
    desk.venue.background_buys(1000 * 60)
    assert (desk.status(by_trade), desk.status(by_mark)) == (AlgoStatus.FINISHED, AlgoStatus.NEW)
    desk.venue.mark("60050")
    assert desk.status(by_mark) is AlgoStatus.FINISHED


def test_what_a_sweep_runs_over_is_sent_after_it(desk):
    desk.place(SELL, STOP, "59990", working_type=WorkingType.CONTRACT_PRICE)
    desk.venue.account("other")
    desk.venue.heard()
    desk.venue.market(SELL, "30", "other")
    events = desk.venue.heard(OrderUpdated)
    assert [event.account_id for event in events][-2:] == ["maker", "maker"]
    swept = [event.fill.price_ticks for event in events if event.account_id == "other" and event.fill]
    sent = [event.fill.price_ticks for event in events if event.account_id == "maker" and event.fill]
    assert min(swept) >= max(sent)


def test_one_that_triggers_another_sees_to_both(desk):
    first = desk.place(BUY, STOP, "60010", quantity="20", working_type=WorkingType.CONTRACT_PRICE)
    second = desk.place(BUY, STOP, "60015", working_type=WorkingType.CONTRACT_PRICE)
    desk.venue.background_buys(11_000)
    assert (desk.status(first), desk.status(second)) == (AlgoStatus.FINISHED, AlgoStatus.FINISHED)


def test_a_stop_limit_rests_and_is_finished_with_its_order(desk):
    algo = desk.place(BUY, ConditionalType.STOP, "60100", price="59000", client_algo_id="px-1")
    desk.venue.mark("60100")
    assert desk.status(algo) is AlgoStatus.TRIGGERED
    (order,) = desk.venue.exchange.open_orders("maker")
    assert (order.type, order.price_ticks, order.client_order_id) == (OrderType.LIMIT, 590_000, "px-1")
    assert order.time_in_force is TimeInForce.GTC
    desk.venue.cancel(order)
    assert desk.status(algo) is AlgoStatus.FINISHED


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_trailing_stop_follows_the_price_and_turns_with_it(desk, side):
    algo = desk.place(side, TRAIL, callback_rate="1", activate_price=str(60_000 - side.sign * 500))
    for moved, status in (
        (400, AlgoStatus.NEW),
        (-600, AlgoStatus.NEW),
        (500, AlgoStatus.NEW),
        (1_000, AlgoStatus.NEW),
        (420, AlgoStatus.NEW),
        (390, AlgoStatus.FINISHED),
    ):
        desk.venue.mark(str(60_000 - side.sign * moved))
        assert desk.status(algo) is status, moved


def test_a_trailing_stop_without_activation_follows_at_once(desk):
    algo = desk.place(SELL, TRAIL, callback_rate="0.5")
    desk.venue.mark("59701")
    assert desk.status(algo) is AlgoStatus.NEW
    desk.venue.mark("59700")
    assert desk.status(algo) is AlgoStatus.FINISHED


def test_closing_takes_the_whole_position_as_it_is_then(desk):
    desk.venue.long("0.030")
    algo = desk.place(SELL, STOP, "59900", quantity=None, close_position=True)
    desk.venue.long("0.020")
    desk.venue.mark("59900")
    assert desk.status(algo) is AlgoStatus.FINISHED
    assert desk.venue.position().steps == 0


def test_closing_nothing_expires(desk):
    algo = desk.place(SELL, STOP, "59900", quantity=None, close_position=True)
    desk.venue.mark("59900")
    assert desk.status(algo) is AlgoStatus.EXPIRED


def test_in_hedge_mode_it_closes_its_own_position(desk):
    desk.venue.exchange.set_position_mode("maker", True)
    desk.venue.market(BUY, "0.030", position_side=PositionSide.LONG)
    desk.venue.market(SELL, "0.010", position_side=PositionSide.SHORT)
    desk.place(SELL, STOP, "59900", quantity=None, close_position=True, position_side=PositionSide.LONG)
    desk.venue.mark("59900")
    holding = desk.venue.holding()
    assert (holding.long.steps, holding.short.steps) == (0, -10)


def test_what_the_engine_refuses_is_rejected_with_its_reason(desk):
    desk.venue.account("poor", usdt=10)
    poor = desk.place(BUY, STOP, "60100", account_id="poor")
    reduce = desk.place(SELL, STOP, "59900", reduce_only=True)
    desk.venue.mark("60100")
    desk.venue.mark("59900")
    found = [desk.orders.find(algo.account_id, AlgoRef(algo.algo_id)) for algo in (poor, reduce)]
    assert [(algo.status, algo.reject_reason) for algo in found] == [
        (AlgoStatus.REJECTED, "Margin is insufficient."),
        (AlgoStatus.REJECTED, "ReduceOnly Order is rejected."),
    ]


def test_with_price_protection_it_waits_until_the_prices_agree(desk):
    desk.venue.background_buys(100)
    algo = desk.place(BUY, STOP, "63500", price_protect=True)
    desk.venue.mark("63500")
    assert desk.status(algo) is AlgoStatus.NEW
    desk.venue.mark("63100")
    assert desk.status(algo) is AlgoStatus.NEW
    desk.venue.depth(asks=[(600_001 + i, 0) for i in range(0, 5000, 10)] + [(620_000, 1000)])
    desk.venue.background_buys(10)
    desk.venue.mark("63500")
    assert desk.status(algo) is AlgoStatus.FINISHED


def test_cancelled_is_never_sent(desk):
    algo = desk.place(BUY, STOP, "60100")
    others = [desk.place(SELL, STOP, "59900") for _ in range(2)]
    desk.orders.cancel("maker", AlgoRef(algo.algo_id), desk.venue.now)
    assert desk.orders.cancel_all("maker", "BTCUSDT", desk.venue.now) == 2
    for price in ("60100", "59900"):
        desk.venue.mark(price)
    assert {desk.status(each) for each in (algo, *others)} == {AlgoStatus.CANCELED}
    assert desk.venue.position().steps == 0
    assert desk.venue.refused(desk.orders.cancel, "maker", AlgoRef(algo.algo_id), desk.venue.now) == -2011
    assert desk.venue.refused(desk.orders.find, "maker", AlgoRef(1)) == -2013


def test_one_accounts_orders_are_not_anothers(desk):
    desk.venue.account("other")
    algo = desk.place(BUY, STOP, "60100")
    assert desk.venue.refused(desk.orders.cancel, "other", AlgoRef(algo.algo_id), desk.venue.now) == -2011
    assert desk.venue.refused(desk.orders.find, "other", AlgoRef(algo.algo_id)) == -2013
    assert desk.orders.open("other") == []


def test_a_client_id_in_use_is_left_to_the_order_that_has_it(desk):
    resting = desk.venue.limit(BUY, "0.010", "59000", client_order_id="px-1")
    algo = desk.place(BUY, STOP, "60100", client_algo_id="px-1")
    desk.venue.mark("60100")
    assert desk.status(algo) is AlgoStatus.FINISHED
    order_id = desk.orders.find("maker", AlgoRef(algo.algo_id)).order_id
    assert desk.venue.query(resting).status is OrderStatus.NEW
    filled = desk.venue.exchange.order("maker", "BTCUSDT", OrderRef(order_id), desk.venue.now)
    assert filled.client_order_id != "px-1"


BASE = {"side": SELL, "kind": STOP, "trigger": "59900"}
LIMIT = BASE | {"kind": ConditionalType.STOP, "price": "59000"}
TRAILING = {"side": SELL, "kind": TRAIL, "callback_rate": "1"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param(BASE, None, id="a plain stop passes"),
        pytest.param(BASE | {"trigger": None}, -1102, id="no trigger"),
        pytest.param(BASE | {"quantity": None}, -1102, id="no quantity"),
        pytest.param(BASE | {"price": "59000"}, -1106, id="price of a market order"),
        pytest.param(BASE | {"callback_rate": "1"}, -1106, id="callback of a plain stop"),
        pytest.param(BASE | {"activate_price": "60100"}, -1106, id="activation of a plain stop"),
        pytest.param(LIMIT, None, id="a stop limit passes"),
        pytest.param(BASE | {"kind": ConditionalType.STOP}, -1102, id="no price"),
        pytest.param(LIMIT | {"close_position": True, "quantity": None}, -4136, id="a limit cannot close all"),
        pytest.param(BASE | {"close_position": True}, -4137, id="close all with a quantity"),
        pytest.param(
            BASE | {"close_position": True, "quantity": None, "reduce_only": True}, -1106, id="close all reduces anyway"
        ),
        pytest.param(TRAILING, None, id="a trailing stop passes"),
        pytest.param(TRAILING | {"callback_rate": "10"}, None, id="callback of 10 %"),
        pytest.param(TRAILING | {"callback_rate": "10.1"}, -1130, id="callback beyond 10 %"),
        pytest.param(TRAILING | {"callback_rate": "0.05"}, -1130, id="callback below 0.1 %"),
        pytest.param({"side": SELL, "kind": TRAIL}, -1102, id="no callback"),
        pytest.param(TRAILING | {"trigger": "59900"}, -1106, id="trigger of a trailing stop"),
        pytest.param(TRAILING | {"activate_price": "60100"}, None, id="a sale is activated above"),
        pytest.param(TRAILING | {"activate_price": "59900"}, -2021, id="a sale is not activated below"),
        pytest.param(TRAILING | {"side": BUY, "activate_price": "60100"}, -2021, id="a buy is not activated above"),
        pytest.param(BASE | {"trigger": "60100"}, -2021, id="a stop that is met already"),
        pytest.param(BASE | {"kind": TAKE}, -2021, id="a profit that is met already"),
        pytest.param(BASE | {"trigger": "59900.05"}, -4014, id="trigger off tick"),
        pytest.param(BASE | {"trigger": "59900.001"}, -1111, id="decimals of the trigger"),
        pytest.param(BASE | {"trigger": "0"}, -4001, id="trigger 0"),
        pytest.param(LIMIT | {"price": "4529764.1"}, -4002, id="price above max"),
        pytest.param(BASE | {"quantity": "0.0001"}, -1111, id="decimals of the quantity"),
        pytest.param(BASE | {"quantity": "121"}, -4005, id="more than a market order may have"),
        pytest.param(BASE | {"client_algo_id": "spa ce"}, -4015, id="client id"),
        pytest.param(BASE | {"client_algo_id": "taken"}, -4116, id="client id in use"),
        pytest.param(BASE | {"position_side": PositionSide.LONG}, -4061, id="side of the other mode"),
        pytest.param(LIMIT | {"time_in_force": TimeInForce.GTD}, -1102, id="GTD without a date"),
        pytest.param(LIMIT | {"good_till_ms": 1}, -1106, id="a date without GTD"),
    ],
)
def test_what_can_be_judged_before_is(desk, fields, code):
    desk.place(BUY, STOP, "61000", client_algo_id="taken")
    if code is None:
        assert desk.place(**fields).status is AlgoStatus.NEW
    else:
        assert desk.venue.refused(desk.place, **fields) == code
        assert len(desk.orders.open("maker")) == 1


def test_no_more_than_the_symbol_admits(desk):
    for _ in range(200):
        desk.place(BUY, STOP, "61000")
    assert desk.venue.refused(desk.place, BUY, STOP, "61000") == -4045


def test_before_the_first_trade_the_mark_stands_for_the_contracts_price(desk):
    assert desk.venue.listing.last_price_ticks == 0
    fields = {"working_type": WorkingType.CONTRACT_PRICE}
    assert desk.venue.refused(desk.place, BUY, STOP, "59999", **fields) == -2021
    assert desk.place(BUY, STOP, "60001", **fields).trigger_e8 == 60_001 * E8
