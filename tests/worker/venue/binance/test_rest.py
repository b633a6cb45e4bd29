import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from phoenix_worker.core.events import Outcome, Refusal
from phoenix_worker.venue.binance.clock_sync import ExchangeTime, Sample
from phoenix_worker.venue.binance.limits import RequestBudget, Urgency
from phoenix_worker.venue.binance.rest import Rest, RestError, Security
from phoenix_worker.venue.binance.signing import Credentials

PATH = "/fapi/v1/order"


@pytest.fixture
async def make_rest(exchange, credentials, machine_clock):
    made = []

    def make(*, read_only: bool = False, url: str = "", rate: float = 1.0) -> Rest:
        clock = machine_clock(rate)
        time = ExchangeTime(clock)
        now = clock.monotonic_ns()
        time.measured([Sample(now, now, 1_760_000_000_000)])
        budget, errors = RequestBudget(), []
        rest = Rest(
            url or exchange.url,
            credentials,
            time,
            budget,
            "phoenix/test holder",
            lambda code, verdict: errors.append((code, verdict)),
            2000,
            read_only=read_only,
        )
        rest.time, rest.budget, rest.errors = time, budget, errors
        made.append(rest)
        return rest

    yield make
    for rest in made:
        await rest.close()


async def cancel(rest, deadline_ns=None):
    return await rest.change(
        "DELETE", PATH, [("symbol", "ETHUSDC")], weight=1, urgency=Urgency.CANCEL, deadline_ns=deadline_ns
    )


async def test_a_signed_request_is_signed_over_what_is_sent_and_carries_key_and_window(make_rest, exchange):
    exchange.answers["GET", PATH] = lambda *_: {}
    await make_rest().get(PATH, [("symbol", "币安人生USDT")], weight=1, security=Security.SIGNED)
    seen = exchange.requests[-1]
    assert seen.signed
    assert seen.parameters["recvWindow"] == "2000"
    assert abs(int(seen.parameters["timestamp"]) - 1_760_000_000_000) < 5000
    assert seen.parameters["symbol"].startswith("%E5%B8%81")


async def test_a_signature_in_base64_is_percent_encoded(make_rest):
    """Of which `+` would else be read as a blank."""

    class Fixed:
        def sign(self, _: bytes) -> str:
            return "+/a=="

    queries = []

    async def answer(request):
        queries.append(request.rel_url.raw_query_string)
        return web.json_response({})

    app = web.Application()
    app.router.add_get(PATH, answer)
    async with TestServer(app) as server:
        rest = make_rest(url=str(server.make_url("")).rstrip("/"))
        rest.use(Credentials("the-key", Fixed()))
        await rest.get(PATH, weight=1, security=Security.SIGNED)
    assert [query.partition("&signature=")[2] for query in queries] == ["%2B%2Fa%3D%3D"]


async def test_a_public_request_carries_neither_key_nor_signature(make_rest, exchange):
    keys = []
    exchange.answers["GET", "/fapi/v1/time"] = lambda r, _: keys.append(r.headers.get("X-MBX-APIKEY")) or {}
    await make_rest().get("/fapi/v1/time", weight=1)
    assert keys == [None]
    assert not exchange.requests[-1].signed


@pytest.mark.parametrize(
    ("status", "code", "outcome", "reason"),
    [
        (400, -2011, Outcome.REFUSED, Refusal.GONE),
        (401, -2015, Outcome.REFUSED, Refusal.DENIED),
        (503, -1008, Outcome.REFUSED, Refusal.RATE_LIMIT),
        (500, -1000, Outcome.UNKNOWN, None),
    ],
)
async def test_an_error_has_the_verdict_of_the_table(make_rest, exchange, refusal, status, code, outcome, reason):
    exchange.answers["DELETE", PATH] = lambda *_: refusal(status, code, "text")
    rest = make_rest()
    with pytest.raises(RestError) as caught:
        await cancel(rest)
    assert (caught.value.verdict.outcome, caught.value.verdict.refusal) == (outcome, reason)
    assert caught.value.code == code
    assert [c for c, _ in rest.errors] == [code]


async def test_the_budget_is_read_from_the_headers(make_rest, exchange):
    exchange.headers = {"X-MBX-USED-WEIGHT-1M": "1200", "X-MBX-ORDER-COUNT-10S": "30", "X-MBX-ORDER-COUNT-1M": "300"}
    rest = make_rest()
    rest.budget.offset_ns = rest.time.offset.offset_ns
    await rest.get("/fapi/v1/time", weight=1)
    used = rest.budget.usage(rest.time.clock.monotonic_ns())
    assert used == (0.1, 0.25, 0.5)


