"""Each kind of violation is found, and what looks like one but is none is left alone."""

import asyncio

import pytest
from phoenix_simulator.api.limits import LimitSettings
from phoenix_simulator.exchange.orders import Side
from phoenix_simulator.scenario import Scenario, VenueChoices

PATTERN = {"regex": r"^px(?P<installation>[0-9a-z]{6})-(?P<token>[0-9a-z]{8})-", "tokenBase": 36}
FIRST, SECOND = "0000000a", "0000000b"


async def declare(venue, **declaration):
    status, body = await venue.control("POST", "/sim/audit", declaration)
    assert status == 200, body
    return body


def mark(installation, token, number):
    return f"px{installation}-{token}-q{number}"


async def amend(maker, order, price="61000.1"):
    return await maker.ask(
        "PUT",
        "/fapi/v1/order",
        symbol=order["symbol"],
        side=order["side"],
        orderId=order["orderId"],
        price=price,
        quantity=order["origQty"],
    )


async def test_a_clean_run_reports_every_kind_as_zero_and_what_it_judged(venue, maker):
    _, order = await maker.place()
    await amend(maker, order)
    report = await venue.audit()
    assert report["violations"] == {
        "twoWriters": 0,
        "selfCrossing": 0,
        "exposure": 0,
        "openedAfterStop": 0,
        "leftBehind": 0,
        "rateLimitAbuse": 0,
        "blindOrder": 0,
    }
    assert (report["total"], report["examples"], report["ordersSeen"]) == (0, [], 2)


# ---- two writers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("writes", "violations"),
    [
        pytest.param([("aaaaaa", FIRST, "a"), ("aaaaaa", FIRST, "a")], 0, id="one writer"),
        pytest.param([("aaaaaa", FIRST, "a"), ("aaaaaa", SECOND, "b")], 0, id="a takeover with a higher token"),
        pytest.param([("aaaaaa", FIRST, "a"), ("bbbbbb", SECOND, "b")], 1, id="another installation"),
        pytest.param([("aaaaaa", SECOND, "b"), ("aaaaaa", FIRST, "a")], 1, id="a lower token"),
        pytest.param([("aaaaaa", FIRST, "a"), ("aaaaaa", FIRST, "b")], 1, id="one token, two clients"),
        pytest.param(
            [("aaaaaa", FIRST, "a"), ("aaaaaa", SECOND, "b"), ("aaaaaa", FIRST, "a")], 1, id="a deposed writer returns"
        ),
    ],
)
async def test_marked_orders_tell_who_writes(venue, maker, writes, violations):
    await declare(venue, pattern=PATTERN)
    for number, (installation, token, holder) in enumerate(writes):
        maker.holder = holder
        status, body = await maker.place(price=f"6100{number}", newClientOrderId=mark(installation, token, number))
        assert status == 200, body
    assert (await venue.violations()).get("twoWriters", 0) == violations


async def test_an_amend_counts_as_writing(venue, maker):
    await declare(venue, pattern=PATTERN)
    _, old = await maker.place(newClientOrderId=mark("aaaaaa", FIRST, 1))
    await maker.place(price="60990", newClientOrderId=mark("aaaaaa", SECOND, 2))
    assert await venue.violations() == {}
    await amend(maker, old)
    assert await venue.violations() == {"twoWriters": 1}


async def test_refused_orders_unmarked_orders_and_other_symbols_are_no_second_writer(venue, maker):
    await declare(venue, pattern=PATTERN)
    await maker.place(newClientOrderId=mark("aaaaaa", SECOND, 1))
    assert (await maker.place(price="61800.1", newClientOrderId=mark("aaaaaa", FIRST, 2)))[0] == 400
    await maker.place(price="61001", newClientOrderId="by-hand")
    eth = {"symbol": "ETHUSDC", "price": "2490", "quantity": "0.040"}
    await maker.place(**eth, newClientOrderId=mark("bbbbbb", FIRST, 3))
    assert await venue.violations() == {}


