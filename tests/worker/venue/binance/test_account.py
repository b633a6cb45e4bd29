"""What the exchange says of the whole account."""

from decimal import Decimal

import pytest
from phoenix_coordination.redis.ledger import Holding
from phoenix_worker.core.stewardship import Margin
from phoenix_worker.venue.binance import account as account_module
from phoenix_worker.venue.binance.account import (
    ROUNDS,
    AccountOrder,
    AccountPosition,
    AccountUnreadableError,
    holdings_of,
    open_account,
)
from phoenix_worker.venue.binance.limits import Urgency
from phoenix_worker.venue.binance.rest import RestError

CONDITIONAL = "/fapi/v1/openAlgoOrders"
POSITIONS, ORDERS, MARK = "/fapi/v3/positionRisk", "/fapi/v1/openOrders", "/fapi/v1/premiumIndex"


def position(symbol: str, qty: str, mark: str = "100", **more: object) -> dict[str, object]:
    """A row as the exchange pads it."""
    return {
        "symbol": symbol,
        "positionSide": "BOTH",
        "positionAmt": qty,
        "entryPrice": "99.5",
        "breakEvenPrice": "99.6",
        "markPrice": mark,
        "unRealizedProfit": "-1.25000000",
        "liquidationPrice": "0",
        "isolatedMargin": "0",
        "notional": "0",
        "marginAsset": "USDT",
        "isolatedWallet": "0",
        "initialMargin": "12.5",
        "maintMargin": "1.5",
        "positionInitialMargin": "0",
        "openOrderInitialMargin": "0",
        "adl": 1,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": 1760000000000,
        **more,
    }


def order(symbol: str, side: str, qty: str, filled: str = "0", **more: object) -> dict[str, object]:
    return {
        "symbol": symbol,
        "orderId": 7,
        "clientOrderId": "web_x",
        "side": side,
        "type": "LIMIT",
        "price": "90.00",
        "origQty": qty,
        "executedQty": filled,
        "status": "NEW",
        "timeInForce": "GTC",
        "reduceOnly": False,
        "time": 1760000000000,
        "updateTime": 1760000000001,
        "closePosition": False,
        "priceProtect": False,
        **more,
    }


def conditional(symbol: str, **more: object) -> dict[str, object]:
    return {
        "algoId": 21,
        "clientAlgoId": "web_stop",
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": symbol,
        "side": "SELL",
        "positionSide": "BOTH",
        "timeInForce": "GTC",
        "quantity": "0.010",
        "algoStatus": "NEW",
        "triggerPrice": "77.00",
        "price": "0.00",
        "closePosition": False,
        "reduceOnly": False,
        "createTime": 1760000000000,
        "updateTime": 1760000000000,
        **more,
    }


@pytest.fixture
async def account(exchange, credentials, machine_clock, monkeypatch):
    monkeypatch.setattr(account_module, "ROUND_PAUSE_S", 0.01)  # not a faster clock: its time-outs would be short, too
    async with open_account(exchange.endpoints, credentials, machine_clock(), "phoenix/person") as reader:
        yield reader


def answer_in_turn(exchange, path: str, *bodies: object) -> None:
    """Each question gets the next answer, the last for ever."""
    left = list(bodies)
    exchange.answers["GET", path] = lambda *_: left.pop(0) if len(left) > 1 else left[0]


# -- holdings ----------------------------------------------------------------------------------------


async def test_every_symbol_is_told_at_mark_with_a_maker_or_without(account, exchange):
    answer_in_turn(exchange, POSITIONS, [position("AUSDT", "-2", "50"), position("BUSDC", "0", "10")])
    answer_in_turn(exchange, ORDERS, [order("BUSDC", "BUY", "3", "1"), order("BUSDC", "SELL", "5", price="0.00")])
    assert await account.holdings() == [Holding("AUSDT", -100.0, 0.0, 0.0), Holding("BUSDC", 0.0, 20.0, 50.0)]
    assert all("symbol" not in seen.parameters for seen in exchange.asked("GET", ORDERS))


async def test_a_flat_account_holds_nothing(account, exchange):
    answer_in_turn(exchange, POSITIONS, [position("AUSDT", "0.000")])
    assert await account.holdings() == []


