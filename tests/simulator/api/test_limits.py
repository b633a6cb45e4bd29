"""Rate limits: aligned windows, weights and counters in the headers, 429 with Retry-After, and bans that grow."""

from functools import partial
from urllib.parse import urlencode

import pytest
from phoenix_simulator.api.limits import LimitSettings, RateLimitedError, RateLimits
from phoenix_simulator.scenario import Scenario, VenueChoices

MINUTE = 1_760_000_040_000  # a full UTC minute
assert MINUTE % 60_000 == 0


def refused(action):
    with pytest.raises(RateLimitedError) as caught:
        action()
    return caught.value


def test_weight_counts_until_the_utc_minute_ends():
    limits = RateLimits(LimitSettings(weight_per_minute=10))
    limits.charge_weight("ip", 10, MINUTE + 59_000)
    error = refused(lambda: limits.charge_weight("ip", 1, MINUTE + 59_500))
    assert (error.http_status, error.code, error.retry_after_s) == (429, -1003, 1)
    limits.charge_weight("other ip", 10, MINUTE + 59_500)
    limits.charge_weight("ip", 10, MINUTE + 60_000)


def test_order_counters_are_of_the_account_and_a_refusal_does_not_count():
    limits = RateLimits(LimitSettings(orders_per_10_seconds=5, orders_per_minute=8))
    for _ in range(5):
        limits.charge_orders("a", 1, 1, MINUTE)
    error = refused(lambda: limits.charge_orders("a", 1, 1, MINUTE + 2_000))
    assert (error.http_status, error.code, error.retry_after_s) == (429, -1015, 8)
    assert limits.used_orders("a", MINUTE + 2_000) == (5, 5)
    limits.charge_orders("b", 5, 1, MINUTE + 2_000)
    limits.charge_orders("a", 3, 3, MINUTE + 10_000)
    assert refused(lambda: limits.charge_orders("a", 1, 1, MINUTE + 11_000)).retry_after_s == 49


def test_a_batch_costs_five_of_ten_seconds_and_one_of_the_minute():
    limits = RateLimits(LimitSettings())
    limits.charge_orders("a", 5, 1, MINUTE)
    assert limits.used_orders("a", MINUTE) == (5, 1)


def test_who_ignores_429_is_banned_for_longer_each_time():
    limits = RateLimits(LimitSettings(weight_per_minute=1, ban_after=3, first_ban_seconds=120))
    now = MINUTE
    lengths = []
    for _ in range(8):
        limits.charge_weight("ip", 1, now)
        charge = partial(limits.charge_weight, "ip", 1, now)
        statuses = [refused(charge).http_status for _ in range(4)]
        assert statuses == [429, 429, 429, 418]
        error = refused(partial(limits.check_ban, "ip", now))
        assert str(now + error.retry_after_s * 1000) in error.msg
        lengths.append(error.retry_after_s)
        now += error.retry_after_s * 1000
        now += 60_000 - now % 60_000
    assert lengths[:3] == [120, 480, 1920]
    assert lengths[-1] == 3 * 24 * 3600


def test_a_free_request_passes_a_full_window():
    limits = RateLimits(LimitSettings(weight_per_minute=1))
    limits.charge_weight("ip", 1, MINUTE)
    refused(lambda: limits.charge_weight("ip", 1, MINUTE))
    limits.charge_weight("ip", 0, MINUTE)


def test_the_funding_pool_is_its_own():
    limits = RateLimits(LimitSettings(funding_requests_per_5_minutes=2))
    for _ in range(2):
        limits.charge_funding_pool("ip", MINUTE)
    assert refused(lambda: limits.charge_funding_pool("ip", MINUTE)).code == -1003
    assert limits.used_weight("ip", MINUTE) == 0


WEIGHTS = [
    ("ping", {}, 1),
    ("time", {}, 1),
    ("exchangeInfo", {}, 1),
    ("depth", {"symbol": "BTCUSDT", "limit": 5}, 2),
    ("depth", {"symbol": "BTCUSDT", "limit": 100}, 5),
    ("depth", {"symbol": "BTCUSDT"}, 10),
    ("depth", {"symbol": "BTCUSDT", "limit": 1000}, 20),
    ("depth", {"symbol": "BTCUSDT", "limit": 7}, 2),
    ("trades", {"symbol": "BTCUSDT"}, 5),
    ("aggTrades", {"symbol": "BTCUSDT"}, 20),
    ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 100}, 1),
    ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 500}, 2),
    ("klines", {"symbol": "BTCUSDT", "interval": "1m"}, 5),
    ("klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 1500}, 10),
    ("premiumIndex", {"symbol": "BTCUSDT"}, 1),
    ("premiumIndex", {}, 10),
    ("ticker/bookTicker", {"symbol": "BTCUSDT"}, 2),
    ("ticker/bookTicker", {}, 5),
    ("ticker/price", {}, 2),
    ("ticker/24hr", {}, 40),
]