async def test_without_marks_a_client_may_take_over_once_but_not_return(venue, maker):
    for holder, price in (("a", "61000"), ("b", "61001"), ("b", "61002")):
        maker.holder = holder
        await maker.place(price=price)
    assert await venue.violations() == {}
    maker.holder = "a"
    await maker.place(price="61003")
    assert await venue.violations() == {"twoWriters": 1}


# ---- quotes and exposure ----------------------------------------------------------------------------------------


async def test_self_trade_prevention_is_a_self_crossing(venue, maker):
    venue.level("BUY", "61800.0", "0")
    await maker.place("BUY", price="61800.0")
    await maker.place("SELL", price="61800.0", tif="IOC")
    assert "selfCrossing" in await venue.violations()


async def test_quotes_on_both_sides_are_not(venue, maker):
    await maker.place("BUY", price="61800.0")
    await maker.place("SELL", price="61800.1")
    assert await venue.violations() == {}


async def test_resting_bid_at_own_ask_is_a_self_crossing(venue, maker):
    # The matching engine never lets it happen; the audit would still see it.
    _, ask = await maker.place("SELL", price="61800.1")
    exchange = venue.server.exchange
    order = next(iter(exchange.open_orders(next(iter(exchange.accounts))))).snapshot()
    order.side, order.order_id = Side.BUY, ask["orderId"] + 1
    venue.server.audit.accepted(order, "maker-a", 0, 0)
    assert (await venue.violations())["selfCrossing"] == 1


async def test_the_worst_case_may_not_pass_the_declared_limit(venue, maker):
    await declare(venue, apiKey=maker.api_key, symbolLimits=[{"symbol": "BTCUSDT", "maxPosition": "0.025"}])
    await maker.place(price="61000", quantity="0.010")
    await maker.place("SELL", price="62500", quantity="0.025")
    await maker.market("BUY", "0.010")
    assert await venue.violations() == {}
    # Long 0.010 with 0.010 bid already: 0.006 more would be 0.026.
    await maker.place(price="61001", quantity="0.006")
    assert await venue.violations() == {"exposure": 1}
    _, report = await venue.control("GET", "/sim/audit")
    assert report["examples"][0]["symbol"] == "BTCUSDT"
    assert "0.026 beyond 0.025" in report["examples"][0]["detail"]


async def test_reducing_orders_may_pass_the_limit(venue, maker):
    await maker.market("BUY", "0.030")
    await declare(venue, symbolLimits=[{"symbol": "BTCUSDT", "maxPosition": "0.010"}])
    await maker.place("SELL", price="62500", quantity="0.020")
    await maker.place("SELL", price="62501", quantity="0.010", tif="GTC")
    assert (await maker.market("SELL", "0.030", reduceOnly="true"))[0] == 200
    assert await venue.violations() == {}


async def test_an_amend_that_grows_beyond_the_limit_counts(venue, maker):
    await declare(venue, symbolLimits=[{"symbol": "BTCUSDT", "maxPosition": "0.015"}])
    _, order = await maker.place(quantity="0.010")
    await amend(maker, {**order, "origQty": "0.020"})
    assert await venue.violations() == {"exposure": 1}


@pytest.mark.parametrize(
    ("limit", "violations"),
    [
        pytest.param({"maxGrossNotional": "1300"}, 0, id="gross holds"),
        pytest.param({"maxGrossNotional": "1100"}, 1, id="gross broken"),
        pytest.param({"maxNetNotional": "1300"}, 0, id="net holds"),
        pytest.param({"maxNetNotional": "1100"}, 1, id="net broken"),
    ],
)
async def test_account_limits_sum_over_symbols(venue, maker, limit, violations):
    await declare(venue, apiKey=maker.api_key, accountLimit=limit)
    await maker.place(price="61000", quantity="0.010")  # 618 at mark
    await maker.place(symbol="ETHUSDC", price="2490", quantity="0.250")  # 625 at mark
    assert (await venue.violations()).get("exposure", 0) == violations


# ---- stops and ends ---------------------------------------------------------------------------------------------