async def test_a_fill_between_the_readings_has_everything_read_again(account, exchange):
    before, after = [position("AUSDT", "0")], [position("AUSDT", "3")]
    answer_in_turn(exchange, POSITIONS, before, after, after)
    answer_in_turn(exchange, ORDERS, [order("AUSDT", "BUY", "3")], [])
    assert await account.holdings() == [Holding("AUSDT", 300.0, 0.0, 0.0)]
    assert len(exchange.asked("GET", ORDERS)) == 2


async def test_an_order_of_a_symbol_that_the_positions_do_not_tell_of_has_everything_read_again(account, exchange):
    answer_in_turn(exchange, POSITIONS, [], [], [position("AUSDT", "0")])
    answer_in_turn(exchange, ORDERS, [order("AUSDT", "BUY", "3")])
    assert await account.holdings() == [Holding("AUSDT", 0.0, 300.0, 0.0)]


async def test_readings_that_never_agree_are_not_believed(account, exchange):
    exchange.answers["GET", POSITIONS] = lambda _, p: [position("AUSDT", p["timestamp"][-6:])]
    with pytest.raises(AccountUnreadableError, match=f"did not agree within {ROUNDS}"):
        await account.holdings()


async def test_what_is_not_quoted_in_dollars_is_valued_in_them(account, exchange):
    answer_in_turn(exchange, POSITIONS, [position("ETHBTC", "2", "0.05", marginAsset="BTC")])
    exchange.answers["GET", MARK] = lambda _, p: {"symbol": p["symbol"], "markPrice": "60000.00"}
    assert await account.holdings() == [Holding("ETHBTC", 6000.0, 0.0, 0.0)]
    assert exchange.asked("GET", MARK)[0].parameters["symbol"] == "BTCUSDT"


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        pytest.param(POSITIONS, [position("AUSDT", "1", positionSide="LONG")], "one-way", id="hedge mode"),
        pytest.param(POSITIONS, [position("AUSDT", "NaN")], POSITIONS, id="quantity is no number"),
        pytest.param(POSITIONS, [position("AUSDT", "1", "Infinity")], POSITIONS, id="mark is infinite"),
        pytest.param(POSITIONS, [position("AUSDT", "1", "-5")], POSITIONS, id="mark is negative"),
        pytest.param(POSITIONS, [position("AUSDT", "1", "0")], "no mark price", id="no mark"),
        pytest.param(POSITIONS, {"rows": []}, POSITIONS, id="another shape"),
        pytest.param(ORDERS, [order("AUSDT", "BOTH", "1")], ORDERS, id="no side"),
        pytest.param(ORDERS, [order("AUSDT", "BUY", "-1")], ORDERS, id="negative quantity"),
        pytest.param(ORDERS, [{"symbol": "AUSDT"}], ORDERS, id="fields are missing"),
    ],
)
async def test_what_cannot_be_understood_is_an_error_that_says_where(account, exchange, path, body, says):
    answer_in_turn(exchange, path, body)
    with pytest.raises(AccountUnreadableError, match=says):
        await account.holdings()


async def test_a_refusal_is_an_error_that_repeats_what_the_exchange_said(account, exchange, refusal):
    exchange.answers["GET", ORDERS] = lambda *_: refusal(401, -2015, "Invalid API-key, IP, or permissions for action.")
    with pytest.raises(AccountUnreadableError, match=r"openOrders: Invalid API-key.*-2015"):
        await account.holdings()


def test_reduce_only_orders_count_like_any_other() -> None:
    held = AccountPosition(
        *("AUSDT", Decimal(2), Decimal(9), Decimal(10), Decimal(2), Decimal(0), Decimal(20)), margin_asset="USDT"
    )
    closing = AccountOrder(
        *("AUSDT", "c", 1, "SELL", "LIMIT", Decimal(11), Decimal(2), Decimal(0), "NEW"), reduce_only=True
    )
    assert holdings_of([held], [closing], {"USDT": Decimal(1)}) == [Holding("AUSDT", 20.0, 0.0, 20.0)]


# -- margin ------------------------------------------------------------------------------------------

