"""The precision chain: which refusal a bad request meets, and which one first."""

from decimal import Decimal

import msgspec
import pytest
from phoenix_simulator.exchange.errors import VenueError
from phoenix_simulator.exchange.orders import (
    NewOrder,
    OrderStatus,
    OrderType,
    PositionSide,
    PriceMatch,
    Side,
    StpMode,
    TimeInForce,
)
from phoenix_simulator.exchange.symbols import BUILT_IN, SymbolStatus

BUY, SELL = Side.BUY, Side.SELL

LIMIT = {
    "symbol": "BTCUSDT",
    "side": BUY,
    "type": OrderType.LIMIT,
    "quantity": Decimal("0.010"),
    "price": Decimal(59_000),
    "time_in_force": TimeInForce.GTC,
}
MARKET = LIMIT | {"type": OrderType.MARKET, "price": None, "time_in_force": None}


@pytest.fixture
def code_of(venue):
    """The code that this request is refused with, or None; `test` and `place` agree on it."""

    def code(fields):
        request = NewOrder(**fields)
        try:
            venue.exchange.test("maker", request, venue.now)
        except VenueError as error:
            found = error.code
        else:
            return None
        assert venue.refused(venue.exchange.place, "maker", request, venue.now) == found
        return found

    return code


def dec(**fields):
    return {name: Decimal(value) if isinstance(value, str) else value for name, value in fields.items()}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({}, None, id="a plain limit order passes"),
        pytest.param({"time_in_force": None}, -1102, id="limit without timeInForce"),
        pytest.param({"price": None}, -1102, id="limit without price"),
        pytest.param({"symbol": "NOPE"}, -1121, id="unknown symbol"),
        pytest.param({"client_order_id": "a" * 36}, None, id="client id of 36"),
        pytest.param({"client_order_id": "a" * 37}, -4015, id="client id of 37"),
        pytest.param({"client_order_id": "spa ce"}, -4015, id="client id with a space"),
        pytest.param({"client_order_id": ""}, -4015, id="empty client id"),
        pytest.param({"client_order_id": "px-1\n"}, -4015, id="client id with a newline"),
        pytest.param({"client_order_id": "px-1.A:/z_9"}, None, id="client id of all allowed kinds"),
        pytest.param(dec(price="59000.001"), -1111, id="three decimals of two in price"),
        pytest.param(dec(price="59000.100"), None, id="trailing zeros are no decimals"),
        pytest.param(dec(quantity="0.0105"), -1111, id="four decimals of three in quantity"),
        pytest.param(dec(price="0"), -4001, id="price 0"),
        pytest.param(dec(price="-1"), -4001, id="negative price"),
        pytest.param(dec(price="4529764.1"), -4002, id="above max price"),
        pytest.param(dec(price="1e1000"), -4002, id="absurd price"),
        pytest.param(dec(price="556.7"), -4013, id="below min price"),
        pytest.param(dec(price="59000.05"), -4014, id="off tick"),
        pytest.param(dec(quantity="0"), -4003, id="quantity 0"),
        pytest.param(dec(quantity="-0.010"), -4003, id="negative quantity"),
        pytest.param(dec(quantity="1000.001"), -4005, id="above max quantity"),
        pytest.param(dec(quantity="0.001", price="49999"), -4164, id="below min notional"),
        pytest.param(dec(quantity="0.001", price="50000"), None, id="exactly min notional"),
        pytest.param(dec(price="63000.1"), -4016, id="buy above mark × 1.05"),
        pytest.param(dec(price="63000.0"), None, id="buy at mark × 1.05"),
        pytest.param(dec(price="57000.0") | {"side": SELL}, None, id="sell at mark × 0.95"),
        pytest.param(dec(price="30000"), None, id="buy far below mark"),
        pytest.param(dec(price="56999.9") | {"side": SELL}, -4024, id="sell below mark × 0.95"),
        pytest.param(dec(price="90000") | {"side": SELL}, None, id="sell far above mark"),
        pytest.param({"position_side": PositionSide.LONG}, -4061, id="hedge side in one-way mode"),
        pytest.param({"reduce_only": True}, -2022, id="reduce-only when flat"),
        pytest.param({"quantity": Decimal(800), "price": Decimal(59_000)}, -2019, id="more than the margin"),
        pytest.param({"good_till_ms": 1_760_001_000_000}, -1106, id="goodTillDate without GTD"),
        pytest.param({"time_in_force": TimeInForce.GTD}, -1102, id="GTD without goodTillDate"),
        pytest.param(
            {"time_in_force": TimeInForce.GTD, "good_till_ms": 1_760_000_600_000}, -5040, id="GTD within 600 s"
        ),
        pytest.param(
            {"time_in_force": TimeInForce.GTD, "good_till_ms": 1_760_000_600_001}, None, id="GTD beyond 600 s"
        ),
        pytest.param(
            {"time_in_force": TimeInForce.GTD, "good_till_ms": 253_402_300_799_000},
            -5040,
            id="GTD beyond the year 9999",
        ),
    ],
)
def test_a_limit_order_meets(code_of, change, code):
    assert code_of(LIMIT | change) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({}, None, id="a plain market order passes"),
        pytest.param({"price": Decimal(59_000)}, -1106, id="market with price"),
        pytest.param({"time_in_force": TimeInForce.IOC}, -1106, id="market with timeInForce"),
        pytest.param({"price_match": PriceMatch.QUEUE}, -5038, id="market with priceMatch"),
        pytest.param(dec(quantity="120.001"), -4005, id="above MARKET_LOT_SIZE"),
        pytest.param(dec(quantity="0.001"), None, id="notional at mark of 60 is enough"),
    ],
)
def test_a_market_order_meets(code_of, change, code):
    assert code_of(MARKET | change) == code


