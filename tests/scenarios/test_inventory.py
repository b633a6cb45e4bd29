"""What a position does to its maker: swept at once, met by a new process, liquidated against refusals."""

import asyncio
import signal
from decimal import Decimal

import pytest
from phoenix_coordination.port import EmergencyLevel
from phoenix_coordination.state import Reason
from phoenix_crds.parameters import Risk
from phoenix_simulator.exchange.orders import NewOrder, OrderType, Side
from phoenix_simulator.market.source import TakerUpdate

EVERYTHING_STEPS = 10**9
PRICE_OUT_OF_BAND = -4131


def buy_up_to(arena, share):
    """By hand, while no worker is there."""
    wanted = arena.fleet[0].maker.spec.net_max * Decimal(share) - arena.venue.held(arena.symbol)
    order = NewOrder(symbol=arena.symbol, side=Side.BUY, type=OrderType.MARKET, quantity=wanted)
    arena.venue.server.exchange.place(arena.venue.account, order, arena.clock.now_ms())


async def ended(arena, number):
    arena.worker.signal(number)
    await arena.worker.ended()


@pytest.fixture
async def left(open_arena):
    """A market that rests nearly, whose maker has quoted and ended in order. No loss halts it: the guards act."""
    arena = await open_arena("ETHUSDT", risk=Risk.model_validate({"capital": 1_000_000}))
    await arena.venue.control("POST", "/sim/market", {"symbol": arena.symbol, "regime": "quiet"})
    await arena.start()
    await arena.quoting()
    await ended(arena, signal.SIGTERM)
    return arena


async def test_a_sweep_of_every_layer_at_once_is_counted_and_stays_within_the_worst_case(arena):
    """In one instant of the exchange: nothing can be withdrawn meanwhile. What it may lead to is audited."""

    def resting_bids():
        return [order for order in arena.venue.resting(arena.symbol) if order.side is Side.BUY]

    await arena.wait(lambda: len(resting_bids()) > 2, "several layers rest", 15)
    bids = resting_bids()
    before, layers = arena.venue.held(arena.symbol), sum(order.leaves_steps for order in bids)
    lowest = min(order.price_ticks for order in bids)
    clock, mark = arena.venue.server.clock, arena.mark
    sweep = TakerUpdate(clock.now_ns(), is_buy=False, qty_steps=EVERYTHING_STEPS, limit_ticks=lowest)
    arena.venue.server.exchange.apply(arena.symbol, sweep, clock.now_ms())
    step = arena.venue.server.exchange.listing(arena.symbol).spec.quantity_to_decimal(1)
    assert arena.venue.held(arena.symbol) - before == layers * step, "every layer was filled, in whole"
    await arena.quoting(since=mark)
    await arena.agreed()
    await arena.ends_in_order()


async def test_a_process_that_is_killed_is_followed_by_one_in_the_mode_that_the_position_asks_for(left):
    arena = left
    mark = arena.mark
    for share, guard in (("0.8", "pin"), ("0.97", "block"), ("1.03", "flatten")):
        # What a killed worker has left: a hand of the same account cannot trade with it.
        arena.venue.server.exchange.cancel_all(arena.venue.account, arena.symbol, arena.clock.now_ms())
        buy_up_to(arena, share)
        worker = await arena.start()
        await arena.resumed()
        await worker.until(lambda record, guard=guard: record.ready and record.guard == guard, f"it is in {guard}")
        await arena.wait(lambda: arena.venue.resting(arena.symbol), "it reduces", 15)
        if guard != "flatten":
            await ended(arena, signal.SIGKILL)
    ours = [item.order for item in arena.venue.accepted[mark:] if item.order.type is OrderType.LIMIT]
    assert ours
    assert {order.side for order in ours} == {Side.SELL}, "nothing that increases has ever been sent"
    await arena.ends_in_order()


@pytest.mark.parametrize("guard", ["liquidate", "emergency"])
async def test_a_process_that_is_killed_while_it_gets_out_is_followed_by_one_that_does(left, guard):
    """The exchange takes none of the first one's orders; the second one closes just what is held, and opens nothing."""
    arena = left
    buy_up_to(arena, "1.13" if guard == "liquidate" else "0.5")
    refuses = await arena.venue.fault("reject", code=PRICE_OUT_OF_BAND, endpoint="order.place")
    if guard == "emergency":
        async with arena.shared() as account:
            await account.stop(EmergencyLevel.FLATTEN, "everything out", "anna")
    mark = arena.mark
    worker = await arena.start()
    await arena.resumed()
    await worker.until(lambda record: record.guard == guard, f"it is in {guard}")
    await arena.acted(refuses, 2)
    await ended(arena, signal.SIGKILL)
    assert arena.venue.held(arena.symbol) > 0
    await arena.venue.heal()
    worker = await arena.start()
    await arena.wait(lambda: not arena.venue.held(arena.symbol), "the position is closed", 30)
    reason = Reason.EMERGENCY if guard == "emergency" else Reason.COOLDOWN
    await worker.until(lambda record: record.reason is reason and not Decimal(record.position.qty), "it knows")
    await asyncio.sleep(0.5)
    assert arena.opened_since(mark) == []
    await arena.ends_in_order()


async def test_a_fall_through_the_liquidation_guard_is_closed_though_the_exchange_refuses_at_first(left):
    """And cools down, through the death of its process too, however soon that comes."""
    arena = left
    buy_up_to(arena, "0.6")
    worker = await arena.start()
    await arena.resumed()
    await arena.quoting()
    refused = await arena.venue.fault("reject", code=PRICE_OUT_OF_BAND, endpoint="order.place", count=2)
    await arena.venue.fault("price-jump", symbol=arena.symbol, bps=-800)
    await arena.wait(lambda: not arena.venue.held(arena.symbol), "the position is closed", 30)
    await worker.until(
        lambda record: record.reason is Reason.COOLDOWN and not Decimal(record.position.qty), "it cools down first"
    )
    assert refused not in await arena.venue.faults(), "both refusals were met"
    mark = arena.mark
    await ended(arena, signal.SIGKILL)
    worker = await arena.start()
    await worker.until(lambda record: record.reason is Reason.COOLDOWN, "so does the next one")
    await asyncio.sleep(0.5)
    assert arena.opened_since(mark) == []
    await arena.ends_in_order()