STATE = {
    "totalMarginBalance": "900.5",
    "totalMaintMargin": "90.0",
    "assets": [
        {"asset": "USDT", "walletBalance": "1", "marginBalance": "800.25", "maintMargin": "10"},
        {"asset": "USDC", "walletBalance": "1", "marginBalance": "100", "maintMargin": "80"},
    ],
    "positions": [{"symbol": "AUSDT", "positionSide": "BOTH", "positionAmt": "-2.5", "notional": "-1"}],
}


async def test_each_asset_stands_for_itself_unless_the_account_joins_them(account, exchange):
    answer_in_turn(exchange, "/fapi/v3/account", STATE)
    state = await account.state()
    assert state.margins(multi_assets=False) == [Margin("USDT", 800.25, 10.0), Margin("USDC", 100.0, 80.0)]
    assert state.margins(multi_assets=True) == [Margin("all assets", 900.5, 90.0)]
    assert [(row.symbol, row.qty) for row in state.busy] == [("AUSDT", Decimal("-2.5"))]


@pytest.mark.parametrize("joined", [True, False])
async def test_whether_assets_are_joined_is_the_accounts_own_setting(account, exchange, joined):
    config = {"canTrade": True, "dualSidePosition": False, "multiAssetsMargin": joined}
    answer_in_turn(exchange, "/fapi/v1/accountConfig", config)
    assert await account.is_multi_assets() is joined


@pytest.mark.parametrize(
    "odd",
    [
        {"totalMarginBalance": "NaN"},
        {"assets": [{"asset": "USDT", "marginBalance": "Infinity", "maintMargin": "0"}]},
        {"positions": [{"symbol": "AUSDT", "positionAmt": "1e99", "notional": "1"}]},
        {"assets": None},
    ],
    ids=["total", "asset", "position", "shape"],
)
async def test_a_margin_that_is_no_number_is_not_judged(account, exchange, odd):
    answer_in_turn(exchange, "/fapi/v3/account", {**STATE, **odd})
    with pytest.raises(AccountUnreadableError, match="/fapi/v3/account"):
        await account.state()


async def test_one_symbol_alone_is_asked_for_by_its_name(account, exchange):
    answer_in_turn(exchange, POSITIONS, [position("AUSDT", "1")])
    assert await account.holdings("AUSDT") == [Holding("AUSDT", 100.0, 0.0, 0.0)]
    asked = exchange.asked("GET", POSITIONS) + exchange.asked("GET", ORDERS)
    assert {seen.parameters.get("symbol") for seen in asked} == {"AUSDT"}


# -- what people ask ---------------------------------------------------------------------------------


async def test_positions_and_orders_are_told_exactly(account, exchange):
    answer_in_turn(exchange, POSITIONS, [position("AUSDT", "-0.100", "50", liquidationPrice="77.7")])
    answer_in_turn(exchange, ORDERS, [order("AUSDT", "SELL", "0.3", "0.1", reduceOnly=True)])
    (held,), (resting,) = await account.positions(), await account.open_orders()
    assert (held.qty, held.liquidation_price, held.unrealised) == (Decimal("-0.1"), Decimal("77.7"), Decimal("-1.25"))
    assert (held.initial_margin, held.maintenance_margin, held.margin_asset) == (
        Decimal("12.5"),
        Decimal("1.5"),
        "USDT",
    )
    assert (resting.side.name, resting.price, resting.remaining) == ("SELL", Decimal(90), Decimal("0.2"))
    assert (resting.client_id, resting.reduce_only, resting.placed_ms) == ("web_x", True, 1760000000000)


@pytest.mark.parametrize(
    ("more", "gets_out"),
    [({}, False), ({"reduceOnly": True}, True), ({"closePosition": True, "quantity": "0"}, True)],
    ids=["opens", "reduces", "closes"],
)
async def test_conditional_orders_are_told_with_what_makes_them_orders(account, exchange, more, gets_out):
    answer_in_turn(exchange, CONDITIONAL, [conditional("AUSDT", **more)])
    (waiting,) = (await account.conditional_orders()).orders
    assert (waiting.symbol, waiting.venue_id, waiting.client_id) == ("AUSDT", 21, "web_stop")
    assert (waiting.side.name, waiting.kind, waiting.trigger) == ("SELL", "STOP_MARKET", Decimal(77))
    assert waiting.reduce_only is gets_out
    assert "symbol" not in exchange.asked("GET", CONDITIONAL)[0].parameters
    assert await account.open_orders() == []


