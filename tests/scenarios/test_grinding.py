"""A position stuck near its limit in a flat market: what grinding costs and saves is what the exchange says."""

import asyncio
import signal
import time
from decimal import Decimal
from fractions import Fraction

from phoenix_coordination import order_id
from phoenix_crds import Grinding, Guards
from phoenix_simulator.exchange.orders import NewOrder, OrderType, Side

SPEED = 5.0
GRINDS_WITHIN_S = 90.0
TAKER, REENTRY = "g", "r"
# Pinned and ground from far below the limit, with one small quote: those that are filled do not end it.
STUCK = {
    "base_size": Decimal("0.006"),
    "near_layers": 1,
    "far_layers": 0,
    "guards": Guards.model_validate({"pinRatio": "0.2", "hysteresis": "0.02"}),
    "grinding": Grinding.model_validate({"ratio": "0.3", "deviation": "0.1", "interval": "30s", "offsetBps": "0.5"}),
}


def told(arena):
    """(grinds, saved in 1e-8 quote, fills of re-entries) by the exchange's own list of fills."""
    holding = arena.venue.server.exchange.account(arena.venue.account).holdings[arena.symbol]
    ids = {item.order.order_id: order_id.parse(item.order.client_order_id) for item in arena.venue.accepted}
    runs, fees = {}, 0
    for fill in holding.fills:
        ident = ids[fill.order_id]
        if ident is None or ident.purpose not in (TAKER, REENTRY):
            continue
        if ident.purpose == TAKER:
            runs.setdefault(fill.order_id, ([], []))[0].append(fill)
        else:
            runs[next(reversed(runs))][1].append(fill)
        assert fill.commission_asset == "USDT"
        fees += fill.commission_e8
    earned = 0
    for taken, returned in runs.values():
        average = Fraction(sum(fill.quote_e8 for fill in taken), sum(fill.qty_steps for fill in taken))
        sold = 1 if taken[0].side is Side.SELL else -1
        earned += (sold * sum(average * fill.qty_steps - fill.quote_e8 for fill in returned)).__floor__()
    return len(runs), earned - fees, sum(len(returned) for _, returned in runs.values())


async def test_costs_and_savings_of_grinding_agree_with_the_exchange_to_the_last_digit(open_arena, figure):
    arena = await open_arena("ETHUSDT", speed=SPEED, **STUCK)
    await arena.start()
    await arena.quoting()
    arena.worker.signal(signal.SIGTERM)
    assert await arena.worker.ended() == 0
    stuck = NewOrder(symbol=arena.symbol, side=Side.BUY, type=OrderType.MARKET, quantity=Decimal("0.9"))
    arena.venue.server.exchange.place(arena.venue.account, stuck, arena.clock.now_ms())
    worker = await arena.start()
    deadline = time.monotonic() + GRINDS_WITHIN_S
    while told(arena)[0] < 2 or not told(arena)[2]:
        assert time.monotonic() < deadline, f"{told(arena)}\n{worker.tail()}"
        await asyncio.sleep(0.1)
    before = None
    while before != told(arena) or await worker.metric("mm_grind_count_total") != before[0]:
        assert time.monotonic() < deadline, f"{told(arena)} at the exchange\n{worker.tail()}"
        before = told(arena)
        saved = await worker.metric("mm_grind_cost_saved")
        if round(saved * 1e8) != before[1]:
            before = None
            await asyncio.sleep(0.1)
    figure(f"{before[0]} grinds, {before[1] / 1e8:.4f} USDT saved, {before[2]} fills of re-entries")
    await arena.ends_in_order()
