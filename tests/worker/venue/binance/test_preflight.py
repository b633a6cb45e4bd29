import dataclasses
from decimal import Decimal

import msgspec
import pytest
from phoenix_worker.core.instrument import MONEY
from phoenix_worker.venue.binance.gateway import BinanceVenue
from phoenix_worker.venue.binance.settings import MarginType


@pytest.fixture
async def prepare(exchange, credentials, settings, machine_clock, dice):
    venues = []

    async def run(*, spot: bool = False, symbol: str = "ETHUSDC", dry_run: bool = False, url: str = "", **changes):
        endpoints = exchange.endpoints
        if spot:
            endpoints = dataclasses.replace(endpoints, spot=exchange.url)
        if url:
            endpoints = dataclasses.replace(endpoints, rest=url)
        venue = BinanceVenue(
            endpoints,
            credentials,
            symbol,
            dataclasses.replace(settings, **changes),
            clock=machine_clock(),
            random=dice,
            user_agent="phoenix/test holder",
            dry_run=dry_run,
        )
        venues.append(venue)
        return await venue.prepare()

    yield run
    for venue in venues:
        await venue.close()


async def test_a_sound_account_is_not_refused_and_everything_is_known(prepare, instrument, exchange):
    preflight = await prepare()
    assert preflight.refused == ()
    assert preflight.instrument == msgspec.structs.replace(instrument, max_notional=100_000 * MONEY)
    assert (preflight.maker_bps, preflight.taker_bps) == (2.0, 4.0)
    assert preflight.identity == "binance-usdm:simulator:SgsR"
    assert preflight.offset_error_ns < 500_000_000
    assert len(exchange.asked("GET", "/fapi/v1/time")) >= 5
    assert all(r.method == "GET" for r in exchange.requests)
    assert any("key permissions" in skipped for skipped in preflight.skipped)


REFUSALS = {
    "hedge mode": ("/fapi/v1/accountConfig", {"dualSidePosition": True}, "hedge mode", "one-way"),
    "no trading": ("/fapi/v1/accountConfig", {"canTrade": False}, "may not trade", "restriction"),
    "leverage": ("/fapi/v1/symbolConfig", {"leverage": 20}, "leverage is 20, the account declares 10", "apply"),
    "margin type": ("/fapi/v1/symbolConfig", {"marginType": "ISOLATED"}, "ISOLATED", "apply"),
    "no room": ("/fapi/v1/premiumIndex", {"markPrice": "9000000"}, "netMax at the mark price", "lower leverage"),
    "withdrawals": (
        "/sapi/v1/account/apiRestrictions",
        {"enableWithdrawals": True},
        "may withdraw",
        "use a key",
    ),
    "no futures": ("/sapi/v1/account/apiRestrictions", {"enableFutures": False}, "may not trade", "enable"),
}
SOUND = {
    "/fapi/v1/accountConfig": {"canTrade": True, "dualSidePosition": False, "multiAssetsMargin": False},
    "/fapi/v1/symbolConfig": {"symbol": "ETHUSDC", "marginType": "CROSSED", "leverage": 10},
    "/fapi/v1/premiumIndex": {"symbol": "ETHUSDC", "markPrice": "2500"},
    "/sapi/v1/account/apiRestrictions": {"ipRestrict": True, "enableWithdrawals": False, "enableFutures": True},
}


@pytest.mark.parametrize(("path", "change", "what", "todo"), REFUSALS.values(), ids=REFUSALS)
async def test_each_refusal_says_what_is_wrong_and_what_to_do(prepare, exchange, path, change, what, todo):
    def sound(of: str) -> object:
        body = {**SOUND[of], **(change if of == path else {})}
        return [body] if of == "/fapi/v1/symbolConfig" else body

    for known in SOUND:
        exchange.answers["GET", known] = lambda *_, of=known: sound(of)
    preflight = await prepare(spot=True)
    assert len(preflight.refused) == 1
    assert what in preflight.refused[0].what
    assert todo in preflight.refused[0].todo
    assert not preflight.refused[0].retryable


async def test_production_asks_what_the_key_may_do(prepare, exchange):
    exchange.answers["GET", "/sapi/v1/account/apiRestrictions"] = lambda *_: SOUND["/sapi/v1/account/apiRestrictions"]
    preflight = await prepare(spot=True)
    assert (preflight.refused, preflight.skipped) == ((), ())
    assert exchange.asked("GET", "/sapi/v1/account/apiRestrictions")[0].signed


class TestSymbol:
    async def test_one_that_is_not_listed_is_refused(self, prepare):
        preflight = await prepare(symbol="NOPEUSDC")
        assert "no symbol NOPEUSDC" in preflight.refused[0].what
        assert preflight.instrument is None

    @pytest.mark.parametrize("status", ["PENDING_TRADING", "SETTLING", "CLOSE", "SOMETHING"])
    async def test_one_that_does_not_trade_may_heal(self, prepare, info, status):
        info(status=status)
        preflight = await prepare()
        assert status in preflight.refused[0].what
        assert preflight.refused[0].retryable

    async def test_a_delivery_contract_is_refused(self, prepare, info):
        info(contractType="CURRENT_QUARTER")
        assert "choose a perpetual" in (await prepare()).refused[0].todo

    @pytest.mark.parametrize(
        ("name", "value", "reason"),
        [
            ("tickSize", "0", "positive"),
            ("stepSize", "NaN", "positive"),
            ("tickSize", "0.000001", "more than 8 decimals"),
            ("minPrice", "0.005", "multiple"),
            ("multiplierUp", "0", "multiplier"),
        ],
    )
    async def test_filters_that_cannot_be_met_are_refused(self, prepare, info, name, value, reason):
        info({name: value})
        preflight = await prepare()
        assert preflight.instrument is None
        assert reason in preflight.refused[0].what

    async def test_missing_filters_are_named(self, prepare, info):
        info(filters=[{"filterType": "PRICE_FILTER"}, {"filterType": "LOT_SIZE"}])
        assert "MARKET_LOT_SIZE, MIN_NOTIONAL" in (await prepare()).refused[0].what


