"""What an account is told of itself, its settings and its listen key."""

import itertools
from decimal import Decimal

import pytest
from venue_client import Client

documented = pytest.mark.documented


@documented("Account, Futures Account Balance V2, V3")
@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_balances_are_told_by_asset(client: Client, version: str) -> None:
    rows = (await client.signed("GET", f"/fapi/{version}/balance")).body
    usdt = next(row for row in rows if row["asset"] == "USDT")
    for name in ("balance", "crossWalletBalance", "crossUnPnl", "availableBalance", "maxWithdrawAmount"):
        assert isinstance(usdt[name], str)
        Decimal(usdt[name])
    assert (type(usdt["marginAvailable"]), type(usdt["updateTime"])) == (bool, int)
    assert Decimal(usdt["balance"]) > 0


@documented("Account, Account Information V2, V3")
@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_an_account_adds_up(client: Client, version: str) -> None:
    await client.buy()
    account = (await client.signed("GET", f"/fapi/{version}/account")).body
    usdt = next(row for row in account["assets"] if row["asset"] == "USDT")
    wallet, unrealised = Decimal(usdt["walletBalance"]), Decimal(usdt["unrealizedProfit"])
    assert Decimal(usdt["marginBalance"]) == wallet + unrealised
    assert Decimal(usdt["initialMargin"]) == Decimal(usdt["positionInitialMargin"]) + Decimal(
        usdt["openOrderInitialMargin"]
    )
    held = [row for row in account["positions"] if Decimal(row["positionAmt"]) != 0]
    assert [row["symbol"] for row in held] == [client.symbol]
    if version == "v2":
        assert {type(account[name]) for name in ("canTrade", "multiAssetsMargin")} == {bool}
        assert isinstance(held[0]["leverage"], str)
    else:
        assert "leverage" not in held[0]


@documented("Trade, Position Information V2, V3")
async def test_a_position_is_told_with_its_signs(client: Client) -> None:
    for side, sign in (("BUY", 1), ("SELL", -1)):
        await client.clear()
        await client.buy(side=side)
        (row,) = (await client.signed("GET", "/fapi/v3/positionRisk", {"symbol": client.symbol})).body
        amount, mark = Decimal(row["positionAmt"]), Decimal(row["markPrice"])
        assert amount * sign > 0
        assert abs(Decimal(row["notional"]) - amount * mark) < Decimal("0.01")
        assert abs(Decimal(row["unRealizedProfit"]) - amount * (mark - Decimal(row["entryPrice"]))) < Decimal("0.01")
        assert (Decimal(row["breakEvenPrice"]) - Decimal(row["entryPrice"])) * sign >= 0
        assert "leverage" not in row
        (old,) = (await client.signed("GET", "/fapi/v2/positionRisk", {"symbol": client.symbol})).body
        assert (old["positionAmt"], type(old["leverage"]), old["marginType"]) == (row["positionAmt"], str, "cross")


@documented("Account, Futures Account Configuration; Symbol Configuration; Trade, Change Initial Leverage")
async def test_settings_read_back(client: Client) -> None:
    config = (await client.signed("GET", "/fapi/v1/accountConfig")).body
    assert (config["dualSidePosition"], config["multiAssetsMargin"]) == (False, False)
    assert (await client.signed("GET", "/fapi/v1/positionSide/dual")).body == {"dualSidePosition": False}
    assert (await client.signed("GET", "/fapi/v1/multiAssetsMargin")).body == {"multiAssetsMargin": False}
    question = {"symbol": client.symbol}
    (symbol,) = (await client.signed("GET", "/fapi/v1/symbolConfig", question)).body
    leverage = symbol["leverage"]
    for wanted in (leverage - 1 or 2, leverage):
        answer = (await client.signed("POST", "/fapi/v1/leverage", {**question, "leverage": wanted})).body
        assert (answer["leverage"], answer["symbol"], type(answer["maxNotionalValue"])) == (wanted, client.symbol, str)
        (symbol,) = (await client.signed("GET", "/fapi/v1/symbolConfig", question)).body
        assert symbol["leverage"] == wanted


@documented("Account, User Commission Rate; Notional and Leverage Brackets; Query User Rate Limit")
async def test_fees_brackets_and_limits_are_told(client: Client) -> None:
    question = {"symbol": client.symbol}
    fees = (await client.signed("GET", "/fapi/v1/commissionRate", question)).body
    assert Decimal(fees["makerCommissionRate"]) <= Decimal(fees["takerCommissionRate"]) < Decimal("0.01")
    (entry,) = (await client.signed("GET", "/fapi/v1/leverageBracket", question)).body
    brackets = entry["brackets"]
    assert brackets[0]["notionalFloor"] == 0
    for lower, upper in itertools.pairwise(brackets):
        assert lower["notionalCap"] == upper["notionalFloor"]
        assert lower["initialLeverage"] > upper["initialLeverage"]
        assert lower["maintMarginRatio"] < upper["maintMarginRatio"]
    limits = (await client.signed("GET", "/fapi/v1/rateLimit/order")).body
    assert {(row["rateLimitType"], row["interval"], row["intervalNum"]) for row in limits} >= {
        ("ORDERS", "SECOND", 10),
        ("ORDERS", "MINUTE", 1),
    }


@documented("User Data Streams, Start, Keepalive and Close User Data Stream; Error Codes -1125")
async def test_a_listen_key_is_one_for_an_account_and_ends_when_asked(client: Client) -> None:
    """Without a signature: the key alone."""
    first, again = [(await client.keyed("POST", "/fapi/v1/listenKey")).body["listenKey"] for _ in range(2)]
    assert first == again
    assert (await client.keyed("PUT", "/fapi/v1/listenKey")).status == 200
    assert (await client.keyed("DELETE", "/fapi/v1/listenKey")).body == {}
    assert (await client.keyed("PUT", "/fapi/v1/listenKey")).error == (400, -1125)
