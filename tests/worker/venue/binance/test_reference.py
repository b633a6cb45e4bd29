"""What is read again while we trade."""

import pytest
from phoenix_worker.core.events import ClockSynced, FeesSet, InstrumentSet, StatusSet
from phoenix_worker.core.instrument import MONEY, SymbolStatus
from phoenix_worker.venue.binance.messages import ContractInfo


async def test_changed_filters_and_fees_are_told_and_used_at_once(run_venue, exchange, info):
    running = await run_venue()
    info({"notional": "50"})
    exchange.answers["GET", "/fapi/v1/commissionRate"] = lambda *_: {
        "makerCommissionRate": "-0.00001",
        "takerCommissionRate": "0.0005",
    }
    running.venue._parts.reference.reload_soon()
    await running.until(lambda: running.of(FeesSet))
    assert running.of(InstrumentSet)[0].instrument.min_notional == 50 * 10**8
    assert running.venue._parts.reference.instrument == running.of(InstrumentSet)[0].instrument
    assert running.of(FeesSet)[0].maker_bps == pytest.approx(-0.1)


async def test_what_did_not_change_is_not_told(run_venue, exchange):
    running = await run_venue()
    asked = len(exchange.asked("GET", "/fapi/v1/commissionRate"))
    running.venue._parts.reference.reload_soon()
    await exchange.until(lambda: len(exchange.asked("GET", "/fapi/v1/commissionRate")) > asked)
    await running.until(lambda: running.of(ClockSynced))
    assert not running.of(InstrumentSet) + running.of(FeesSet) + running.of(StatusSet)


async def test_a_symbol_that_stops_and_trades_again_is_told_both_times(run_venue, info):
    running = await run_venue(rate=10)
    for count, status in ((1, "SETTLING"), (2, "TRADING")):
        info(status=status)
        running.venue._parts.reference.reload_soon()
        await running.until(lambda count=count: len(running.of(StatusSet)) == count)
    assert [e.status for e in running.of(StatusSet)] == [SymbolStatus.NOT_TRADING, SymbolStatus.TRADING]


async def test_the_clock_is_told_with_its_error(run_venue, exchange):
    exchange.clock_ahead_ms = 90_000
    running = await run_venue()
    await running.until(lambda: running.of(ClockSynced))
    told = running.of(ClockSynced)[0]
    ahead_ms = (running.clock.monotonic_ns() + told.offset_ns) / 1e6 - (exchange.now_ms())
    assert abs(ahead_ms) < 50 + told.error_ns / 1e6


async def test_a_symbol_that_is_listed_no_more_is_told_as_not_trading(run_venue, exchange):
    running = await run_venue()
    exchange.answers["GET", "/fapi/v1/exchangeInfo"] = lambda *_: {"rateLimits": [], "symbols": []}
    running.venue._parts.reference.reload_soon()
    await running.until(lambda: running.of(StatusSet))
    assert [e.status for e in running.of(StatusSet)] == [SymbolStatus.NOT_TRADING]


@pytest.mark.parametrize(
    ("brackets", "admitted"),
    [
        pytest.param([(75, 5_000), (20, 30_000), (5, 900_000)], 30_000, id="it admits less"),
        pytest.param([(75, 5_000), (20, 400_000), (5, 900_000)], 400_000, id="it admits more"),
        pytest.param([(5, 900_000)], 0, id="nothing at this leverage"),
    ],
)
async def test_a_changed_leverage_bracket_is_told(run_venue, exchange, brackets, admitted):
    running = await run_venue()
    assert running.venue._parts.reference.instrument.max_notional == 100_000 * MONEY
    rows = [{"initialLeverage": leverage, "notionalCap": cap} for leverage, cap in brackets]
    exchange.answers["GET", "/fapi/v1/leverageBracket"] = lambda *_: [{"symbol": "ETHUSDC", "brackets": rows}]
    running.venue._parts.reference.contract_changed(ContractInfo("ETHUSDC"))
    await running.until(lambda: running.of(InstrumentSet))
    assert running.of(InstrumentSet)[0].instrument.max_notional == admitted * MONEY