class TestSettings:
    @pytest.fixture
    def wrong(self, exchange):
        row = {"symbol": "ETHUSDC", "marginType": "ISOLATED", "leverage": 20}
        exchange.answers["GET", "/fapi/v1/symbolConfig"] = lambda *_: [row]

    @pytest.mark.usefixtures("wrong")
    async def test_they_are_applied_while_flat_where_told_to(self, prepare, exchange):
        assert (await prepare(apply=True)).refused == ()
        assert exchange.asked("POST", "/fapi/v1/leverage")[0].parameters["leverage"] == "10"
        assert exchange.asked("POST", "/fapi/v1/marginType")[0].parameters["marginType"] == "CROSSED"

    @pytest.mark.usefixtures("wrong")
    async def test_no_change_needed_is_as_good(self, prepare, exchange, refusal):
        exchange.answers["POST", "/fapi/v1/marginType"] = lambda *_: refusal(
            400, -4046, "No need to change margin type."
        )
        assert (await prepare(apply=True)).refused == ()

    @pytest.mark.parametrize("held", ["position", "order"])
    @pytest.mark.usefixtures("wrong")
    async def test_they_are_not_touched_while_anything_is_open(self, prepare, exchange, held, body_of):
        if held == "position":
            row = {"symbol": "ETHUSDC", "positionSide": "BOTH", "positionAmt": "0.001", "entryPrice": "2500"}
            exchange.answers["GET", "/fapi/v3/positionRisk"] = lambda *_: [row]
        else:
            exchange.answers["GET", "/fapi/v1/openOrders"] = lambda *_: [body_of({"symbol": "ETHUSDC"})]
        preflight = await prepare(apply=True)
        assert "only while flat" in preflight.refused[0].todo
        assert not [r for r in exchange.requests if r.method == "POST"]

    @pytest.mark.usefixtures("wrong")
    async def test_a_dry_run_changes_nothing_and_says_what_a_live_worker_would(self, prepare, exchange):
        preflight = await prepare(apply=True, dry_run=True)
        assert preflight.refused == ()
        assert any("leverage is 20" in skipped for skipped in preflight.skipped)
        assert not [r for r in exchange.requests if r.method != "GET"]

    @pytest.mark.parametrize(
        ("leverage", "net_max", "fits"),
        [(10, "10", True), (10, "40", False), (5, "40", True), (75, "1.7", True), (75, "2", False), (80, "0.1", False)],
    )
    async def test_the_bracket_must_hold_the_worst_case(self, prepare, exchange, leverage, net_max, fits):
        row = {"symbol": "ETHUSDC", "marginType": "CROSSED", "leverage": leverage}
        exchange.answers["GET", "/fapi/v1/symbolConfig"] = lambda *_: [row]
        preflight = await prepare(leverage=leverage, net_max=Decimal(net_max))
        assert (preflight.refused == ()) == fits


class TestNobodyAnswers:
    async def test_an_exchange_that_is_down_may_come_back(self, prepare):
        preflight = await prepare(url="http://127.0.0.1:1")
        assert len(preflight.refused) == 1
        assert preflight.refused[0].retryable
        assert "cannot connect" in preflight.refused[0].what

    async def test_a_key_that_is_refused_does_not_heal_and_is_told_once(self, prepare, exchange, refusal):
        for path in ("accountConfig", "symbolConfig", "commissionRate", "leverageBracket"):
            exchange.answers["GET", f"/fapi/v1/{path}"] = lambda *_: refusal(
                401, -2015, "Invalid API-key, IP, or permissions."
            )
        preflight = await prepare()
        assert len(preflight.refused) == 1
        assert "refuses the key" in preflight.refused[0].what
        assert "apiKey" in preflight.refused[0].todo
        assert not preflight.refused[0].retryable

    @pytest.mark.parametrize(
        "path",
        [
            *("v1/time", "v1/exchangeInfo", "v1/accountConfig", "v1/symbolConfig", "v1/leverageBracket"),
            *("v1/premiumIndex", "v1/commissionRate", "v3/balance"),
        ],
    )
    @pytest.mark.parametrize("body", ["x", {}, [], [[]], {"symbols": 1}], ids=repr)
    async def test_replies_that_cannot_be_read_are_refused_and_never_raise(self, prepare, exchange, path, body):
        exchange.answers["GET", f"/fapi/{path}"] = lambda *_: body
        assert (await prepare()).refused

    async def test_secrets_are_in_no_refusal(self, prepare, exchange, refusal):
        exchange.answers["GET", "/fapi/v1/accountConfig"] = lambda *_: refusal(400, -1022, "Signature is not valid.")
        shown = repr(await prepare())
        assert "test-key" not in shown
        assert "test-secret" not in shown


def test_margin_types_are_the_exchange_s_words():
    assert {m.value for m in MarginType} == {"CROSSED", "ISOLATED"}