async def test_after_a_stop_nothing_opens_until_it_is_lifted(venue, maker):
    await maker.market("BUY", "0.020")
    await declare(venue, stop={"symbol": "BTCUSDT"}, graces={"stopSeconds": 0})
    await maker.place("SELL", price="62500", quantity="0.020")  # only reduces
    await maker.market("SELL", "0.010", reduceOnly="true")
    await maker.place(symbol="ETHUSDC", price="2490", quantity="0.040")  # another symbol
    assert await venue.violations() == {}
    await maker.place("BUY", price="61000")
    assert await venue.violations() == {"openedAfterStop": 1}
    await declare(venue, stop={"symbol": "BTCUSDT", "lift": True}, reset=True)
    await maker.place("BUY", price="61001")
    assert await venue.violations() == {}


async def test_a_stop_of_one_account_leaves_the_others(venue, maker):
    other = await venue.account(holder="other")
    await declare(venue, apiKey=other.api_key, stop={}, graces={"stopSeconds": 0})
    await maker.place()
    assert await venue.violations() == {}
    await other.place()
    assert await venue.violations() == {"openedAfterStop": 1}


async def test_orders_on_the_wire_when_the_stop_was_declared_are_forgiven(venue, maker):
    await declare(venue, stop={}, graces={"stopSeconds": 5})
    await maker.place()
    assert await venue.violations() == {}
    venue.server.clock.jump(6)
    await maker.place(price="61001")
    assert await venue.violations() == {"openedAfterStop": 1}


async def test_orders_left_behind_are_counted_at_the_end_and_after_it(venue, maker):
    await maker.place()
    _, body = await maker.place(price="61001")
    await maker.place(symbol="ETHUSDC", price="2490", quantity="0.040")
    await declare(venue, end={"holder": "maker-a", "symbol": "BTCUSDT"})
    assert await venue.violations() == {"leftBehind": 2}
    await maker.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=body["orderId"])
    assert await venue.violations() == {"leftBehind": 2}
    await maker.place(price="61002")
    assert await venue.violations() == {"leftBehind": 3}


async def test_who_left_nothing_is_clean(venue, maker):
    other = await venue.account(holder="other")
    await maker.place()
    await maker.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    await other.place()
    await declare(venue, end={"holder": "maker-a"})
    assert await venue.violations() == {}


# ---- rate limits ------------------------------------------------------------------------------------------------


async def test_asking_before_retry_after_is_abuse(venue, maker):
    await declare(venue, graces={"rateLimitSeconds": 0})
    other = await venue.account(holder="other")
    await venue.fault(kind="rate-limit", retryAfterSeconds=30, count=1)
    assert (await maker.place())[0] == 429
    await other.place()
    assert await venue.violations() == {}
    await maker.ask("GET", "/fapi/v1/openOrders")
    assert await venue.violations() == {"rateLimitAbuse": 1}
    venue.server.clock.jump(31)
    await maker.ask("GET", "/fapi/v1/openOrders")
    assert await venue.violations() == {"rateLimitAbuse": 1}


