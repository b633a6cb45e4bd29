"""Listen keys and user data: every access form, the events of an order's life, expiry, filters."""

import asyncio

import pytest


async def test_post_extends_the_same_key_and_put_and_delete_act_on_it(venue, maker):
    status, first = await maker.keyed("POST", "/fapi/v1/listenKey")
    assert (status, len(first["listenKey"])) == (200, 64)
    assert (await maker.keyed("POST", "/fapi/v1/listenKey"))[1] == first
    assert await maker.keyed("PUT", "/fapi/v1/listenKey") == (200, first)
    assert await maker.keyed("DELETE", "/fapi/v1/listenKey") == (200, {})
    status, body = await maker.keyed("PUT", "/fapi/v1/listenKey")
    assert (status, body["code"]) == (400, -1125)
    assert (await maker.keyed("POST", "/fapi/v1/listenKey"))[1] != first
    assert (await venue.raw("POST", "/fapi/v1/listenKey")).status == 401


@pytest.mark.parametrize(
    ("form", "wrapped"),
    [
        pytest.param("/private/ws/{key}", False, id="path"),
        pytest.param("/private/ws?listenKey={key}", False, id="query"),
        pytest.param("/private/stream?listenKey={key}", True, id="combined query"),
        pytest.param("/private/stream?streams={key}", True, id="streams"),
        pytest.param("/private/stream", True, id="subscribed"),
    ],
)
async def test_every_form_of_access_delivers(venue, maker, form, wrapped):
    key = (await maker.keyed("POST", "/fapi/v1/listenKey"))[1]["listenKey"]
    stream = await venue.stream(form.format(key=key))
    if "{key}" not in form:
        assert await stream.ask("SUBSCRIBE", [key], request_id="uuid") == {"result": None, "id": "uuid"}
    await maker.place()
    message = await stream.next()
    if wrapped:
        assert message["stream"] == key
        message = message["data"]
    assert (message["e"], message["o"]["x"]) == ("ORDER_TRADE_UPDATE", "NEW")


async def test_a_wrong_key_connects_and_stays_silent(venue, maker):
    await maker.keyed("POST", "/fapi/v1/listenKey")
    stream = await venue.stream(f"/private/ws?listenKey={'x' * 64}")
    public = await venue.stream("/public/ws")
    key = (await maker.keyed("POST", "/fapi/v1/listenKey"))[1]["listenKey"]
    await public.ask("SUBSCRIBE", [key])
    await maker.place()
    assert await stream.silent()
    assert await public.silent()


async def test_only_the_events_that_were_asked_for(maker):
    user = await maker.user_stream("&events=ACCOUNT_UPDATE/TRADE_LITE")
    await maker.market()
    events = await user.drain(0.2)
    assert {event["e"] for event in events} == {"ACCOUNT_UPDATE", "TRADE_LITE"}


async def test_that_the_key_has_expired_is_told_whatever_was_asked_for(venue, maker):
    user = await maker.user_stream("&events=TRADE_LITE")
    await venue.fault(kind="listen-key-expiry")
    assert (await user.next())["e"] == "listenKeyExpired"


async def test_two_accounts_on_one_socket_keep_their_own_filters(venue, maker):
    other = await venue.account(holder="other")
    keys = [(await account.keyed("POST", "/fapi/v1/listenKey"))[1]["listenKey"] for account in (maker, other)]
    stream = await venue.stream(
        f"/private/stream?listenKey={keys[0]}&events=TRADE_LITE&listenKey={keys[1]}&events=ORDER_TRADE_UPDATE"
    )
    await maker.market()
    await other.place()
    seen = [(message["stream"], message["data"]["e"]) for message in await stream.drain(0.2)]
    assert seen == [(keys[0], "TRADE_LITE"), (keys[1], "ORDER_TRADE_UPDATE")]