def test_a_market_orders_notional_is_at_mark(venue):
    venue.mark("49999")
    assert venue.refused(venue.market, SELL, "0.001") == -4164


def test_a_price_with_enough_decimals_but_off_the_tick_is_a_tick_error_not_a_precision_error(open_venue):
    venue = open_venue(spec=BUILT_IN["SOLUSDT"], bids=((14_999, 10),), asks=((15_001, 10),))
    venue.account()
    venue.mark("150")
    assert venue.refused(venue.limit, BUY, "1", "149.9951") == -4014
    assert venue.refused(venue.limit, BUY, "1", "149.99511") == -1111


def test_a_quantity_off_the_step_is_a_step_error(open_venue):
    spec = msgspec.structs.replace(BUILT_IN["BTCUSDT"], quantity_precision=4)
    venue = open_venue(spec=spec)
    venue.account()
    assert venue.refused(venue.limit, BUY, "0.0105", "59000") == -4023
    assert venue.refused(venue.limit, BUY, "0.0001", "59000") == -4004


CHAIN = [
    ("presence", {"time_in_force": None}, -1102),
    ("client id", {"client_order_id": "?"}, -4015),
    ("decimals", {"quantity": Decimal("0.0000001")}, -1111),
    ("price", {"price": Decimal("59000.05")}, -4014),
    ("quantity", {"quantity": Decimal(0)}, -4003),
    ("notional", {"quantity": Decimal("0.001"), "price": Decimal(49_000), "side": SELL}, -4164),
    ("percent price", {"price": Decimal(64_000)}, -4016),
    ("position side", {"position_side": PositionSide.SHORT}, -4061),
    ("reduce-only", {"reduce_only": True}, -2022),
]


@pytest.mark.parametrize("first", range(len(CHAIN)), ids=[name for name, _, _ in CHAIN])
def test_the_earlier_link_of_the_chain_speaks_first(code_of, first):
    """Each fault together with every later one (but reduce-only orders have no minimum notional)."""
    name, fault, code = CHAIN[first]
    for later_name, later, _ in CHAIN[first + 1 :]:
        if (name, later_name) == ("notional", "reduce-only"):
            continue
        assert code_of(LIMIT | later | fault) == code


def test_a_client_id_is_unique_among_open_orders_only(venue):
    order = venue.limit(BUY, "0.010", "59000", client_order_id="px-1")
    assert venue.refused(venue.limit, BUY, "0.010", "58000", client_order_id="px-1") == -4116
    venue.cancel(order)
    again = venue.limit(BUY, "0.010", "58000", client_order_id="px-1")
    assert again.order_id > order.order_id


