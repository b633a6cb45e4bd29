"""What a symbol may lose: rebuilt from the exchange's own records, so that no restart resets it; and what others do."""

import asyncio
import json
import signal
from decimal import Decimal

import pytest
from phoenix_coordination.state import Reason
from phoenix_crds.parameters import Risk

SPEED = 4.0
CLOSE = Decimal(2)
"""The mark goes on while two are asked; the loss is seven times as much."""
PIECES = ("realised", "unrealised", "funding", "fees")
RISK = Risk.model_validate({"capital": 1000, "dailyLossMax": "4", "stopLoss": "500"})


async def day_of_the_exchange(arena):
    """Of a day that began flat: everything that its books hold."""
    account = json.loads(await arena.venue.control("GET", f"/sim/account/{arena.venue.api_key}"))
    books = {name: Decimal(account["symbols"][arena.symbol][name]) for name in PIECES}
    return books["realised"] + books["unrealised"] + books["funding"] - books["fees"]


async def halted(arena):
    """Until the worker says that it has lost too much today, and what it says of the day is what the exchange says."""
    record = await arena.worker.until(
        lambda record: record.reason is Reason.RISK_HALTED and record.pnl.day is not None, "halted for its daily loss"
    )
    assert record.halt.reason.startswith("daily loss of ")
    assert record.ready, "guards and reducing quotes live on"
    assert abs(Decimal(record.pnl.day) - await day_of_the_exchange(arena)) < CLOSE


async def killed(arena):
    arena.worker.signal(signal.SIGKILL)
    await arena.worker.ended()


async def test_a_daily_loss_outlives_a_restart_and_ends_at_midnight(open_arena):
    arena = await open_arena("ETHUSDT", speed=SPEED, midnight_in_s=900, risk=RISK)
    await arena.start()
    await arena.quoting()
    await arena.fill()
    position = (await arena.venue.books())[arena.symbol].position
    assert position
    arena.move_mark(0.97 if position > 0 else 1.03)
    await halted(arena)
    await killed(arena)
    await arena.start()
    await halted(arena)
    mark = arena.mark
    await asyncio.sleep(0.5)
    assert arena.opened_since(mark) == []
    await killed(arena)
    assert await day_of_the_exchange(arena) < -RISK.daily_loss_max.amount, "it has not been made good"
    arena.forward_to_midnight(within_s=15)
    await arena.start()
    await arena.quoting(since=arena.mark)
    record = await arena.worker.until(lambda record: record.pnl.day is not None, "the new day is known")
    assert arena.clock.now_ms() % 86_400_000 < 900_000, "not before the next day"
    assert Decimal(record.pnl.day) > -CLOSE, "what has been lost was lost yesterday; what a sale brings is of today"


@pytest.mark.parametrize("heard", [True, False], ids=["told by the user stream", "while nobody listens"])
async def test_somebody_who_opens_by_hand_halts_the_symbol_until_a_person_resumes(arena, heard):
    if not heard:
        await arena.venue.fault("refuse", route="private")
        await arena.venue.fault("disconnect", route="private")
        await arena.unready(Reason.USER_STREAM_OUT_OF_SYNC)
        await arena.quotes_out()
    before = (await arena.venue.books())[arena.symbol].position
    side = "BUY" if before >= 0 else "SELL"
    await arena.venue.fault("foreign-order", symbol=arena.symbol, side=side, quantity="0.02")
    if not heard:
        await arena.venue.heal()
    record = await arena.worker.until(lambda record: record.halt.reason, "halted")
    assert record.halt.reason.startswith(f"a foreign order that opens: {arena.symbol} ")
    await arena.worker.until_metric("mm_foreign_fills_total", lambda count: count > 0)
    await arena.agreed()
    mark = arena.mark
    async with arena.shared() as account:
        (halt,) = await account.halts()
        await asyncio.sleep(0.5)
        assert arena.opened_since(mark) == []
        await account.resume_symbol(arena.symbol, halt.switch.epoch, "anna")
    await arena.quoting(since=mark)
