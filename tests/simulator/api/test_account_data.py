"""Account REST: balances, positions, history and settings agree with each other."""

import asyncio
from decimal import Decimal

import pytest


async def long_position(maker, quantity="0.010"):
    status, body = await maker.market("BUY", quantity)
    assert status == 200, body


async def test_a_fresh_account_has_its_deposit_and_nothing_else(maker):
    _, balances = await maker.ask("GET", "/fapi/v3/balance")
    assert {row["asset"]: row["availableBalance"] for row in balances} == {
        "USDC": "100000.00000000",
        "USDT": "100000.00000000",
    }
    assert (await maker.ask("GET", "/fapi/v3/positionRisk"))[1] == []
    _, account = await maker.ask("GET", "/fapi/v3/account")
    assert (account["totalWalletBalance"], account["positions"]) == ("100000.00000000", [])
    _, every = await maker.ask("GET", "/fapi/v2/positionRisk")
    assert [(row["symbol"], row["positionAmt"], row["entryPrice"]) for row in every] == [
        ("BTCUSDT", "0.000", "0.0"),
        ("ETHUSDC", "0.000", "0.0"),
    ]


async def test_a_fill_shows_the_same_everywhere(maker):
    await long_position(maker)
    _, trades = await maker.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    trade = trades[0]
    fee = "0.30900050"
    assert (trade["price"], trade["qty"], trade["quoteQty"], trade["commission"], trade["maker"], trade["buyer"]) == (
        "61800.10",
        "0.010",
        "618.00100",
        fee,
        False,
        True,
    )
    _, risk = await maker.ask("GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")
    assert "leverage" not in risk[0]
    assert "marginType" not in risk[0]
    assert (risk[0]["positionAmt"], risk[0]["entryPrice"], risk[0]["breakEvenPrice"]) == (
        "0.010",
        "61800.1",
        "61831.00005",
    )
    assert Decimal(risk[0]["unRealizedProfit"]) == Decimal("0.010") * (Decimal("61800.0") - Decimal("61800.1"))
    _, risk_v2 = await maker.ask("GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")
    assert (risk_v2[0]["leverage"], risk_v2[0]["marginType"], risk_v2[0]["isAutoAddMargin"]) == ("20", "cross", "false")
    _, balances = await maker.ask("GET", "/fapi/v2/balance")
    wallet = next(row for row in balances if row["asset"] == "USDT")["balance"]
    assert Decimal(wallet) == Decimal(100_000) - Decimal(fee)
    _, income = await maker.ask("GET", "/fapi/v1/income", incomeType="COMMISSION")
    assert [(row["income"], row["asset"], row["symbol"], row["tradeId"]) for row in income] == [
        (f"-{fee}", "USDT", "BTCUSDT", str(trade["id"]))
    ]
    books = (await maker.books())["symbols"]["BTCUSDT"]
    assert (books["position"], books["fills"], books["fees"], books["openOrders"]) == ("0.01", 1, "0.3090005", 0)


async def test_user_trades_continue_from_an_id(maker):
    for _ in range(3):
        await long_position(maker)
    _, every = await maker.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    ids = [row["id"] for row in every]
    assert ids == sorted(ids)
    _, rest = await maker.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT", fromId=ids[1])
    assert [row["id"] for row in rest] == ids[1:]


DAY_S = 24 * 3_600


@pytest.mark.parametrize("path", ["userTrades", "allOrders"])
async def test_history_is_of_the_last_week_unless_told_otherwise(venue, maker, path):
    async def listed(**window):
        status, rows = await maker.ask("GET", f"/fapi/v1/{path}", symbol="BTCUSDT", **window)
        assert status == 200, rows
        return [row["orderId"] for row in rows]

    clock, ids, times = venue.server.clock, [], []
    for _ in range(3):
        times.append(clock.now_ms())
        ids.append((await maker.market())[1]["orderId"])
        clock.jump(4 * DAY_S)
    assert await listed() == ids[2:]
    assert await listed(startTime=times[0]) == ids[:2]
    assert await listed(startTime=times[1] - 1, endTime=times[2] + 1_000) == ids[1:]
    assert await listed(endTime=times[1] + 1_000) == ids[:2]
    by_id = {"fromId": 1} if path == "userTrades" else {"orderId": ids[0]}
    assert await listed(**by_id) == ids
    clock.jump(82 * DAY_S)
    assert await listed(**by_id) == ids[2:]