@pytest.mark.parametrize(("path", "params", "weight"), WEIGHTS, ids=[f"{path} {params}" for path, params, _ in WEIGHTS])
async def test_public_requests_cost_their_weight_refused_or_not(venue, path, params, weight):
    answer = await venue.raw("GET", f"/fapi/v1/{path}?{urlencode(params)}")
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


SIGNED = [
    ("GET", "/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, 1),
    ("GET", "/fapi/v1/openOrders", {}, 40),
    ("GET", "/fapi/v1/allOrders", {}, 5),
    ("GET", "/fapi/v1/userTrades", {"symbol": "BTCUSDT"}, 5),
    ("GET", "/fapi/v1/historicalTrades", {"symbol": "BTCUSDT"}, 200),
    ("GET", "/fapi/v1/forceOrders", {"symbol": "BTCUSDT"}, 20),
    ("GET", "/fapi/v1/forceOrders", {}, 50),
    ("GET", "/fapi/v3/account", {}, 5),
    ("GET", "/fapi/v3/balance", {}, 5),
    ("GET", "/fapi/v3/positionRisk", {}, 5),
    ("GET", "/fapi/v1/income", {}, 30),
    ("GET", "/fapi/v1/commissionRate", {"symbol": "BTCUSDT"}, 20),
    ("GET", "/fapi/v1/leverageBracket", {}, 1),
    ("GET", "/fapi/v1/positionSide/dual", {}, 30),
    ("POST", "/fapi/v1/leverage", {"symbol": "BTCUSDT", "leverage": 3}, 1),
    ("POST", "/fapi/v1/countdownCancelAll", {"symbol": "BTCUSDT", "countdownTime": 1000}, 10),
    ("DELETE", "/fapi/v1/allOpenOrders", {"symbol": "BTCUSDT"}, 1),
    ("DELETE", "/fapi/v1/order", {"symbol": "BTCUSDT", "orderId": 1}, 1),
]


@pytest.mark.parametrize(
    ("method", "path", "params", "weight"),
    SIGNED,
    ids=[f"{method} {path} {params}" for method, path, params, _ in SIGNED],
)
async def test_signed_requests_cost_their_weight(maker, method, path, params, weight):
    answer = await maker.request(method, path, **params)
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)
    assert "X-MBX-ORDER-COUNT-10S" not in answer.headers


async def test_orders_cost_no_weight_but_both_counters(maker):
    headers = []
    for price in ("61000", "61000.05"):
        answer = await maker.request(
            "POST",
            "/fapi/v1/order",
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            timeInForce="GTX",
            price=price,
            quantity="0.010",
        )
        headers.append(answer.headers)
    assert [row["X-MBX-USED-WEIGHT-1M"] for row in headers] == ["-1", "-1"]
    assert [row["X-MBX-ORDER-COUNT-10S"] for row in headers] == ["1", "2"]
    batch = '[{"symbol":"BTCUSDT"}]'
    answer = await maker.request("POST", "/fapi/v1/batchOrders", batchOrders=batch)
    counts = (answer.headers["X-MBX-ORDER-COUNT-10S"], answer.headers["X-MBX-ORDER-COUNT-1M"])
    assert counts == ("7", "3")
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "5"


async def test_funding_requests_have_no_weight_header(venue):
    answer = await venue.raw("GET", "/fapi/v1/fundingInfo")
    assert "X-MBX-USED-WEIGHT-1M" not in answer.headers


async def test_over_the_wire_429_and_418_say_when_to_come_back(venues):
    limits = LimitSettings(weight_per_minute=2, ban_after=2, first_ban_seconds=90)
    async with venues(Scenario(venue=VenueChoices(limits=limits))) as venue:
        # The window must not turn in the middle of the test.
        clock = venue.server.clock
        clock.jump(61 - clock.now_ms() % 60_000 / 1000)
        answers = [await venue.raw("GET", "/fapi/v1/time") for _ in range(6)]
        assert [answer.status for answer in answers] == [200, 200, 429, 429, 418, 418]
        assert [answer.body["code"] for answer in answers[2:]] == [-1003] * 4
        assert 1 <= int(answers[2].headers["Retry-After"]) <= 60
        assert 89 <= int(answers[4].headers["Retry-After"]) <= 90
        assert "banned until" in answers[4].body["msg"]
        clock.jump(91)
        assert (await venue.raw("GET", "/fapi/v1/time")).status == 200


async def test_too_many_orders_are_429_while_cancels_still_pass(venues):
    limits = LimitSettings(orders_per_10_seconds=2)
    async with venues(Scenario(venue=VenueChoices(limits=limits))) as venue:
        clock = venue.server.clock
        clock.jump(10.5 - clock.now_ms() % 10_000 / 1000)
        maker = await venue.account()
        placed = [await maker.place() for _ in range(3)]
        assert [status for status, _ in placed] == [200, 200, 429]
        assert placed[2][1]["code"] == -1015
        order_id = placed[0][1]["orderId"]
        assert (await maker.ask("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order_id))[0] == 200
        clock.jump(10)
        assert (await maker.place())[0] == 200