async def test_a_trailing_stop_has_no_price_that_makes_it_an_order(account, exchange):
    row = conditional("AUSDT", orderType="TRAILING_STOP_MARKET", activatePrice="80", callbackRate="1")
    del row["triggerPrice"]
    answer_in_turn(exchange, CONDITIONAL, [row])
    (waiting,) = (await account.conditional_orders("AUSDT")).orders
    assert waiting.trigger == 0


@pytest.mark.parametrize("odd", [{"side": "BOTH"}, {"quantity": "-1"}, {"triggerPrice": "NaN"}, {"algoId": "one"}])
async def test_a_conditional_order_that_cannot_be_understood_is_told_and_hides_no_other(account, exchange, odd):
    rows = [conditional("AUSDT", algoId=20), conditional("AUSDT", **odd), conditional("BUSDT", algoId=22)]
    answer_in_turn(exchange, CONDITIONAL, rows)
    found = await account.conditional_orders()
    assert [order.venue_id for order in found.orders] == [20, 22]
    assert found.problem.startswith(f"{CONDITIONAL}: ")


async def test_of_many_conditional_orders_that_cannot_be_understood_the_first_and_their_number_are_told(
    account, exchange
):
    answer_in_turn(exchange, CONDITIONAL, [conditional("AUSDT", side="BOTH"), conditional("AUSDT", side="NONE"), 5])
    found = await account.conditional_orders()
    assert found.orders == []
    assert found.problem == f"{CONDITIONAL}: 'BOTH' is no side (and 2 more rows)"


@pytest.mark.parametrize("body", [{"rows": []}, None, "away"], ids=["another shape", "null", "text"])
async def test_conditional_orders_of_another_shape_are_told_as_unread(account, exchange, body):
    answer_in_turn(exchange, CONDITIONAL, body)
    found = await account.conditional_orders()
    assert (found.orders, found.problem.startswith(f"{CONDITIONAL}: ")) == ([], True)


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_conditional_orders_that_the_exchange_does_not_tell_are_told_as_unread(
    account, exchange, refusal, status
):
    exchange.answers["GET", CONDITIONAL] = lambda *_: refusal(status, -1000, "not today")
    found = await account.conditional_orders()
    assert found.orders == []
    assert found.problem.startswith(f"{CONDITIONAL}: not today")


async def test_orders_that_are_over_are_told_too(account, exchange):
    answer_in_turn(exchange, "/fapi/v1/allOrders", [order("AUSDT", "SELL", "0.3", "0.3", status="FILLED")])
    (over,) = await account.recent_orders("AUSDT")
    assert (over.state, over.client_id) == ("FILLED", "web_x")
    assert exchange.asked("GET", "/fapi/v1/allOrders")[0].parameters["limit"] == "100"


async def test_who_only_reads_could_change_nothing(account, exchange):
    with pytest.raises(RestError, match="nothing is changed"):
        await account._rest.change("DELETE", "/fapi/v1/allOpenOrders", [], weight=1, urgency=Urgency.CANCEL)
    assert not exchange.asked("DELETE", "/fapi/v1/allOpenOrders")


async def test_an_exchange_that_cannot_be_reached_is_one_error(credentials, machine_clock, exchange):
    exchange.answers["GET", "/fapi/v1/time"] = lambda *_: {"serverTime": "later"}
    with pytest.raises(AccountUnreadableError, match="clock"):
        async with open_account(exchange.endpoints, credentials, machine_clock(), "phoenix/person"):
            pass


# -- of a worker -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dry_run", [False, True], ids=["live", "rehearsal"])
async def test_a_worker_reads_the_whole_account_whatever_its_symbol(run_venue, exchange, dry_run):
    answer_in_turn(exchange, POSITIONS, [position("AUSDT", "1")])
    running = await run_venue(dry_run=dry_run)
    assert await running.venue.holdings() == [Holding("AUSDT", 100.0, 0.0, 0.0)]