async def test_income_is_kept_for_three_months(venue, maker):
    await maker.market()
    venue.server.clock.jump(50 * DAY_S)
    await maker.market()
    venue.server.clock.jump(50 * DAY_S)
    _, rows = await maker.ask("GET", "/fapi/v1/income", incomeType="COMMISSION", startTime=1)
    assert len(rows) == 1


async def test_past_trades_continue_from_an_id_with_a_key_and_no_signature(venue, maker):
    for quantity in ("0.100", "0.200", "0.300"):
        venue.taker("BUY", quantity)
    _, every = await venue.get("/fapi/v1/trades", symbol="BTCUSDT")
    status, latest = await maker.keyed("GET", "/fapi/v1/historicalTrades", symbol="BTCUSDT", limit=2)
    assert (status, latest) == (200, every[1:])
    _, following = await maker.keyed("GET", "/fapi/v1/historicalTrades", symbol="BTCUSDT", fromId=every[1]["id"])
    assert following == every[1:]
    status, body = await venue.get("/fapi/v1/historicalTrades", symbol="BTCUSDT")
    assert (status, body["code"]) == (401, -2014)


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        pytest.param("userTrades", {}, -1102, id="trades without symbol"),
        pytest.param("userTrades", {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}, -1128, id="id and time"),
        pytest.param("userTrades", {"symbol": "BTCUSDT", "startTime": 1, "endTime": 700_000_000}, -4165, id="8 days"),
        pytest.param("allOrders", {"startTime": 2, "endTime": 1}, -4165, id="backwards"),
        pytest.param("allOrders", {"startTime": 1, "endTime": 604_800_001}, -4165, id="orders of a whole week"),
        pytest.param("forceOrders", {"autoCloseType": "LUCK"}, -1130, id="unknown reason"),
        pytest.param("forceOrders", {"limit": 101}, -1130, id="too many forced orders"),
        pytest.param("forceOrders", {"symbol": "NOPE"}, -1121, id="forced orders of an unknown symbol"),
        pytest.param("historicalTrades", {}, -1102, id="history without symbol"),
        pytest.param("historicalTrades", {"symbol": "BTCUSDT", "limit": 501}, -1130, id="too much history"),
        pytest.param("allOrders", {"limit": 1001}, -1130, id="too many orders"),
        pytest.param("income", {"incomeType": "LUCK"}, -1130, id="unknown income"),
        pytest.param("income", {"page": 0}, -1130, id="page 0"),
        pytest.param("commissionRate", {}, -1102, id="commission without symbol"),
        pytest.param("symbolConfig", {"symbol": "NOPE"}, -1121, id="unknown symbol"),
    ],
)
async def test_bad_questions_about_an_account_get_the_venues_error(maker, path, params, code):
    status, body = await maker.ask("GET", f"/fapi/v1/{path}", **params)
    assert (status, body["code"]) == (400, code)


async def test_configuration_reads_back_what_was_set(maker):
    status, body = await maker.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=5)
    assert (status, body) == (200, {"leverage": 5, "maxNotionalValue": "480000000", "symbol": "BTCUSDT"})
    _, config = await maker.ask("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")
    assert config == [
        {
            "symbol": "BTCUSDT",
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": 5,
            "maxNotionalValue": "480000000",
        }
    ]
    _, account = await maker.ask("GET", "/fapi/v1/accountConfig")
    assert (account["dualSidePosition"], account["multiAssetsMargin"], account["tradeGroupId"]) == (False, False, -1)


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        pytest.param("leverage", {"symbol": "BTCUSDT", "leverage": 200}, -4028, id="leverage too high"),
        pytest.param("leverage", {"symbol": "BTCUSDT"}, -1102, id="no leverage"),
        pytest.param("marginType", {"symbol": "BTCUSDT", "marginType": "CROSSED"}, -4046, id="margin type as it is"),
        pytest.param("marginType", {"symbol": "BTCUSDT", "marginType": "BOTH"}, -1130, id="unknown margin type"),
        pytest.param("positionSide/dual", {"dualSidePosition": "false"}, -4059, id="position mode as it is"),
        pytest.param("positionSide/dual", {"dualSidePosition": "maybe"}, -1130, id="position mode unreadable"),
        pytest.param("multiAssetsMargin", {"multiAssetsMargin": "false"}, -4171, id="assets mode as it is"),
        pytest.param("feeBurn", {"feeBurn": "yes"}, -1130, id="fee burn unreadable"),
    ],
)
async def test_settings_are_refused_with_their_code(maker, path, params, code):
    status, body = await maker.ask("POST", f"/fapi/v1/{path}", **params)
    assert (status, body["code"]) == (400, code)