async def test_after_too_many_orders_cancels_are_no_abuse(venues):
    limits = LimitSettings(orders_per_minute=1)
    async with venues(Scenario(venue=VenueChoices(limits=limits))) as venue:
        clock = venue.server.clock
        clock.jump(61 - clock.now_ms() % 60_000 / 1000)
        await declare(venue, graces={"rateLimitSeconds": 0})
        maker = await venue.account()
        await maker.place()
        assert (await maker.place(price="61001"))[0] == 429
        await maker.ask("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
        assert await venue.violations() == {}
        assert (await maker.place(price="61001"))[0] == 429
        assert await venue.violations() == {"rateLimitAbuse": 1}


async def test_a_ban_that_was_earned_is_abuse_even_within_the_grace(venues):
    """A client in a tight loop is banned before any grace is over."""
    limits = LimitSettings(weight_per_minute=1, ban_after=3)
    async with venues(Scenario(venue=VenueChoices(limits=limits))) as venue:
        clock = venue.server.clock
        clock.jump(61 - clock.now_ms() % 60_000 / 1000)
        await declare(venue, graces={"rateLimitSeconds": 30})
        maker = await venue.account()
        statuses = [(await maker.ask("GET", "/fapi/v1/openOrders", symbol="BTCUSDT"))[0] for _ in range(6)]
        assert statuses == [200, 429, 429, 429, 418, 418]
        assert await venue.violations() == {"rateLimitAbuse": 1}


# ---- blind orders -----------------------------------------------------------------------------------------------

NO_GRACE = {"silentSeconds": 0, "confirmedSeconds": 0, "gapSeconds": 0, "disconnectedSeconds": 0}


async def blind(venue):
    return (await venue.violations()).get("blindOrder", 0)


@pytest.fixture
async def seeing(venue, maker):
    """A client with a book: diff depth and touch of BTCUSDT, as its own User-Agent."""
    await declare(venue, graces=NO_GRACE)
    return await venue.stream("/public/ws/btcusdt@depth@100ms/btcusdt@bookTicker", holder=maker.holder)


async def test_who_sees_its_book_or_never_looked_is_not_blind(venue, maker, seeing):
    await maker.place()
    await maker.place(symbol="ETHUSDC", price="2490", quantity="0.040")
    venue.level("BUY", "61799.0", "2")
    await seeing.next()
    await maker.place(price="61001")
    assert await venue.violations() == {}


@pytest.mark.usefixtures("seeing")
async def test_orders_in_the_silence_of_the_own_book_are_blind(venue, maker):
    await venue.fault(kind="silence", symbol="BTCUSDT")
    await maker.place()
    assert await blind(venue) == 0  # nothing was kept from it yet
    venue.level("BUY", "61799.0", "2")
    await asyncio.sleep(0.15)
    await maker.place(price="61001")
    assert await blind(venue) == 1
    await maker.place("SELL", price="62500")
    assert await blind(venue) == 2


async def test_cancels_and_reducing_orders_are_never_blind(venue, maker, seeing):
    await maker.market("BUY", "0.010")
    _, order = await maker.place()
    await seeing.drain(0.15)
    await venue.fault(kind="silence", symbol="BTCUSDT")
    venue.level("BUY", "61799.0", "2")
    await asyncio.sleep(0.15)
    await maker.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
    await maker.market("SELL", "0.010", reduceOnly="true")
    assert await blind(venue) == 0


@pytest.mark.usefixtures("seeing")
async def test_silence_of_the_touch_alone_blinds_nobody_who_has_depth(venue, maker):
    await venue.fault(kind="silence", stream="bookTicker")
    venue.level("BUY", "61800.0", "2")
    await asyncio.sleep(0.15)
    await maker.place()
    assert await blind(venue) == 0


@pytest.mark.usefixtures("seeing")
async def test_the_grace_of_silence_is_a_setting_and_rest_renews_it(venue, maker):
    await declare(venue, graces={"silentSeconds": 5, "confirmedSeconds": 60})
    await venue.fault(kind="silence", symbol="BTCUSDT")
    venue.level("BUY", "61799.0", "2")
    await asyncio.sleep(0.15)
    await maker.place()
    assert await blind(venue) == 0
    venue.server.clock.jump(6)
    await maker.place(price="61001")
    assert await blind(venue) == 1
    await venue.get("/fapi/v1/ticker/bookTicker", holder=maker.holder, symbol="BTCUSDT")
    await maker.place(price="61002")
    assert await blind(venue) == 1
    venue.server.clock.jump(61)
    await maker.place(price="61003")
    assert await blind(venue) == 2


async def test_after_a_gap_only_a_new_snapshot_heals(venue, maker, seeing, eventually):
    await venue.fault(kind="gap", symbol="BTCUSDT")
    venue.level("BUY", "61799.0", "2")
    await eventually(lambda: not venue.server.faults)
    await asyncio.sleep(0.12)
    venue.level("BUY", "61799.0", "3")
    await seeing.until(lambda frame: frame["e"] == "depthUpdate")
    await maker.place()
    assert await blind(venue) == 1
    await venue.get("/fapi/v1/depth", holder="somebody else", symbol="BTCUSDT", limit=1000)
    await maker.place(price="61001")
    assert await blind(venue) == 2
    await venue.get("/fapi/v1/depth", holder=maker.holder, symbol="BTCUSDT", limit=1000)
    await maker.place(price="61002")
    assert await blind(venue) == 2


@pytest.mark.parametrize("snapshot", ["before the diff is lost", "after it"])
async def test_a_diff_that_was_lost_is_no_gap_for_who_has_read_its_changes(venue, maker, seeing, snapshot):
    """A client that subscribes in a silence, as it should when it has doubts, reads what the swallowed diff tells."""
    await venue.fault(kind="silence", symbol="BTCUSDT", durationSeconds=0.4)
    venue.level("BUY", "61799.0", "2")
    if snapshot == "after it":
        await asyncio.sleep(0.15)
    await venue.get("/fapi/v1/depth", holder=maker.holder, symbol="BTCUSDT", limit=1000)
    await asyncio.sleep(0.5)
    venue.level("BUY", "61799.0", "3")
    await seeing.until(lambda frame: frame["e"] == "depthUpdate" and frame["b"] == [["61799.00", "3.000"]])
    await maker.place()
    assert await blind(venue) == 0


async def test_a_diff_lost_after_the_snapshot_is_a_gap(venue, maker, seeing):
    await venue.fault(kind="silence", symbol="BTCUSDT", durationSeconds=0.4)
    await venue.get("/fapi/v1/depth", holder=maker.holder, symbol="BTCUSDT", limit=1000)
    venue.level("BUY", "61799.0", "2")
    await asyncio.sleep(0.5)
    venue.level("BUY", "61799.0", "3")
    await seeing.until(lambda frame: frame["e"] == "depthUpdate" and frame["b"] == [["61799.00", "3.000"]])
    await maker.place()
    assert await blind(venue) == 1


async def test_without_its_connection_a_client_is_blind_until_it_is_back(venue, maker, seeing):
    await venue.fault(kind="disconnect", route="public")
    await seeing.ended()
    await asyncio.sleep(0.05)
    await maker.place()
    assert await blind(venue) == 1
    await venue.stream("/public/ws/btcusdt@depth@100ms", holder=maker.holder)
    await maker.place(price="61001")
    assert await blind(venue) == 1


async def test_frames_later_than_silence_is_tolerated_are_blindness(venue, maker, seeing):
    await declare(venue, graces={**NO_GRACE, "silentSeconds": 0.3})
    await venue.fault(kind="late", symbol="BTCUSDT", delaySeconds=0.5, durationSeconds=3)
    venue.level("BUY", "61799.0", "2")
    await asyncio.sleep(0.15)
    venue.server.clock.jump(1)
    await maker.place()
    assert await blind(venue) == 1
    await seeing.until(lambda frame: frame["e"] == "depthUpdate")
    venue.server.clock.jump(3)
    await seeing.drain(0.6)
    venue.level("BUY", "61799.0", "3")
    await seeing.until(lambda frame: frame["b"] == [["61799.00", "3.000"]])
    await maker.place(price="61001")
    assert await blind(venue) == 1


@pytest.mark.usefixtures("seeing")
async def test_late_within_the_grace_is_not(venue, maker):
    await declare(venue, graces={**NO_GRACE, "silentSeconds": 5})
    await venue.fault(kind="late", symbol="BTCUSDT", delaySeconds=0.1)
    venue.level("BUY", "61799.0", "2")
    await asyncio.sleep(0.15)
    await maker.place()
    assert await blind(venue) == 0


# ---- the declaration itself -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        pytest.param({"pattern": {"regex": "("}}, "does not compile", id="no regular expression"),
        pytest.param({"pattern": {"regex": "x"}}, "installation", id="no groups"),
        pytest.param({"symbolLimits": [{"symbol": "BTCUSDT", "maxPosition": "-1"}]}, "positive", id="negative limit"),
        pytest.param({"symbolLimits": [{"symbol": "BTCUSDT"}]}, "maxPosition", id="no limit"),
        pytest.param({"accountLimit": {"maxNetNotional": "NaN"}}, "maxNetNotional", id="no number"),
        pytest.param({"limits": []}, "limits", id="unknown field"),
        pytest.param({"apiKey": "nobody"}, "API key", id="unknown key"),
    ],
)
async def test_a_declaration_that_makes_no_sense_is_refused(venue, declaration, reason):
    status, body = await venue.control("POST", "/sim/audit", declaration)
    assert status == 400
    assert reason in body["error"]
