"""A position stuck near its limit in a flat market: what grinding costs and saves is what the exchange says."""

import asyncio
import json
import signal
import time
from decimal import Decimal
from fractions import Fraction

from fixed_metrics import oddities
from phoenix_coordination import order_id
from phoenix_crds import Grinding, Guards
from phoenix_simulator.exchange.orders import NewOrder, OrderType, Side, TimeInForce

SPEED = 4.0
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


def reentries(arena):
    return [order for order in arena.venue.resting() if order_id.parse(order.client_order_id).purpose == REENTRY]


async def sweep(arena, number):
    """Somebody sells down to our re-entry, and a part of it."""
    body = {"label": f"sweeper {number}", "balances": {"USDT": "100000000"}}
    made = json.loads(await arena.venue.control("POST", "/sim/account", body))
    price = Decimal(
        arena.venue.server.exchange.listing(arena.symbol).spec.format_price(reentries(arena)[0].price_ticks)
    )
    before = told(arena)[2]
    while told(arena)[2] == before and reentries(arena):
        order = NewOrder(
            symbol=arena.symbol,
            side=Side.SELL,
            type=OrderType.LIMIT,
            time_in_force=TimeInForce.IOC,
            price=price,
            quantity=Decimal(20),
        )
        arena.venue.server.exchange.place(made["account"], order, arena.clock.now_ms())
        await asyncio.sleep(0)


async def test_costs_and_savings_of_grinding_agree_with_the_exchange_to_the_last_digit(open_arena, figure):
    arena = await open_arena("ETHUSDT", speed=SPEED, **STUCK)
    await arena.start()
    await arena.quoting()
    arena.worker.signal(signal.SIGTERM)
    assert await arena.worker.ended() == 0
    stuck = NewOrder(symbol=arena.symbol, side=Side.BUY, type=OrderType.MARKET, quantity=Decimal("0.9"))
    arena.venue.server.exchange.place(arena.venue.account, stuck, arena.clock.now_ms())
    worker = await arena.start()
    await worker.until(lambda record: record.halt.reason, "a hand that opens halts")
    async with arena.shared() as account:
        (halt,) = await account.halts()
        await account.resume_symbol(arena.symbol, halt.switch.epoch, "anna")
    await worker.until(lambda record: record.guard in {"pin", "grind"} and record.ready, "it is pinned")
    arena.rest(resting=True)
    deadline = time.monotonic() + GRINDS_WITHIN_S
    for grinds in (1, 2):
        while told(arena)[0] < grinds or not reentries(arena):
            assert time.monotonic() < deadline, f"{told(arena)}\n{worker.tail()}"
            await asyncio.sleep(0.05)
        await sweep(arena, grinds)
    before = None
    while before != told(arena) or await worker.metric("mm_grind_count_total") != before[0]:
        assert time.monotonic() < deadline, f"{told(arena)} at the exchange\n{worker.tail()}"
        before = told(arena)
        saved = await worker.metric("mm_grind_cost_saved")
        if round(saved * 1e8) != before[1]:
            before = None
            await asyncio.sleep(0.1)
    assert list(oddities((await worker.get("/metrics"))[1])) == []
    figure(f"{before[0]} grinds, {before[1] / 1e8:.4f} USDT saved, {before[2]} fills of re-entries")
    await arena.ends_in_order()