async def test_a_key_lives_an_hour_from_its_last_extension(venue, maker):
    user = await maker.user_stream()
    venue.server.clock.jump(50 * 60)
    key = (await maker.keyed("PUT", "/fapi/v1/listenKey"))[1]["listenKey"]
    venue.server.clock.jump(50 * 60)
    await maker.place()
    assert (await user.until(lambda event: event["e"] == "ORDER_TRADE_UPDATE"))["o"]["x"] == "NEW"
    venue.server.clock.jump(11 * 60)
    event = await user.until(lambda event: event["e"] == "listenKeyExpired")
    assert event["listenKey"] == key
    # The socket stays up, and silent.
    await maker.place(price="61001")
    assert await user.silent()
    assert (await user.ask("LIST_SUBSCRIPTIONS"))["result"] == [key]
    assert (await maker.keyed("PUT", "/fapi/v1/listenKey"))[1]["code"] == -1125


async def test_the_life_of_an_order_is_told_step_by_step(venue, maker):
    user = await maker.user_stream()
    _, placed = await maker.place(price="61800.0", newClientOrderId="mine")
    new = (await user.next())["o"]
    assert new == {
        "s": "BTCUSDT",
        "c": "mine",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTX",
        "q": "0.01",
        "p": "61800",
        "ap": "0",
        "sp": "0",
        "x": "NEW",
        "X": "NEW",
        "i": placed["orderId"],
        "l": "0",
        "z": "0",
        "L": "0",
        "N": "USDT",
        "n": "0",
        "T": new["T"],
        "t": 0,
        "b": "618",
        "a": "0",
        "m": False,
        "R": False,
        "wt": "CONTRACT_PRICE",
        "ot": "LIMIT",
        "ps": "BOTH",
        "cp": False,
        "rp": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
        "er": "0",
    }
    venue.taker("SELL", "1.004")
    lite, account, trade = [await user.next() for _ in range(3)]
    assert [event["e"] for event in (lite, account, trade)] == ["TRADE_LITE", "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE"]
    assert len({event["T"] for event in (lite, account, trade)}) == 1
    assert (lite["q"], lite["p"], lite["L"], lite["l"], lite["m"], lite["t"]) == (
        "0.010",
        "61800.00",
        "61800.00",
        "0.004",
        True,
        trade["o"]["t"],
    )
    assert account["a"]["m"] == "ORDER"
    assert account["a"]["B"] == [{"a": "USDT", "wb": "99999.95056000", "cw": "99999.95056000", "bc": "0"}]
    position = account["a"]["P"][0]
    assert (position["s"], position["pa"], position["ep"], position["bep"], position["mt"], position["ma"]) == (
        "BTCUSDT",
        "0.004",
        "61800",
        "61812.36",
        "cross",
        "USDT",
    )
    order = trade["o"]
    assert (order["x"], order["X"], order["l"], order["z"], order["L"], order["ap"], order["n"], order["N"]) == (
        "TRADE",
        "PARTIALLY_FILLED",
        "0.004",
        "0.004",
        "61800",
        "61800",
        "0.04944",
        "USDT",
    )
    await maker.ask(
        "PUT",
        "/fapi/v1/order",
        symbol="BTCUSDT",
        side="BUY",
        orderId=placed["orderId"],
        price="61799.9",
        quantity="0.020",
        modifyId=9,
    )
    amended = (await user.next())["o"]
    assert (amended["x"], amended["X"], amended["q"], amended["p"], amended["M"]) == (
        "AMENDMENT",
        "PARTIALLY_FILLED",
        "0.02",
        "61799.9",
        "9",
    )
    await maker.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=placed["orderId"])
    cancelled = (await user.next())["o"]
    assert (cancelled["x"], cancelled["X"], cancelled["z"], cancelled["b"]) == ("CANCELED", "CANCELED", "0.004", "0")


async def test_settings_are_told(maker):
    user = await maker.user_stream()
    await maker.ask("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=7)
    assert (await user.next())["ac"] == {"s": "BTCUSDT", "l": 7}
    await maker.ask("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    assert (await user.next())["ai"] == {"j": True}


async def test_events_may_come_before_the_answer_and_always_come(maker):
    user = await maker.user_stream()
    answers = await asyncio.gather(*(maker.place(price=f"6100{number}") for number in range(5)))
    ids = {body["orderId"] for _, body in answers}
    assert {(await user.next())["o"]["i"] for _ in range(5)} == ids