def test_two_accounts_may_use_one_client_id(venue):
    venue.account("other")
    venue.limit(BUY, "0.010", "59000", client_order_id="px-1")
    assert venue.limit(BUY, "0.010", "59000", client_order_id="px-1", account_id="other").status is OrderStatus.NEW


def test_no_more_than_max_num_orders_may_be_open(venue):
    for index in range(venue.spec.max_num_orders):
        venue.limit(BUY, "0.001", str(58_000 - index))
    assert venue.refused(venue.limit, BUY, "0.001", "57000") == -2025
    venue.cancel(venue.exchange.open_orders("maker")[0])
    assert venue.limit(BUY, "0.001", "57000").status is OrderStatus.NEW


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (SymbolStatus.PENDING_TRADING, -4140),
        (SymbolStatus.PRE_DELIVERING, -4140),
        (SymbolStatus.DELIVERING, -4140),
        (SymbolStatus.DELIVERED, -4141),
        (SymbolStatus.PRE_SETTLE, -4140),
        (SymbolStatus.SETTLING, -4140),
        (SymbolStatus.CLOSE, -4141),
    ],
)
def test_a_symbol_out_of_trading_takes_no_orders_but_cancels(venue, status, code):
    order = venue.limit(BUY, "0.010", "59000")
    venue.exchange.set_status(venue.symbol, status, venue.now)
    venue.heard()
    assert venue.refused(venue.limit, BUY, "0.010", "58000") == code
    if not status.is_final:
        assert venue.cancel(order).status is OrderStatus.CANCELED


@pytest.mark.parametrize(
    ("side", "match", "ticks"),
    [
        (BUY, PriceMatch.OPPONENT, 600_001),
        (BUY, PriceMatch.OPPONENT_5, 600_005),
        (BUY, PriceMatch.QUEUE, 600_000),
        (BUY, PriceMatch.QUEUE_5, 599_996),
        (SELL, PriceMatch.OPPONENT, 600_000),
        (SELL, PriceMatch.QUEUE_5, 600_005),
    ],
)
def test_price_match_takes_the_price_from_the_book(venue, side, match, ticks):
    fields = LIMIT | {"side": side, "price": None, "price_match": match}
    order = venue.exchange.place("maker", NewOrder(**fields), venue.now)
    assert (order.price_ticks, order.price_match) == (ticks, match)


@pytest.mark.parametrize(
    ("change", "code"),
    [({"price_match": PriceMatch.QUEUE}, -1106), ({"price_match": PriceMatch.QUEUE_10, "price": None}, -5041)],
)
def test_price_match_excludes_a_price_and_needs_its_level(code_of, change, code):
    assert code_of(LIMIT | change) == code


@pytest.mark.parametrize(
    ("hedge", "position_side", "reduce_only", "code"),
    [
        pytest.param(False, PositionSide.BOTH, False, None, id="one-way"),
        pytest.param(False, PositionSide.LONG, False, -4061, id="a side in one-way mode"),
        pytest.param(True, PositionSide.BOTH, False, -4061, id="no side in hedge mode"),
        pytest.param(True, PositionSide.LONG, False, None, id="long in hedge mode"),
        pytest.param(True, PositionSide.LONG, True, -1106, id="reduceOnly in hedge mode"),
        pytest.param(True, PositionSide.SHORT, False, -2022, id="closing what is not there"),
    ],
)
def test_an_order_names_its_position_as_the_mode_wants(venue, code_of, hedge, position_side, reduce_only, code):
    if hedge:
        venue.exchange.set_position_mode("maker", True)
    assert code_of(LIMIT | {"position_side": position_side, "reduce_only": reduce_only}) == code


def test_an_order_without_self_trade_prevention_trades_with_itself(venue):
    venue.depth(asks=[(600_001, 0)])
    venue.limit(SELL, "0.010", "60000.1")
    taker = venue.limit(BUY, "0.010", "60000.1", stp_mode=StpMode.NONE)
    assert taker.status is OrderStatus.FILLED
    assert venue.position().steps == 0
