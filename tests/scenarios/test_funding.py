"""Funding is booked as the exchange booked it, to the last digit, whoever leads or is away when it is settled."""

import asyncio
import signal
import time
from decimal import Decimal

SPEED = 8.0
MINUTE_MS = 60_000
"""Settled so often here: each start below misses one at least."""


def settlements(arena):
    return len(arena.venue.server.exchange.listing(arena.symbol).funding_history)


async def agreed(arena):
    """Until worker and exchange tell the same funding, which is not nothing."""
    deadline = time.monotonic() + 30
    while True:
        record = await arena.worker.state()
        told, booked = Decimal(record.pnl.funding), (await arena.venue.books())[arena.symbol].funding
        if told == booked != 0:
            return booked
        assert time.monotonic() < deadline, f"the worker tells {told}, the exchange {booked}\n{arena.worker.tail()}"
        await asyncio.sleep(0.1)


async def test_settlements_that_were_told_and_those_that_were_missed_are_all_booked(open_arena, figure):
    arena = await open_arena("ETHUSDT", speed=SPEED)
    await arena.start()
    await arena.quoting()
    await arena.fill()
    exchange = arena.venue.server.exchange
    exchange.set_funding_interval(arena.symbol, MINUTE_MS, arena.clock.now_ms())
    await agreed(arena)
    for how in (signal.SIGKILL, signal.SIGTERM):
        arena.worker.signal(how)
        await arena.worker.ended()
        missed = settlements(arena)
        before = (await arena.venue.books())[arena.symbol].funding
        await arena.wait(lambda missed=missed: settlements(arena) > missed, "a settlement that nobody hears of", 30)
        assert (await arena.venue.books())[arena.symbol].funding != before
        await arena.start()
        await agreed(arena)
    told = settlements(arena)
    await arena.wait(lambda: settlements(arena) > told, "one that is heard of", 30)
    figure(f"funding after {settlements(arena)} settlements and two restarts: {await agreed(arena)}, both told")