@pytest.mark.parametrize(
    ("path", "params", "open_order", "position"),
    [
        pytest.param("marginType", {"symbol": "BTCUSDT", "marginType": "ISOLATED"}, -4047, -4048, id="margin type"),
        pytest.param("positionSide/dual", {"dualSidePosition": "true"}, -4067, -4068, id="position mode"),
        pytest.param("multiAssetsMargin", {"multiAssetsMargin": "true"}, -4170, -4170, id="assets mode"),
    ],
)
async def test_modes_change_only_when_flat(maker, path, params, open_order, position):
    await maker.place()
    assert (await maker.ask("POST", f"/fapi/v1/{path}", **params))[1]["code"] == open_order
    await maker.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    await long_position(maker)
    assert (await maker.ask("POST", f"/fapi/v1/{path}", **params))[1]["code"] == position
    await maker.market("SELL", "0.010", reduceOnly="true")
    assert await maker.ask("POST", f"/fapi/v1/{path}", **params) == (200, {"code": 200, "msg": "success"})


async def test_modes_read_back(maker):
    await maker.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true")
    assert (await maker.ask("GET", "/fapi/v1/positionSide/dual"))[1] == {"dualSidePosition": True}
    assert (await maker.ask("GET", "/fapi/v1/multiAssetsMargin"))[1] == {"multiAssetsMargin": False}
    assert (await maker.ask("GET", "/fapi/v1/feeBurn"))[1] == {"feeBurn": False}
    assert await maker.ask("POST", "/fapi/v1/feeBurn", feeBurn="true") == (200, {"code": 200, "msg": "success"})
    assert (await maker.ask("GET", "/fapi/v1/feeBurn"))[1] == {"feeBurn": True}


