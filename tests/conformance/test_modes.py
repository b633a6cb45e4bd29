"""Hedge mode and isolated margin: when they may be changed, and what orders then need. Set back after each test."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from venue_client import Client

documented = pytest.mark.documented
ORDER = "/fapi/v1/order"
SUCCESS = {"code": 200, "msg": "success"}


async def set_hedge(client: Client, wanted: bool) -> tuple[int, object]:
    params = {"dualSidePosition": str(wanted).lower()}
    answer = await client.signed("POST", "/fapi/v1/positionSide/dual", params)
    return answer.status, answer.body


async def set_margin(client: Client, kind: str) -> tuple[int, object]:
    answer = await client.signed("POST", "/fapi/v1/marginType", {"symbol": client.symbol, "marginType": kind})
    return answer.status, answer.body


async def flat(client: Client) -> None:
    """No orders and no position on either side, in either mode."""
    await client.signed("DELETE", "/fapi/v1/allOpenOrders", {"symbol": client.symbol})
    for row in (await client.signed("GET", "/fapi/v3/positionRisk", {"symbol": client.symbol})).body:
        held = Decimal(row["positionAmt"])
        if held:
            one_way = row["positionSide"] == "BOTH"
            side = "SELL" if held > 0 else "BUY"
            await client.buy(
                side=side,
                quantity=abs(held),
                positionSide=row["positionSide"],
                reduceOnly="true" if one_way else None,
            )


@pytest.fixture
async def hedged(client: Client) -> AsyncIterator[Client]:
    assert await set_hedge(client, wanted=True) == (200, SUCCESS)
    yield client
    await flat(client)
    assert await set_hedge(client, wanted=False) == (200, SUCCESS)


@documented("Trade, Change Position Mode; New Order (TRADE): positionSide")
async def test_in_hedge_mode_a_long_and_a_short_position_stand_side_by_side(hedged: Client) -> None:
    assert (await hedged.signed("GET", "/fapi/v1/positionSide/dual")).body == {"dualSidePosition": True}
    for side, position in (("BUY", "LONG"), ("SELL", "SHORT")):
        done = await hedged.buy(side=side, positionSide=position)
        assert (done["status"], done["positionSide"]) == ("FILLED", position)
    rows = (await hedged.signed("GET", "/fapi/v3/positionRisk", {"symbol": hedged.symbol})).body
    held = {row["positionSide"]: Decimal(row["positionAmt"]) for row in rows if Decimal(row["positionAmt"])}
    assert held.keys() == {"LONG", "SHORT"}
    assert held["LONG"] > 0 > held["SHORT"]


@documented("Trade, New Order (TRADE): positionSide, reduceOnly; Error Codes -1106, -4061")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({}, -4061, id="no side"),
        pytest.param({"positionSide": "BOTH"}, -4061, id="the side of the other mode"),
        pytest.param({"positionSide": "LONG", "reduceOnly": "true"}, -1106, id="reduce-only, which the side implies"),
    ],
)
async def test_in_hedge_mode_an_order_names_its_position(hedged: Client, changes: dict[str, object], code: int) -> None:
    assert (await hedged.signed("POST", ORDER, await hedged.quote(**changes))).error == (400, code)


@documented("Trade, Change Position Mode, Change Margin Type; Error Codes -4047, -4048, -4067, -4068")
async def test_modes_change_only_without_orders_and_positions(client: Client) -> None:
    await client.place()
    for answer, code in (
        (await set_hedge(client, wanted=True), -4067),
        (await set_margin(client, "ISOLATED"), -4047),
    ):
        assert (answer[0], answer[1]["code"]) == (400, code)
    await client.signed("DELETE", "/fapi/v1/allOpenOrders", {"symbol": client.symbol})
    await client.buy()
    for answer, code in (
        (await set_hedge(client, wanted=True), -4068),
        (await set_margin(client, "ISOLATED"), -4048),
    ):
        assert (answer[0], answer[1]["code"]) == (400, code)


@documented("Trade, Change Margin Type; Modify Isolated Position Margin; Error Codes -4046")
async def test_an_isolated_position_has_a_wallet_of_its_own(client: Client) -> None:
    assert await set_margin(client, "ISOLATED") == (200, SUCCESS)
    try:
        assert (await set_margin(client, "ISOLATED"))[1]["code"] == -4046
        await client.buy()
        question = {"symbol": client.symbol}
        (before,) = (await client.signed("GET", "/fapi/v3/positionRisk", question)).body
        assert Decimal(before["isolatedWallet"]) > 0
        moved = (await client.signed("POST", "/fapi/v1/positionMargin", {**question, "amount": "5", "type": 1})).body
        assert (moved["code"], moved["type"], Decimal(str(moved["amount"]))) == (200, 1, 5)
        (after,) = (await client.signed("GET", "/fapi/v3/positionRisk", question)).body
        assert Decimal(after["isolatedWallet"]) - Decimal(before["isolatedWallet"]) == 5
    finally:
        await flat(client)
        assert await set_margin(client, "CROSSED") == (200, SUCCESS)
