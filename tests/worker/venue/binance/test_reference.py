"""What is read again while we trade."""

import pytest
from phoenix_worker.core.events import ClockSynced, FeesSet, InstrumentSet, StatusSet
from phoenix_worker.core.instrument import SymbolStatus


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