async def test_in_multi_assets_mode_the_totals_are_dollars_of_everything(venue):
    maker = await venue.account(balances={"USDT": "1000", "BTC": "0.1", "XYZ": "5"})
    single = (await maker.ask("GET", "/fapi/v3/account"))[1]
    assert (single["totalWalletBalance"], single["availableBalance"]) == ("1000.00000000", "1000.00000000")
    await maker.ask("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    joint = (await maker.ask("GET", "/fapi/v2/account"))[1]
    # 1000 × 0.9999 + 0.1 × 61800 × 0.95; nobody backs anything with XYZ.
    assert (joint["totalWalletBalance"], joint["multiAssetsMargin"]) == ("6870.90000000", True)
    assets = {row["asset"]: row for row in joint["assets"]}
    assert {asset: row["marginAvailable"] for asset, row in assets.items()} == {
        "BTC": True,
        "USDC": True,
        "USDT": True,
        "XYZ": False,
    }
    # Of what stands behind everything, so much is there for positions in USDT (whose needs count 1.0001).
    assert assets["USDT"]["availableBalance"] == "6870.21297870"
    assert assets["BTC"]["maxWithdrawAmount"] == "0.10000000"


async def test_fees_in_bnb_are_told_with_their_asset_and_balance(venue):
    maker = await venue.account(balances={"USDT": "1000", "BNB": "1"})
    await maker.ask("POST", "/fapi/v1/feeBurn", feeBurn="true")
    user = await maker.user_stream()
    await maker.market(quantity="0.010")
    update = await user.until(lambda event: event["e"] == "ACCOUNT_UPDATE")
    trade = await user.event("ORDER_TRADE_UPDATE", x="TRADE")
    # 0.01 × 61800.1 × 0.05 % × 0.9 at 600 USDT per BNB
    assert (trade["o"]["N"], trade["o"]["n"]) == ("BNB", "0.0004635")
    assert {row["a"]: row["wb"] for row in update["a"]["B"]} == {"USDT": "1000.00000000", "BNB": "0.99953650"}
    (row,) = (await maker.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT"))[1]
    assert (row["commission"], row["commissionAsset"], row["marginAsset"]) == ("0.00046350", "BNB", "USDT")
    assert (await maker.books())["symbols"]["BTCUSDT"]["feesInBnb"] == "0.0004635"


async def test_fees_and_brackets_are_the_symbols(maker):
    _, fees = await maker.ask("GET", "/fapi/v1/commissionRate", symbol="ETHUSDC")
    assert (fees["makerCommissionRate"], fees["takerCommissionRate"]) == ("0.000000", "0.000400")
    _, brackets = await maker.ask("GET", "/fapi/v1/leverageBracket", symbol="BTCUSDT")
    first = brackets[0]["brackets"][0]
    assert first == {
        "bracket": 1,
        "initialLeverage": 125,
        "notionalCap": 300000,
        "notionalFloor": 0,
        "maintMarginRatio": 0.004,
        "cum": 0.0,
    }


async def test_the_key_trades_and_does_not_withdraw_unless_made_so(venue, maker):
    _, body = await maker.ask("GET", "/sapi/v1/account/apiRestrictions")
    assert (body["enableFutures"], body["enableWithdrawals"]) == (True, False)
    careless = await venue.account(mayWithdraw=True)
    assert (await careless.ask("GET", "/sapi/v1/account/apiRestrictions"))[1]["enableWithdrawals"] is True


async def test_funding_is_paid_on_the_position_at_the_stamp(venue, maker, eventually):
    await long_position(maker, "0.100")
    before = Decimal((await maker.books())["wallets"]["USDT"])
    venue.server.clock.jump(8 * 3_600)
    await eventually(lambda: venue.server.exchange.listing("BTCUSDT").funding_history)
    _, rows = await maker.ask("GET", "/fapi/v1/income", incomeType="FUNDING_FEE")
    assert [(row["symbol"], row["income"]) for row in rows] == [("BTCUSDT", "-0.61800000")]
    assert Decimal((await maker.books())["wallets"]["USDT"]) == before - Decimal("0.618")
    assert (await maker.books())["symbols"]["BTCUSDT"]["funding"] == "-0.618"


async def test_in_hedge_mode_both_positions_show_everywhere(maker):
    assert (await maker.ask("POST", "/fapi/v1/positionSide/dual", dualSidePosition="true"))[0] == 200
    user = await maker.user_stream()
    for side, position, quantity in (("BUY", "LONG", "0.020"), ("SELL", "SHORT", "0.010")):
        status, body = await maker.market(side, quantity, positionSide=position, newOrderRespType="RESULT")
        assert (status, body["positionSide"], body["reduceOnly"]) == (200, position, False)
        account = await user.until(lambda event: event["e"] == "ACCOUNT_UPDATE")
        assert [(row["ps"], abs(Decimal(row["pa"]))) for row in account["a"]["P"]] == [(position, Decimal(quantity))]
        trade = await user.event("ORDER_TRADE_UPDATE", x="TRADE")
        assert (trade["o"]["ps"], trade["o"]["R"]) == (position, False)
    status, closing = await maker.place("SELL", "62000", "0.015", positionSide="LONG")
    assert (status, closing["reduceOnly"]) == (200, True)
    wanted = [("LONG", "0.020"), ("SHORT", "-0.010")]
    for path in ("/fapi/v2/positionRisk", "/fapi/v3/positionRisk"):
        _, rows = await maker.ask("GET", path, symbol="BTCUSDT")
        assert [(row["positionSide"], row["positionAmt"]) for row in rows] == wanted
    for path in ("/fapi/v2/account", "/fapi/v3/account"):
        _, body = await maker.ask("GET", path)
        rows = [row for row in body["positions"] if row["symbol"] == "BTCUSDT"]
        assert [(row["positionSide"], row["positionAmt"]) for row in rows] == wanted
    _, risk = await maker.ask("GET", "/fapi/v3/positionRisk")
    assert [(row["bidNotional"], row["askNotional"]) for row in risk] == [
        ("0.00000000", "930.00000000"),
        ("0.00000000", "0.00000000"),
    ]
    _, trades = await maker.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    assert [row["positionSide"] for row in trades] == ["LONG", "SHORT"]
    _, quantile = await maker.ask("GET", "/fapi/v1/adlQuantile", symbol="BTCUSDT")
    assert quantile[0]["adlQuantile"].keys() == {"LONG", "SHORT", "HEDGE"}
    assert (await maker.books())["symbols"]["BTCUSDT"]["position"] == "0.01"


async def test_isolated_margin_shows_everywhere_and_can_be_moved(maker):
    assert (await maker.ask("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED"))[0] == 200
    user = await maker.user_stream()
    await maker.market("BUY", "0.100")
    account = await user.until(lambda event: event["e"] == "ACCOUNT_UPDATE")
    (balance,), (position,) = account["a"]["B"], account["a"]["P"]
    assert (position["mt"], position["iw"]) == ("isolated", "309.0005")
    assert Decimal(balance["wb"]) - Decimal(balance["cw"]) == Decimal("309.0005")
    status, body = await maker.ask("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", amount="50.5", type=1)
    assert (status, body) == (
        200,
        {"amount": 50.5, "code": 200, "msg": "Successfully modify position margin.", "type": 1},
    )
    moved = await user.until(lambda event: event["e"] == "ACCOUNT_UPDATE")
    assert (moved["a"]["m"], moved["a"]["P"][0]["iw"]) == ("MARGIN_TRANSFER", "359.5005")
    assert (await maker.ask("POST", "/fapi/v1/positionMargin", symbol="BTCUSDT", amount=50, type=2))[0] == 200
    for path in ("/fapi/v2/positionRisk", "/fapi/v3/positionRisk"):
        _, rows = await maker.ask("GET", path, symbol="BTCUSDT")
        own = Decimal(rows[0]["isolatedWallet"]) + Decimal(rows[0]["unRealizedProfit"])
        assert (rows[0]["isolatedWallet"], Decimal(rows[0]["isolatedMargin"])) == ("309.5005", own)
        assert 0 < Decimal(rows[0]["liquidationPrice"]) < 61_000
    _, balances = await maker.ask("GET", "/fapi/v3/balance")
    usdt = next(row for row in balances if row["asset"] == "USDT")
    assert Decimal(usdt["balance"]) - Decimal(usdt["crossWalletBalance"]) == Decimal("309.5005")
    assert usdt["crossUnPnl"] == "0.00000000"
    _, whole = await maker.ask("GET", "/fapi/v3/account")
    assert Decimal(whole["totalWalletBalance"]) - Decimal(whole["totalCrossWalletBalance"]) == Decimal("309.5005")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        pytest.param({"amount": 1}, -1102, id="no type"),
        pytest.param({"type": 1}, -1102, id="no amount"),
        pytest.param({"amount": 1, "type": 3}, -1130, id="unknown type"),
        pytest.param({"amount": 0, "type": 1}, -4055, id="amount 0"),
        pytest.param({"amount": "0.123456789", "type": 1}, -1111, id="nine decimals"),
        pytest.param({"amount": 1, "type": 1, "positionSide": "UP"}, -4060, id="unknown side"),
        pytest.param({"amount": 1, "type": 1, "positionSide": "LONG"}, -4061, id="side of the other mode"),
        pytest.param({"amount": 1, "type": 1, "symbol": "NOPE"}, -1121, id="unknown symbol"),
        pytest.param({"amount": 1, "type": 1}, -4049, id="cross margin"),
    ],
)
async def test_margin_is_not_moved_for_a_bad_request(maker, params, code):
    status, body = await maker.ask("POST", "/fapi/v1/positionMargin", **{"symbol": "BTCUSDT", **params})
    assert (status, body["code"]) == (400, code)


async def test_liquidation_leaves_no_position_and_says_so(venue, maker):
    await maker.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
    small = await venue.account(holder="small", balances={"USDT": "100"})
    await small.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
    status, body = await small.market("BUY", "0.100")
    assert status == 200, body
    user = await small.user_stream()
    venue.mark("61000")
    await asyncio.sleep(0)
    event = await user.event("ORDER_TRADE_UPDATE", X="FILLED")
    assert event["o"]["c"].startswith("autoclose-")
    assert (await small.books())["symbols"]["BTCUSDT"]["position"] == "0"
    for question in ({}, {"symbol": "BTCUSDT", "autoCloseType": "LIQUIDATION"}):
        _, forced = await small.ask("GET", "/fapi/v1/forceOrders", **question)
        assert [(row["orderId"], row["clientOrderId"], row["executedQty"]) for row in forced] == [
            (event["o"]["i"], event["o"]["c"], "0.100")
        ]
    for question in ({"autoCloseType": "ADL"}, {"symbol": "ETHUSDC"}, {"startTime": 1}):
        assert (await small.ask("GET", "/fapi/v1/forceOrders", **question))[1] == []