async def test_weight_of_minus_one_says_nothing(make_rest, exchange):
    exchange.headers = {"X-MBX-USED-WEIGHT-1M": "-1"}
    rest = make_rest()
    await rest.get("/fapi/v1/time", weight=1)
    assert rest.budget.usage(rest.time.clock.monotonic_ns())[2] == pytest.approx(1 / 2400)


class TestBackingOff:
    async def test_after_429_nothing_leaves_until_retry_after(self, make_rest, exchange, refusal):
        exchange.answers["GET", "/fapi/v1/time"] = lambda *_: refusal(
            429, -1003, "Too many requests", **{"Retry-After": "7"}
        )
        rest = make_rest()
        with pytest.raises(RestError):
            await rest.get("/fapi/v1/time", weight=1)
        sent = len(exchange.requests)
        with pytest.raises(RestError, match="not sent"):
            await rest.get("/fapi/v1/depth", weight=1, urgency=Urgency.REDUCE)
        with pytest.raises(RestError, match="not sent"):
            await cancel(rest)
        assert len(exchange.requests) == sent
        left_s = (rest.budget.blocked_until_ns - rest.time.clock.monotonic_ns()) / 1e9
        assert 6 < left_s <= 7

    @pytest.mark.parametrize("how", ["retry-after", "text"])
    async def test_after_418_nothing_leaves_at_all(self, make_rest, exchange, refusal, how):
        rest = make_rest()
        headers = {"Retry-After": "300"} if how == "retry-after" else {}
        until = rest.time.now_ms() + 300_000
        text = "Way too many requests; IP banned" + (f" until {until}." if how == "text" else ".")
        exchange.answers["GET", "/fapi/v1/time"] = lambda *_: refusal(418, -1003, text, **headers)
        with pytest.raises(RestError) as caught:
            await rest.get("/fapi/v1/time", weight=1)
        assert caught.value.verdict.refusal is Refusal.BANNED
        sent = len(exchange.requests)
        with pytest.raises(RestError, match="not sent"):
            await cancel(rest)
        assert len(exchange.requests) == sent
        left_s = (rest.budget.banned_until_ns - rest.time.clock.monotonic_ns()) / 1e9
        assert 290 < left_s <= 300

    @pytest.mark.parametrize("wrong_s", [-190, 190], ids=["behind", "ahead"])
    async def test_a_wrong_clock_neither_lengthens_a_ban_nor_ends_it(self, make_rest, exchange, refusal, wrong_s):
        """Found by the storm: a worker that started with its clock behind held everybody of its egress for minutes."""
        rest = make_rest()
        text = f"Way too many requests; IP banned until {rest.time.now_ms() + 1000 * (20 - wrong_s)}."
        exchange.answers["GET", "/fapi/v1/time"] = lambda *_: refusal(418, -1003, text, **{"Retry-After": "20"})
        with pytest.raises(RestError):
            await rest.get("/fapi/v1/time", weight=1)
        left_s = (rest.budget.banned_until_ns - rest.time.clock.monotonic_ns()) / 1e9
        assert 19 < left_s <= 21

    async def test_the_firewall_is_left_alone_for_minutes(self, make_rest, exchange):
        exchange.answers["GET", "/fapi/v1/time"] = lambda *_: web.Response(status=403, text="<html>")
        rest = make_rest()
        with pytest.raises(RestError):
            await rest.get("/fapi/v1/time", weight=1)
        assert not rest.budget.admits_weight(rest.time.clock.monotonic_ns() + 100 * 10**9, 1, Urgency.REDUCE)

    async def test_too_many_orders_stops_orders_alone(self, make_rest, exchange, refusal):
        exchange.answers["POST", PATH] = lambda *_: refusal(429, -1015, "Too many new orders")
        rest = make_rest()
        with pytest.raises(RestError):
            await rest.change("POST", PATH, [], weight=0, urgency=Urgency.QUOTE)
        assert not rest.budget.admits_order(rest.time.clock.monotonic_ns(), Urgency.REDUCE)
        await rest.get("/fapi/v1/time", weight=1)

    async def test_too_many_orders_says_how_long(self, make_rest, exchange, refusal):
        exchange.answers["POST", PATH] = lambda *_: refusal(429, -1015, "Too many new orders", **{"Retry-After": "47"})
        rest = make_rest()
        with pytest.raises(RestError):
            await rest.change("POST", PATH, [], weight=0, urgency=Urgency.QUOTE)
        left_s = (rest.budget.orders_blocked_until_ns - rest.time.clock.monotonic_ns()) / 1e9
        assert 40 < left_s <= 47

    async def test_the_exchange_s_own_protection_holds_quotes_and_nothing_else(self, make_rest, exchange, refusal):
        text = "Request throttled by system-level protection. Reduce-only/close-position orders are exempt."
        exchange.answers["POST", PATH] = lambda *_: refusal(503, -1008, text)
        rest = make_rest()
        with pytest.raises(RestError) as caught:
            await rest.change("POST", PATH, [], weight=0, urgency=Urgency.QUOTE)
        assert caught.value.verdict.outcome is Outcome.REFUSED
        now_ns = rest.time.clock.monotonic_ns()
        assert not rest.budget.admits_order(now_ns, Urgency.QUOTE)
        assert rest.budget.admits_order(now_ns, Urgency.REDUCE)
        assert rest.budget.to_tell(now_ns).egress_blocked_ns == 0
        await cancel(rest)


class TestWhatBreaks:
    async def test_a_request_that_never_left_is_refused_with_proof(self, make_rest):
        rest = make_rest(url="http://127.0.0.1:1")
        with pytest.raises(RestError) as caught:
            await cancel(rest)
        assert caught.value.verdict.refusal is Refusal.NOT_SENT
        assert caught.value.sent_ns == 0

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    async def test_a_line_cut_after_sending_is_unknown_and_not_repeated(self, make_rest, exchange, method):
        async def cut(request: web.Request, _: dict[str, str]) -> web.Response:
            assert request.transport is not None
            request.transport.abort()
            await asyncio.sleep(0.01)
            return web.Response()

        rest = make_rest()
        await rest.get("/fapi/v1/time", weight=1)  # a kept connection: the kind that clients like to repeat on
        exchange.answers[method, PATH] = cut
        with pytest.raises(RestError) as caught:
            await rest.change(method, PATH, [], weight=0, urgency=Urgency.REDUCE)
        assert caught.value.verdict.outcome is Outcome.UNKNOWN
        assert caught.value.sent_ns > 0
        await asyncio.sleep(0.05)
        assert len(exchange.asked(method, PATH)) == 1

    async def test_no_answer_in_time_is_unknown(self, make_rest, exchange):
        async def late(*_: object) -> web.Response:
            await asyncio.sleep(1)
            return web.Response()

        exchange.answers["DELETE", PATH] = late
        with pytest.raises(RestError) as caught:
            await cancel(make_rest(rate=50))
        assert caught.value.verdict.outcome is Outcome.UNKNOWN

    async def test_nobody_is_followed_elsewhere_with_our_key(self, make_rest, exchange):
        exchange.answers["DELETE", PATH] = lambda *_: web.Response(
            status=302, headers={"Location": exchange.url + "/x"}
        )
        with pytest.raises(RestError):
            await cancel(make_rest())
        assert len(exchange.requests) == 1


async def test_a_deadline_that_leaves_no_window_sends_nothing(make_rest, exchange):
    rest = make_rest()
    with pytest.raises(RestError) as caught:
        await cancel(rest, deadline_ns=rest.time.clock.monotonic_ns())
    assert caught.value.verdict.refusal is Refusal.EXPIRED_DEADLINE
    assert not exchange.requests


async def test_a_dry_run_changes_nothing_but_the_listen_key(make_rest, exchange):
    rest = make_rest(read_only=True)
    with pytest.raises(RestError, match="dry run"):
        await cancel(rest)
    assert not exchange.requests
    await rest.keep_listen_key("POST")
    assert len(exchange.requests) == 1


async def test_neither_key_nor_secret_nor_signature_is_in_an_error(make_rest, exchange):
    exchange.answers["DELETE", PATH] = lambda *_: web.Response(status=500, text="x" * 5000)
    rest = make_rest()
    with pytest.raises(RestError) as caught:
        await cancel(rest)
    cut = make_rest(url="http://127.0.0.1:1")
    with pytest.raises(RestError) as other:
        await cancel(cut)
    for error in (caught.value, other.value, other.value.__cause__):
        assert "test-key" not in f"{error!r}{error}"
        assert "test-secret" not in f"{error!r}{error}"
        assert "signature" not in f"{error!r}{error}"
    assert len(str(caught.value)) < 300
